"""Pairs of answers beside images, in the configs of each framework: read, asked about, or refused."""

from __future__ import annotations

import json

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_axolotl_images import QWEN
from tests.port.test_scripts_images import TRL, images, source

FACTORY = """\
model_name_or_path: Qwen/Qwen2-VL-7B-Instruct
stage: dpo
do_train: true
finetuning_type: lora
lora_target: all
dataset: rlhf_v
template: qwen2_vl
cutoff_len: 2048
output_dir: saves/one
"""
PAIRS = TRL.replace("SFT", "DPO")
WRITES = """\
def shown(row):
    return {"images": [row["image"]], "prompt": row["prompt"], "chosen": row["a"], "rejected": row["b"]}

dataset = dataset.map(shown)
trainer ="""


def test_a_ranking_of_llamafactory_has_its_images(read: Bring) -> None:
    imported = read(FACTORY)
    assert imported.faithful and not imported.composed.open
    assert source(imported)["format"] == "sharegpt-ranking"
    assert source(imported)["columns"] == {"images": "images"}
    said = {"train": ("language",), "max_pixels": 768 * 768, "min_pixels": 32 * 32, "learned": True}
    assert images(imported) == said
    values = imported.composed.values
    assert (values["method.objective.type"], values["data.overflow"]) == ("dpo", "error")
    assert any("cut there" in note for note in imported.notes)


FREE = "freeze_multi_modal_projector: false\n"
TOWER = "freeze_vision_tower: false\n"


@pytest.mark.parametrize(
    ("text", "kind", "parts"),
    [
        # seen with llamafactory 0.9.5 and transformers 5.6: which modules find_all_linear_modules finds
        (FREE, "derived", ("language",)),
        (FREE + TOWER, "derived", ("language", "vision")),
        (FREE + "lora_target: q_proj,v_proj\n", "derived", ("language",)),
        (FREE + "lora_target: mlp\n", "unknown", ("language",)),
        (FREE + "template: qwen3_vl\n", "derived", ("language",)),
        (FREE + TOWER + "template: qwen3_vl\n", "derived", ("language", "projector", "vision")),
        (FREE + "template: glm4v\n", "unknown", ("language",)),
        (FREE + "finetuning_type: full\n", "derived", ("language", "projector")),
        (FREE + "freeze_language_model: true\n", "unknown", ("language",)),
    ],
)
def test_adapters_of_llamafactory_get_to_few_projectors(
    read: Bring, text: str, kind: str, parts: tuple[str, ...]
) -> None:
    kept = [line for line in FACTORY.splitlines() if line.partition(":")[0] + ":" not in text]
    imported = read("\n".join([*kept, text]))
    assert fate(imported, "freeze_multi_modal_projector")[0] == kind
    assert images(imported)["train"] == parts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stage: dpo", "stage: rm"),
        ("stage: dpo", "stage: dpo\npref_loss: orpo"),
        ("stage: dpo", "stage: dpo\npref_loss: simpo"),
    ],
)
def test_other_objectives_of_llamafactory_have_none(read: Bring, old: str, new: str) -> None:
    kind, why = fate(read(FACTORY.replace(old, new)), "dataset")
    assert kind == "unknown" and "supervised tuning and DPO alone" in why


def test_judged_answers_beside_images_are_refused(read: Bring) -> None:
    entry = {
        "file_name": "rows.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "kto_tag": "label", "images": "images"},
    }
    info = {"dataset_info.json": json.dumps({"rlhf_v": entry})}
    text = FACTORY.replace("stage: dpo", "stage: kto\ndataset_dir: .")
    kind, why = fate(read(text, other=info), "dataset")
    assert kind == "unknown" and "a column for images" in why


def test_a_script_of_trl(read: Bring) -> None:
    imported = read(PAIRS, "train.py")
    assert source(imported)["format"] == "preference"
    assert source(imported)["columns"] == {"images": "images"}
    assert images(imported) == {"train": ("language", "projector", "vision")}
    assert imported.composed.values["data.train_on"] == "completions"
    assert [one for one in imported.composed.open if "which column" in one]
    assert any("<image> in a text is text there" in note for note in imported.notes)
    assert any("puts one before answers too" in note for note in imported.notes)
    cut = read(PAIRS.replace("max_length=None", "max_length=700"), "train.py").composed.values
    assert (cut["data.max_length"], cut["data.overflow"]) == (700, "error")
    assert read(PAIRS.replace(", max_length=None", ""), "train.py").composed.values[
        "data.overflow"
    ] == ("error")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("processing_class=processor", "processing_class=processor, data_collator=mine", "images"),
        ("trainer =", WRITES, "dataset.map(shown)"),
    ],
)
def test_what_a_script_does_by_itself_is_a_question(
    read: Bring, old: str, new: str, word: str
) -> None:
    assert [
        one for one in read(PAIRS.replace(old, new, 1), "train.py").composed.open if word in one
    ]


def test_a_model_that_trl_loads_is_asked_about(read: Bring) -> None:
    script = PAIRS.replace("model=model", 'model="Qwen/Qwen2-VL-2B-Instruct"')
    script = script.replace("processing_class=processor", "processing_class=None")
    lines = [one for one in script.splitlines() if not one.startswith(("model =", "processor ="))]
    asked = read("\n".join(lines), "train.py").composed.open
    assert [one for one in asked if "then model.images" in one]


@pytest.mark.parametrize("trainer", ["ORPO", "KTO", "GRPO"])
def test_other_trainers_have_none(read: Bring, trainer: str) -> None:
    imported = read(TRL.replace("SFT", trainer), "train.py")
    assert "model.images.train" not in imported.composed.values
    assert [one for one in imported.composed.open if "compared otherwise than by" in one]


def test_a_config_of_trls_command_is_asked(read: Bring) -> None:
    text = "model_name_or_path: Qwen/Qwen2-VL-2B-Instruct\ndataset_name: org/rows\nbeta: 0.1\n"
    imported = read(text + "precompute_ref_log_probs: false\noutput_dir: out\n")
    assert [one for one in imported.composed.open if "then model.images" in one]


def test_axolotl_shows_no_images_to_what_compares(read: Bring) -> None:
    kind, why = fate(read(QWEN + "rl: dpo\n"), "processor_type")
    assert kind == "unknown" and "no image reaches the model" in why
