"""Scripts and notebooks that train models which read images: what of them a spec says, and what is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ftspec.port.bring import Imported
from tests.port.conftest import Bring, fate

UNSLOTH = """\
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
from unsloth import FastVisionModel
from unsloth.trainer import UnslothVisionDataCollator

model, tokenizer = FastVisionModel.from_pretrained("unsloth/Qwen2-VL-7B-Instruct", load_in_4bit=False)
model = FastVisionModel.get_peft_model(
    model, finetune_vision_layers=True, finetune_language_layers=True, finetune_attention_modules=True,
    finetune_mlp_modules=True, r=16, lora_alpha=16, lora_dropout=0, bias="none", random_state=3407,
)
dataset = load_dataset("org/formulas", split="train")
instruction = "Write this formula in LaTeX."

def convert_to_conversation(sample):
    conversation = [
        {"role": "user", "content": [
            {"type": "text", "text": instruction}, {"type": "image", "image": sample["picture"]},
        ]},
        {"role": "assistant", "content": [{"type": "text", "text": sample["formula"]}]},
    ]
    return {"messages": conversation}

converted = [convert_to_conversation(sample) for sample in dataset]
FastVisionModel.for_inference(model)  # a look at it first: `train` sets all of this anew (models/rl.py)
FastVisionModel.for_training(model)
trainer = SFTTrainer(
    model=model, tokenizer=tokenizer, train_dataset=converted,
    data_collator=UnslothVisionDataCollator(model, tokenizer),
    args=SFTConfig(
        per_device_train_batch_size=2, gradient_accumulation_steps=4, max_steps=30, learning_rate=2e-4,
        seed=3407, output_dir="outputs", remove_unused_columns=False, dataset_text_field="",
        dataset_kwargs={"skip_prepare_dataset": True}, max_length=1000,
    ),
)
trainer.train()
"""
TRL = """\
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import SFTConfig, SFTTrainer

