"""GRPO and RLOO, as Unsloth's config classes change what a script says: models/rl.py of 2026.10.9."""

from __future__ import annotations

from typing import Any

import pytest

from tests.port.conftest import Bring, fate

SCRIPT = """\
from unsloth import FastLanguageModel
from datasets import load_dataset
from trl import GRPOConfig, GRPOTrainer
from vllm import SamplingParams

model, tokenizer = FastLanguageModel.from_pretrained("org/model", load_in_4bit=False, fast_inference=True)
model = FastLanguageModel.get_peft_model(model, r=8, random_state=3407)
rows = load_dataset("json", data_files="data/prompts.jsonl", split="train")
params = SamplingParams(min_p=0.1, top_k=-1, seed=3407, stop=[tokenizer.eos_token])

def short(completions, **kwargs):
    return [-float(len(one)) for one in completions]

trainer = GRPOTrainer(
    model=model, processing_class=tokenizer, reward_funcs=[short], train_dataset=rows,
    args=GRPOConfig(ARGUMENTS),
)
trainer.train()
"""
OBJECTIVE = "method.objective."


def said(read: Bring, arguments: str) -> dict[str, Any]:
    return dict(read(SCRIPT.replace("ARGUMENTS", arguments), "train.py").composed.values)


@pytest.mark.parametrize(
    ("arguments", "batch", "micro"),
    [
        ("per_device_train_batch_size=1, gradient_accumulation_steps=1, num_generations=4", 4, 4),
        ("per_device_train_batch_size=1, gradient_accumulation_steps=3, num_generations=4", 12, 4),
        ("per_device_train_batch_size=1, gradient_accumulation_steps=4, num_generations=4", 4, 1),
        ("", 8, 4),  # 4 x 2 rows, of groups of 8
        ("num_generations=6", 12, 6),
        ("per_device_train_batch_size=2, steps_per_generation=8, num_generations=8", 4, 2),
    ],
)
def test_a_batch_holds_whole_groups(read: Bring, arguments: str, batch: int, micro: int) -> None:
    values = said(read, arguments)
    assert (values["train.batch_size"], values["train.micro_batch_size"]) == (batch, micro)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("", {"loss": "dapo", "beta": None, "mask_truncated": False, "clip_high": None}),
        ("loss_type='dapo'", {"beta": 0.0, "mask_truncated": True, "clip_high": 0.28}),
        ("loss_type='DAPO', epsilon_high=0.3", {"loss": "dapo", "clip_high": 0.3}),
        ("loss_type='dr_grpo'", {"loss": "dr-grpo", "scale": "none", "beta": 0.0}),
        ("loss_type='dr_grpo', scale_rewards='group'", {"scale": "none"}),
        ("loss_type='dr_grpo', scale_rewards=None", {"scale": "group"}),
        ("loss_type='bnpo'", {"beta": 0.001, "scale": "group"}),
        ("loss_type='bnpo', beta=0.04", {"beta": 0.04}),
        ("loss_type='cispo'", {"clip_high": 5.0}),
    ],
)
def test_a_loss_brings_settings_of_its_paper(
    read: Bring, arguments: str, meant: dict[str, Any]
) -> None:
    values = said(read, arguments)
    found = {name: values.get(f"{OBJECTIVE}{name}") for name in meant}
    assert found == meant


def test_what_vllm_draws_by(read: Bring) -> None:
    found = read(SCRIPT.replace("ARGUMENTS", "vllm_sampling_params=params, min_p=0.5"), "train.py")
    drawn = found.composed.values
    assert drawn[f"{OBJECTIVE}generation.min_p"] == 0.1
    assert fate(found, "min_p")[0] == "inert"
    assert fate(found, "vllm_sampling_params.seed")[0] == "inert"
    assert not [one for one in found.composed.open if one.startswith("line ")]


def test_what_vllm_does_not_draw_by(read: Bring) -> None:
    plain = SCRIPT.replace("fast_inference=True", "fast_inference=False")
    found = read(plain.replace("ARGUMENTS", "vllm_sampling_params=params, min_p=0.5"), "train.py")
    assert found.composed.values[f"{OBJECTIVE}generation.min_p"] == 0.5
    assert fate(found, "vllm_sampling_params.min_p")[0] == "inert"
