"""Rows of like length in one step: who does it, who stops at it, and who never asks."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_oumi import LORA as OUMI
from tests.port.test_scripts import UNSLOTH
from tests.port.test_stops import LEAST

PATH = "data.group_by_length"
STRATEGY = "train_sampling_strategy: group_by_length\n"
LENGTHS = "group_by_length: true\n"
LLAMAFACTORY = (
    "model_name_or_path: org/model\ndo_train: true\ndataset: alpaca_en_demo\noutput_dir: o\n"
    "template: qwen\n"
)
AXOLOTL = (
    "base_model: org/model\ndatasets: [{path: rows.jsonl, type: alpaca}]\nmicro_batch_size: 1\n"
    "learning_rate: 1.0e-4\n"
)


@pytest.mark.parametrize("said", [STRATEGY, LENGTHS])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (LEAST, "trl"),
        (LLAMAFACTORY + "stage: sft\n", "llamafactory"),
        (LLAMAFACTORY.replace("alpaca_en", "c4") + "stage: pt\npacking: false\n", "llamafactory"),
    ],
)
def test_by_either_name(read: Bring, text: str, wanted: str, said: str) -> None:
    found = read(text + said, wanted=wanted)
    assert fate(found, said.partition(":")[0])[0] in ("exact", "renamed")
    values = found.composed.values
    assert (values[PATH], values["data.shuffle"]) == (True, True)


def test_axolotl_and_oumi_and_scripts(read: Bring) -> None:
    assert read(AXOLOTL + LENGTHS).composed.values[PATH] is True
    for said in ("group_by_length: true", "train_sampling_strategy: group_by_length"):
        oumi = OUMI.replace("  compile: False\n", f"  seed: 7\n  trainer_kwargs: {{{said}}}\n")
        values = read(oumi).composed.values
        # Oumi's seed of plain random order is 42 whatever the other is, and nothing asks for it here
        assert (values[PATH], values["train.seed"]) == (True, 7)
        assert values.get("train.data_seed") is None
    for said in ("group_by_length=True", 'train_sampling_strategy="group_by_length"'):
        script = UNSLOTH.replace("max_steps=60", f"max_steps=60, {said}")
        found = read(script, "train.py")
        assert found.composed.values[PATH] is True
        assert fate(found, said.partition("=")[0])[0] in ("exact", "renamed")


@pytest.mark.parametrize(
    ("text", "key", "kind", "why"),
    [
        (LEAST + LENGTHS + "trainer: dpo\n", "group_by_length", "unknown", "transformers stops"),
        (LEAST + STRATEGY + "trainer: orpo\n", "train_sampling_strategy", "unknown", "stops"),
        (LEAST + STRATEGY + "trainer: reward\n", "train_sampling_strategy", "unknown", "stops"),
        (LEAST + LENGTHS + "trainer: kto\n", "group_by_length", "unknown", "in their order"),
        (LEAST + LENGTHS + "trainer: grpo\n", "group_by_length", "inert", "sampler of its own"),
        (LEAST + STRATEGY + "trainer: grpo\n", "train_sampling_strategy", "inert", "of its own"),
        (LEAST + "group_by_length: false\n", "group_by_length", "inert", ""),
        (LEAST + LENGTHS + "data_seed: 7\n", "data_seed", "inert", "trainer's seed"),
        (LEAST + "data_seed: 7\n", "data_seed", "exact", ""),
        (LEAST + LENGTHS + "length_column_name: n\n", "length_column_name", "inert", "taken away"),
        (
            LEAST + LENGTHS + "length_column_name: n\nremove_unused_columns: false\n",
            "length_column_name", "unknown", "measured by a column",
        ),
        (LEAST + LENGTHS + "packing: true\n", "group_by_length", "approximated", "of one length"),
        (LLAMAFACTORY + LENGTHS + "stage: pt\n", "group_by_length", "approximated", "of one length"),
        (LLAMAFACTORY + STRATEGY + "stage: sft\nneat_packing: true\n", "train_sampling_strategy",
         "approximated", "of one length"),
        (LLAMAFACTORY + LENGTHS + "stage: kto\n", "group_by_length", "unknown", "other rows' answers"),
        (LLAMAFACTORY + STRATEGY + "stage: rm\n", "train_sampling_strategy", "unknown", "stops"),
        (AXOLOTL + LENGTHS + "sample_packing: true\n", "group_by_length", "inert", "packed rows"),
        (AXOLOTL + LENGTHS + "curriculum_sampling: true\n", "group_by_length", "inert", "in their order"),
        (AXOLOTL + LENGTHS + "val_set_size: 0.1\n", "group_by_length", "approximated", "apart"),
        (AXOLOTL + LENGTHS + "reward_model: true\n", "group_by_length", "unknown", "stops"),
        (AXOLOTL + LENGTHS + "rl: dpo\n", "group_by_length", "inert", "nothing reads it"),
    ],
)  # fmt: skip
def test_who_stops_and_who_never_asks(
    read: Bring, text: str, key: str, kind: str, why: str
) -> None:
    wanted = "trl" if text.startswith(LEAST) else None
    found = read(text, wanted=wanted) if wanted else read(text)
    told = fate(found, key)
    assert told[0] == kind and why in told[1], told
    if key != "data_seed" and kind != "approximated" and "length_column" not in key:
        assert not found.composed.values.get(PATH)


def test_a_word_that_transformers_has_not(read: Bring) -> None:
    text = LLAMAFACTORY + "stage: sft\npacking: true\ntrain_sampling_strategy: by_chance\n"
    assert fate(read(text, wanted="llamafactory"), "train_sampling_strategy")[0] == "unknown"
