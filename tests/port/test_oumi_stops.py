"""What Oumi stops at, which no run can have come of; held against its own TrainingConfig by hand, of 0.9."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ftspec.port.bring import Imported
from tests.port.conftest import Bring, fate

BASE = """\
model: {model_name: models/llama, model_max_length: 512, torch_dtype_str: bfloat16}
data: {train: {datasets: [{dataset_name: text_sft, dataset_path: rows.jsonl}]}}
training: {trainer_type: TRL_SFT, use_peft: true}
peft: {lora_target_modules: [q_proj]}
"""


def changed(read: Bring, **settings: Any) -> Imported:
    """The base config with other settings, their dots written as two underscores."""
    data = yaml.safe_load(BASE)
    for key, value in settings.items():
        *folders, last = key.split("__")
        place = data
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return read(yaml.safe_dump(data))


def stops(imported: Imported) -> list[str]:
    return [text for text in imported.composed.open if text.startswith("Oumi stops at")]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"training__mixed_precision_dtype": "BF16"}, "mixed_precision_dtype without"),
        ({"model__compile": True}, "model.compile, where"),
        ({"training__compile": True, "fsdp__use_orig_params": False}, "training.compile with"),
        (
            {"fsdp__enable_fsdp": True, "deepspeed__enable_deepspeed": True},
            "fsdp.enable_fsdp with deepspeed",
        ),
        (
            {"deepspeed__enable_deepspeed": True, "deepspeed__train_batch_size": 8},
            "deepspeed.train_batch_size",
        ),
        (
            {"deepspeed__zero_stage": "ZERO_2", "deepspeed__offload_param": {"device": "CPU"}},
            "deepspeed.offload_param without",
        ),
        (
            {"deepspeed__offload_optimizer": {"device": "CPU"}},
            "deepspeed.offload_optimizer without",
        ),
        ({"training__num_train_epochs": 0}, "a training of no steps"),
        ({"training__eval_steps": 100.0}, "eval_steps, a float"),
        ({"training__reward_functions": ["mine"]}, "reward_functions without"),
        (
            {"data__validation": {"datasets": [], "collator_name": "text_with_padding"}},
            "a collator_name that data.train has not",
        ),
        (
            {"training__num_train_epochs": 3.0},
            "training.num_train_epochs: 3.0, for it wants a whole",
        ),
        ({"training__save_steps": 0.5}, "training.save_steps: 0.5, for it wants a whole"),
        ({"training__seed": None}, "training.seed: None, for it may be missing"),
        (
            {"peft__lora_target_modules": "all-linear"},
            "peft.lora_target_modules: all-linear, for it",
        ),
    ],
)
def test_what_oumi_stops_at_is_a_question(read: Bring, settings: dict[str, Any], said: str) -> None:
    (found,) = stops(changed(read, **settings))
    assert found.startswith(f"Oumi stops at {said}")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "training__mixed_precision_dtype": "MixedPrecisionDtype.BF16",
            "model__torch_dtype_str": "F32",
        },
        {"deepspeed__zero_stage": "ZERO_2", "deepspeed__offload_optimizer": {"device": "CPU"}},
        {"training__max_steps": 5, "training__num_train_epochs": 0},
        {"training__eval_steps": 0.1},
        {"training__reward_functions": []},
        {
            "training__max_grad_norm": None,
            "training__warmup_steps": None,
            "model__model_max_length": None,
        },
    ],
)
def test_what_oumi_takes_is_none(read: Bring, settings: dict[str, Any]) -> None:
    assert stops(changed(read, **settings)) == []


def test_strange_keys_and_fields_that_are_not_read(read: Bring) -> None:
    found = changed(
        read,
        _recipe_metadata={"name": "mine"},
        model__nonsense=None,
        model__freeze_layers=[],
        model__text_only=True,
        training__bf16=False,
        peft__r=8,
        peft__llm_int8_skip_modules=["lm_head"],
        data__train__shuffled=True,
    )
    why = "Oumi has no such setting, and stops at it"
    strange = (
        "_recipe_metadata.name",
        "model.nonsense",
        "training.bf16",
        "peft.r",
        "data.train.shuffled",
    )
    assert {fate(found, key) for key in strange} == {("unknown", why)}
    assert fate(found, "model.freeze_layers") == ("inert", "it is off")
    for key in ("model.text_only", "peft.llm_int8_skip_modules"):
        assert fate(found, key) == ("unknown", "Oumi reads it, and ftspec does not"), key


def test_words_of_its_own(read: Bring) -> None:
    for word in ("yes", 1, "True"):
        assert changed(read, training__use_peft=word).composed.values["method.tuner.type"] == "lora"
    assert (
        fate(changed(read, model__torch_dtype_str="torch.bfloat16"), "model.torch_dtype_str")[0]
        == "unknown"
    )
    assert changed(read, model__torch_dtype_str="BF16").composed.values["model.dtype"] == "bfloat16"
    on = {"deepspeed__enable_deepspeed": True}
    for stage in ("2", 2, "zero_2"):  # a member's name alone is taken, not what it stands for
        found = changed(read, **on, deepspeed__zero_stage=stage)
        assert fate(found, "deepspeed.zero_stage")[0] == "unknown"


def test_what_is_handed_on_is_never_off(read: Bring) -> None:
    off = {"enable_thinking": False}
    found = changed(read, model__tokenizer_kwargs=off, model__chat_template_kwargs=off)
    assert fate(found, "model.tokenizer_kwargs.enable_thinking")[0] == "unknown"
    assert fate(found, "model.chat_template_kwargs.enable_thinking")[0] == "unknown"
    assert fate(changed(read, model__tokenizer_kwargs={}), "model.tokenizer_kwargs")[0] == "inert"


def test_zero_is_not_off(read: Bring) -> None:
    found = changed(read, training__label_ignore_index=0)
    assert fate(found, "training.label_ignore_index")[0] == "unknown"
