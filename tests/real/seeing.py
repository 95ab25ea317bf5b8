"""A model that sees, small and always the same: two layers of Qwen2-VL behind two of a vision tower.

Run by an environment with transformers: `python seeing.py TINY_MODEL TARGET [PICTURES]`, which also writes
rows.parquet and pairs.parquet beside the pictures, with the images in them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

NEW = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
VOCABULARY = 1024
PATCH = 14


def make_seeing(source: Path, target: Path) -> None:
    """Write the model into ``target``; its tokenizer is that in ``source``, with tokens for images."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    target.mkdir(parents=True)
    tokenizer = json.loads((source / "tokenizer.json").read_text())
    plain = {
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    tokenizer["added_tokens"] += [
        {"id": VOCABULARY + number, "content": token, **plain} for number, token in enumerate(NEW)
    ]
    (target / "tokenizer.json").write_text(json.dumps(tokenizer))
    shutil.copy(source / "tokenizer_config.json", target)
    (target / "chat_template.jinja").write_text(TEMPLATE)
    (target / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR, indent=2))
    torch.manual_seed(0)
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    ids = {name: VOCABULARY + number for number, name in enumerate(names)}
    config = Qwen2VLConfig(text_config=TEXT, vision_config=VISION, tie_word_embeddings=False, **ids)
    model = Qwen2VLForConditionalGeneration(config).float()
    model.save_pretrained(target)


def write_rows(folder: Path) -> None:
    """The rows that have pictures, in parts, with the images themselves."""
    from datasets import Dataset, Image, List

    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    made = [
        {
            "messages": [
                {**turn, "content": in_parts(turn["content"])} for turn in row["messages"]
            ],
            "images": [str(folder / name) for name in row["images"]],
        }
        for row in rows
        if row["images"]
    ]
    rows = Dataset.from_list(made).cast_column("images", List(Image()))
    rows.to_parquet(folder / "rows.parquet")


def write_pairs(folder: Path) -> None:
    """The pairs that have pictures: a prompt without a place for them, and two answers to it."""
    from datasets import Dataset, Image, List

    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    names = {"human": "user", "gpt": "assistant", "system": "system"}
    made = [
        {
            name: [
                {"role": names[turn["from"]], "content": turn["value"].replace("<image>", "")}
                for turn in turns
            ]
            for name, turns in (
                ("prompt", row["conversations"]),
                ("chosen", [row["chosen"]]),
                ("rejected", [row["rejected"]]),
            )
        }
        | {"images": [str(folder / name) for name in row["images"]]}
        for row in rows
        if row["images"]
    ]
    rows = Dataset.from_list(made).cast_column("images", List(Image()))
    rows.to_parquet(folder / "pairs.parquet")


def in_parts(text: str) -> list[dict[str, str | None]]:
    """A text as its images and what stands behind them."""
    images = [{"type": "image", "text": None}] * text.count("<image>")
    return [*images, {"type": "text", "text": text.replace("<image>", "")}]


TEXT = {
    "vocab_size": VOCABULARY + len(NEW),
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 3, 3],
    },
    "eos_token_id": 2,
    "pad_token_id": 3,
    "bos_token_id": None,
    "tie_word_embeddings": False,
}
VISION = {
    "depth": 2,
    "embed_dim": 32,
    "hidden_size": 64,
    "num_heads": 2,
    "mlp_ratio": 2,
    "patch_size": PATCH,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
PREPROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2VLProcessor",
    "patch_size": PATCH,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "min_pixels": 28 * 28,
    "max_pixels": 112 * 112,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_convert_rgb": True,
    "rescale_factor": 1 / 255,
    "resample": 3,
}
TEMPLATE = """\
{% for message in messages %}{{ '<|im_start|>' + message['role'] + '
' }}{% if message['content'] is string %}{{ message['content'] }}{% else %}\
{% for part in message['content'] %}{% if part['type'] == 'image' %}\
<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}\
{% endfor %}{% endif %}{{ '<|im_end|>
' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

if __name__ == "__main__":
    make_seeing(Path(sys.argv[1]), Path(sys.argv[2]))
    if len(sys.argv) > 3:
        write_rows(Path(sys.argv[3]))
        write_pairs(Path(sys.argv[3]))