model = AutoModelForImageTextToText.from_pretrained("Qwen/Qwen2-VL-2B-Instruct", dtype="bfloat16")
processor = AutoProcessor.from_pretrained("Qwen/Qwen2-VL-2B-Instruct")
dataset = load_dataset("org/seen", split="train")
trainer = SFTTrainer(
    model=model, train_dataset=dataset, processing_class=processor,
    args=SFTConfig(output_dir="out", max_length=None),
    peft_config=LoraConfig(r=8, target_modules="all-linear"),
)
trainer.train()
"""
TEXTS = {"user": "Write this formula in LaTeX.<image>", "assistant": "{{ formula }}"}


def source(imported: Imported) -> dict[str, Any]:
    (found,) = imported.composed.values["data.train"]
    return {name: value for name, value in found.items() if value}


def images(imported: Imported) -> dict[str, Any]:
    found = imported.composed.values.items()
    said = {path[13:]: value for path, value in found if path.startswith("model.images.")}
    return {name: value for name, value in said.items() if value is not None}


def test_a_notebook_of_unsloth(read: Bring) -> None:
    cells = [{"cell_type": "code", "source": [UNSLOTH]}]
    imported = read(json.dumps({"cells": cells}), "vision.ipynb")
    values = imported.composed.values
    assert source(imported)["template"] == TEXTS
    assert source(imported)["columns"] == {"images": "picture"}
    said = {"train": ("language", "vision"), "max_width": 512, "learned": False}
    assert images(imported) == said
    assert values["data.train_on"] == "all"
    assert values["method.tuner.targets"] == "all-linear"
    # the collator's own limit: what the model was loaded with, whatever the trainer says
    assert (values["data.max_length"], values["data.overflow"]) == (2048, "error")
    assert fate(imported, "max_length")[0] == "inert"
    assert fate(imported, "dataset_kwargs.skip_prepare_dataset")[0] == "inert"
    assert "multiples of 28" in fate(imported, "UnslothVisionDataCollator.given")[1]
    assert not imported.composed.open
    assert not [one for one in imported.fates if one.kind == "unknown"]


@pytest.mark.parametrize(
    ("old", "new", "parts", "targets"),
    [
        ("vision_layers=True", "vision_layers=False", ("language",), "all-linear"),
        ("language_layers=True", "language_layers=False", ("vision",), "all-linear"),
        # which switches all layers on, whatever else is said
        (
            "finetune_vision_layers=True,",
            'finetune_vision_layers=False, target_modules="all-linear",',
            ("language", "vision"),
            "all-linear",
        ),
        # names of a list are looked for in the projector too
        (
            "finetune_vision_layers=True,",
            'target_modules=["q_proj", "qkv"],',
            ("language", "projector", "vision"),
            ("q_proj", "qkv"),
        ),
    ],
)
def test_which_layers_get_adapters(
    read: Bring, old: str, new: str, parts: tuple[str, ...], targets: Any
) -> None:
    imported = read(UNSLOTH.replace(old, new), "train.py")
    assert images(imported)["train"] == parts
    assert imported.composed.values["method.tuner.targets"] == targets


def test_attention_alone_is_in_no_spec(read: Bring) -> None:
    script = UNSLOTH.replace("finetune_mlp_modules=True", "finetune_mlp_modules=False")
    assert fate(read(script, "train.py"), "get_peft_model.finetune_mlp_modules")[0] == "unknown"


@pytest.mark.parametrize(
    ("given", "key", "kind", "said"),
    [
        ('resize="max"', "resize", "inert", {"learned": False}),
        ("resize=700", "resize", "derived", {"learned": False, "max_width": 700}),
        ("resize=(224, 224)", "resize", "unknown", {"learned": False}),
        ("snap_to_patch_size=True", "snap_to_patch_size", "unknown", {"max_width": 512}),
        ("max_seq_length=3000", "max_seq_length", "derived", {"max_width": 512}),
        ("formatting_func=None", "formatting_func", "unknown", {"max_width": 512}),
    ],
)
def test_what_unsloths_collator_is_told(
    read: Bring, given: str, key: str, kind: str, said: dict[str, Any]
) -> None:
    imported = read(UNSLOTH.replace("tokenizer),", f"tokenizer, {given}),"), "train.py")
    found = {one.setting.key: one.kind for one in imported.fates}
    assert found[f"UnslothVisionDataCollator.{key}"] == kind
    assert images(imported).items() >= said.items()
    assert ("max_width" in said) == bool(images(imported).get("max_width"))
    length = 3000 if key == "max_seq_length" else 2048
    assert imported.composed.values["data.max_length"] == length


@pytest.mark.parametrize(
    ("last", "whom"), [("", "assistant"), (", last_response_only=True", "completions")]
)
def test_answers_alone(read: Bring, last: str, whom: str) -> None:
    parts = r'instruction_part="<|im_start|>user\n", response_part="<|im_start|>assistant\n"'
    given = f"tokenizer, train_on_responses_only=True, {parts}{last}),"
    imported = read(UNSLOTH.replace("tokenizer),", given), "train.py")
    assert imported.composed.values["data.train_on"] == whom
    assert images(imported).get("learned") in (None, True)
    assert fate(imported, "UnslothVisionDataCollator.response_part")[0] == "derived"
    assert imported.composed.values["data.turn_part"] == "ended"
    other = read(UNSLOTH.replace("tokenizer),", given).replace("Qwen2-VL", "gemma-3"), "train.py")
    assert fate(other, "UnslothVisionDataCollator.response_part")[0] == "approximated"
    assert other.composed.values["data.turn_part"] == "written"
    odd = given.replace(r"<|im_start|>assistant\n", "Answer:")
    imported = read(UNSLOTH.replace("tokenizer),", odd), "train.py")
    assert fate(imported, "UnslothVisionDataCollator.response_part")[0] == "unknown"


def test_a_width_that_only_the_model_knows_is_asked_for(read: Bring) -> None:
    imported = read(UNSLOTH.replace("Qwen2-VL-7B-Instruct", "gemma-3-4b-it"), "train.py")
    assert "max_width" in " ".join(imported.composed.open)
    assert not images(imported).get("max_width")


def test_four_bits_leave_the_tower(read: Bring) -> None:
    imported = read(UNSLOTH.replace("load_in_4bit=False", "load_in_4bit=True"), "train.py")
    assert fate(imported, "load_in_4bit")[0] == "approximated"
    assert "16 bits" in fate(imported, "load_in_4bit")[1]


def test_all_weights_of_unsloth(read: Bring) -> None:
    start, end = UNSLOTH.index("model = Fast"), UNSLOTH.index("dataset = ")
    script = UNSLOTH[:start] + UNSLOTH[end:]
    script = script.replace("load_in_4bit=False", "full_finetuning=True")
    imported = read(script, "train.py")
    assert images(imported)["train"] == ("language", "projector", "vision")
    assert imported.composed.values["method.tuner.type"] == "full"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # two images of one column, a text that reads like a place, a path, a film
        ('{"type": "text", "text": instruction}', '{"type": "image", "image": sample["picture"]}'),
        ('"text": instruction', '"text": "See <image>"'),
        ('sample["picture"]}', 'Image.open(sample["picture"])}'),
        (
            '{"type": "image", "image": sample["picture"]}',
            '{"type": "video", "video": sample["clip"]}',
        ),
        ("for sample in dataset]", "for sample in dataset if sample]"),
    ],
)
def test_rows_that_are_not_understood_are_asked_for(read: Bring, old: str, new: str) -> None:
    assert old in UNSLOTH
    imported = read(UNSLOTH.replace(old, new), "train.py")
    assert "template" not in source(imported)
    assert "converted = [" in " ".join(imported.composed.open)
    assert images(imported)["train"]


@pytest.mark.parametrize("how", ["map", "with images"])
def test_other_ways_to_write_rows(read: Bring, how: str) -> None:
    loop = "[convert_to_conversation(sample) for sample in dataset]"
    script = UNSLOTH.replace(loop, "dataset.map(convert_to_conversation)")
    if how == "with images":
        script = script.replace(
            '{"type": "image", "image": sample["picture"]}', '{"type": "image"}'
        )
        written = '{"images": [sample["picture"]], "messages": conversation}'
        script = script.replace('{"messages": conversation}', written)
    imported = read(script, "train.py")
    assert source(imported)["template"] == TEXTS
    assert source(imported)["columns"] == {"images": "picture"}
    assert not imported.composed.open


def test_a_text_that_is_written_of_turns_has_no_images(read: Bring) -> None:
    """What the chat template writes of such turns, without the images, is another training."""
    script = UNSLOTH.replace(
        'return {"messages": conversation}',
        'return {"text": tokenizer.apply_chat_template(conversation, tokenize=False)}',
    ).replace('dataset_text_field=""', 'dataset_text_field="text"')
    imported = read(script, "train.py")
    assert "template" not in source(imported)
    assert imported.composed.open


def test_trl_collates_by_the_columns(read: Bring) -> None:
    imported = read(TRL, "train.py")
    asked = " ".join(imported.composed.open)
    assert images(imported)["train"] == ("language", "projector", "vision")
    assert images(imported).get("learned", True) is True
    assert "which column holds the images" in asked and "which format" in asked
    assert imported.composed.values["data.max_length"] is None
    imported = read(TRL.replace(", max_length=None", ""), "train.py")
    assert imported.composed.values["data.max_length"] == 1024
    assert imported.composed.values["data.overflow"] == "error"


def test_trls_own_collator_by_name(read: Bring) -> None:
    given = "data_collator=DataCollatorForVisionLanguageModeling(processor, max_length=900),"
    script = TRL.replace("processing_class", f"{given} processing_class").replace(
        "from trl import", "from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling\n"
        "from trl import",
    )  # fmt: skip
    imported = read(script, "train.py")
    values = imported.composed.values
    assert (values["data.max_length"], values["data.train_on"]) == (900, "all")
    assert fate(imported, "max_length")[0] == "inert"


def test_bounds_of_a_processor(read: Bring) -> None:
    bound = "AutoProcessor.from_pretrained(NAME, max_pixels=1280 * 28 * 28, do_pad=True)"
    script = TRL.replace('AutoProcessor.from_pretrained("Qwen/Qwen2-VL-2B-Instruct")', bound)
    imported = read(f'NAME = "Qwen/Qwen2-VL-2B-Instruct"\n{script}', "train.py")
    assert images(imported)["max_pixels"] == 1280 * 28 * 28
    assert fate(imported, "AutoProcessor.max_pixels")[0] == "approximated"
    assert fate(imported, "AutoProcessor.do_pad")[0] == "unknown"


NAMED = """\
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
rows = load_dataset("org/rows", split="train")
trainer = SFTTrainer("Qwen/Qwen2.5-VL-3B-Instruct", train_dataset=rows, args=SFTConfig(max_length=None))
trainer.train()
"""


@pytest.mark.parametrize(
    "script",
    [
        NAMED,
        TRL.replace("AutoProcessor", "AutoTokenizer"),
        UNSLOTH.replace("    data_collator=UnslothVisionDataCollator(model, tokenizer),\n", ""),
    ],
)
def test_no_spec_for_text_without_a_word(read: Bring, script: str) -> None:
    """A model that reads images, and nothing that says whether the rows have any."""
    imported = read(script, "train.py")
    assert "have its rows images?" in " ".join(imported.composed.open)
    assert not images(imported)


@pytest.mark.parametrize(
    "said",
    ['args=SFTConfig(max_length=None, dataset_text_field="story")', "formatting_func=written"],
)
def test_a_script_that_names_its_texts_is_not_asked(read: Bring, said: str) -> None:
    written = "def written(row):\n    return f\"{row['title']}: {row['body']}\"\n"
    script = written + NAMED.replace("args=SFTConfig(max_length=None)", said)
    assert "images" not in " ".join(read(script, "train.py").composed.open)


@pytest.mark.parametrize("trainer", ["GRPO", "DPO"])
def test_rewards_and_pairs_of_a_model_that_reads_images(read: Bring, trainer: str) -> None:
    script = NAMED.replace("SFT", trainer)
    assert "have its rows images?" in " ".join(read(script, "train.py").composed.open)


@pytest.mark.parametrize("trainer", ["sft", "dpo"])
def test_a_config_of_trl_that_names_such_a_model(read: Bring, trainer: str) -> None:
    config = f"model_name_or_path: org/Some-VL-2B\ntrainer: {trainer}\ndataset_name: org/rows\n"
    config = config.replace("trainer: sft\n", "").replace("trainer: dpo", "loss_type: sigmoid")
    assert "have its rows images?" in " ".join(read(config).composed.open)
    text = read(f"{config}dataset_text_field: story\n")
    assert "images" not in " ".join(text.composed.open)


def test_images_beside_rewards_are_asked_for(read: Bring) -> None:
    script = UNSLOTH.replace("SFT", "GRPO").replace(
        "    data_collator=UnslothVisionDataCollator(model, tokenizer),\n", ""
    )
    assert "no spec has any" in " ".join(read(script, "train.py").composed.open)
    assert not images(read(script, "train.py"))
