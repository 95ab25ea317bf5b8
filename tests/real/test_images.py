"""Rows with images: a config of LLaMA-Factory trains the same where it is ported to trl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftspec.env.install import ensure
from ftspec.families.rows.images import OUTSIDE
from ftspec.plan.make import make_plan
from ftspec.plan.write import write_plan
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, keep_pair
from tests.real.ported_images import ported
from tests.real.test_ported import CHATS, SMALL

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

SHOWN = {
    **CHATS,
    "file_name": "../../pictures/rows.jsonl",
    "columns": {"messages": "messages", "images": "images"},
}
SEEING: Mapping[str, Any] = {
    **SMALL,
    "model_name_or_path": "../../seeing",
    "media_dir": "../../pictures",
    "template": "qwen2_vl",
    "image_max_pixels": 9000,  # some of the pictures are larger
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_target": "all",
    "learning_rate": 1.0e-3,
    "warmup_steps": 1,
}
WHOLE = {"train_on_prompt": True, "lora_target": "q_proj,v_proj"}
"""Tokens of images are learned as well."""
CASES: Mapping[str, Mapping[str, Any]] = {
    "the language model": {},
    "four bits": {"quantization_bit": 4, "quantization_method": "bnb"},
    "the tower as well": {"freeze_vision_tower": False, "mask_history": True},
    "all weights but the tower": {
        "finetuning_type": "full",
        "freeze_multi_modal_projector": False,
        "learning_rate": 1.0e-4,
    },
    "the whole conversation": WHOLE,
}
HAND = """\
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import SFTConfig, SFTTrainer

NAME, FOLDER = "../../seeing", "../../pictures"
model = AutoModelForImageTextToText.from_pretrained(NAME, dtype="float32")
processor = AutoProcessor.from_pretrained(NAME)
rows = load_dataset("parquet", data_files="../../pictures/rows.parquet", split="train")


def collate_fn(examples):
    texts = [processor.apply_chat_template(one["messages"], tokenize=False) for one in examples]
    images = [one["images"] for one in examples]
    batch = processor(
        text=texts, images=images, return_tensors="pt", padding=True, pad_to_multiple_of=8
    )
    labels = batch["input_ids"].clone()
    labels[labels == processor.tokenizer.pad_token_id] = -100
    labels[labels == processor.image_token_id] = -100
    batch["labels"] = labels
    return batch


trainer = SFTTrainer(
    model=model, train_dataset=rows, processing_class=processor, data_collator=collate_fn,
    args=SFTConfig(
        output_dir="model", max_steps=6, per_device_train_batch_size=2, gradient_accumulation_steps=2,
        learning_rate=1e-3, logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, bf16=False,
        remove_unused_columns=False, dataset_kwargs={"skip_prepare_dataset": True},
    ),
    peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"),
)
trainer.train()
trainer.save_model("model")
"""


@pytest.mark.parametrize("case", CASES)
def test_a_config_with_images_trains_the_same_in_trl(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    ported(lab, monkeypatch, f"images, {case}", {**SEEING, **CASES[case]}, SHOWN)


@pytest.mark.parametrize(
    "case", ["four bits", "all weights but the tower", "the whole conversation"]
)
def test_a_config_with_images_trains_the_same_in_axolotl(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    settings = {**SEEING, **CASES[case], "warmup_steps": 2}
    ported(lab, monkeypatch, f"images, to axolotl, {case}", settings, SHOWN, "axolotl")


def test_a_script_that_collates_by_itself_trains_the_same(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images in the rows, all of a conversation learned but the tokens of its images."""

    def runs(folder: Path) -> Mapping[str, Run]:
        original = folder / "original"
        original.mkdir(parents=True)
        (original / "train.py").write_text(HAND)
        monkeypatch.chdir(original)
        carried = carry([Path("train.py")], "trl", folder / "trl", allow_lossy=True)
        run = as_run(carried.plan, ensure(load_backend("trl"), carried.plan.lock()))
        return {"original": replace(run, folder=original), "trl": run}

    proven = lab.compare("images-by-hand", runs)
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    keep_pair("a script of trl, images, a collator of its own", "trl", "trl", certificate)


SEEN = """\
version: 1
model: {name: ./seeing, images: {train: [language, vision]}}
data: {train: {path: pictures/rows.jsonl, columns: {images: images}}, max_length: null}
method: {objective: {type: sft}}
precision: fp32
train: {steps: 6, batch_size: 4, micro_batch_size: 2}
hardware: {device: cpu}
"""
"""A spec whose script has a collator."""
ANSWERS = {
    "train_on_responses_only": True,
    "instruction_part": "<|im_start|>user\n",
    "response_part": "<|im_start|>assistant\n",
}


def reference(lab: Lab, folder: Path, *arguments: Any) -> dict[str, Any]:
    """What `seen_reference.py` finds in Unsloth's environment."""
    place = ensure(load_backend("unsloth"))
    script = Path(__file__).with_name("seen_reference.py")
    rows = lab.base / "pictures" / "rows.jsonl"
    command = [place.python, script, folder / "train.py", lab.base / "seeing", rows]
    words = [*map(str, command), *map(json.dumps, arguments), "found.json"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


@pytest.mark.parametrize(
    ("said", "how"),
    [
        (
            ("model.images.learned=false", "model.images.max_width=100", "data.train_on=all"),
            {"resize": 100},
        ),
        (("data.train_on=assistant", "data.turn_part=ended"), {"resize": "max", **ANSWERS}),
    ],
    ids=["all of the text", "answers"],
)
def test_unsloths_collator_makes_the_same_of_rows(
    lab: Lab, pictures: Path, tmp_path: Path, said: tuple[str, ...], how: dict[str, Any]
) -> None:
    """Pixels to the last bit, and labels but for tokens around images."""
    spec = lab.base / f"seen-{len(said)}.yaml"
    spec.write_text(SEEN)
    folder = lab.base / f"seen-{len(said)}"
    write_plan(make_plan(load(spec, said), "trl", folder))
    found = reference(lab, folder, {}, how)["batches"]
    assert found["ids"] and found["grid"] and found["pixels"] == 0.0
    assert found["learned"] > 100 and found["rows"] == 16
    if how.keys() & ANSWERS.keys():
        assert not found["ours"] and not found["theirs"]
    else:
        assert set(found["ours"]) == {"<|vision_start|>", "<|vision_end|>"} and not found["theirs"]


def test_unsloth_adapts_what_a_spec_says(lab: Lab, pictures: Path) -> None:
    """Its pattern, and all linear layers less those of the other parts: of each family the same ones."""
    patterns = {
        parts: OUTSIDE[parts] for parts in (("language", "vision"), ("language",), ("vision",))
    }
    folder = lab.base / "pictures"
    found = reference(lab, folder, {" ".join(parts): text for parts, text in patterns.items()}, {})
    assert len(found["layers"]) == 21
    for name, (count, ours, theirs) in found["layers"].items():
        assert count and not theirs, name
        stacked = name.startswith("qwen3_vl") and "vision" in name
        assert all("deepstack_merger_list" in one for one in ours), name
        assert bool(ours) == stacked, name
