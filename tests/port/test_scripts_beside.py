"""Models that a script gives a trainer beside the one that trains: none of them is passed over in silence."""

from __future__ import annotations

import pytest

from ftspec.errors import SpecError
from tests.port.conftest import Bring

HEAD = """\
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import *
policy = AutoModelForCausalLM.from_pretrained("org/base", torch_dtype="bfloat16")
"""
TAIL = (
    ', train_dataset=load_dataset("json", data_files="r.jsonl", split="train"))\ntrainer.train()\n'
)
DPO = 'trainer = DPOTrainer(policy, {}, args=DPOConfig(output_dir="o")' + TAIL


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ('("org/base", torch_dtype="bfloat16")', ""),
        ('("org/base", torch_dtype="bfloat16", device_map="auto", trust_remote_code=True)', ""),
        ('("org/sft", torch_dtype="bfloat16")', "org/base and org/sft"),
        ('("org/base")', "torch_dtype"),
        ('("org/base", torch_dtype="bfloat16", revision="v1")', "revision"),
        ('("org/base", torch_dtype="bfloat16", quantization_config=BitsAndBytesConfig(load_in_4bit=True))',
         "quantization_config"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("given", ["ref_model=ref", "ref"])
def test_a_reference_of_its_own_is_asked_for(
    read: Bring, reference: str, said: str, given: str
) -> None:
    text = f"{HEAD}from transformers import BitsAndBytesConfig\n"
    text += f"ref = AutoModelForCausalLM.from_pretrained{reference}\n{DPO.format(given)}"
    found = read(text, "fit.py").composed
    assert found.values["model.name"] == "org/base"
    asked = [one for one in found.open if "ref_model: a reference that is not" in one]
    assert bool(asked) is bool(said)
    assert all(one.endswith(said) for one in asked)


def test_no_reference_is_none(read: Bring) -> None:
    found = read(HEAD + DPO.format("ref_model=None"), "fit.py").composed
    assert not any("ref_model" in one for one in found.open)


GKD = 'trainer = GKDTrainer(policy, teacher_model={}, args=GKDConfig(output_dir="o")' + TAIL


@pytest.mark.parametrize(
    ("teacher", "name", "asked"),
    [
        ('"org/large"', "org/large", ""),
        ('AutoModelForCausalLM.from_pretrained("org/large", torch_dtype="bfloat16")', "org/large", ""),
        ('AutoModelForCausalLM.from_pretrained("org/large")', "org/large", "torch_dtype"),
        ("fetch()", None, "not known"),
    ],
)  # fmt: skip
def test_a_teacher_is_named(read: Bring, teacher: str, name: str | None, asked: str) -> None:
    found = read(HEAD + GKD.format(teacher), "fit.py").composed
    assert found.values.get("method.objective.teacher") == name
    open_ones = [one for one in found.open if "teacher_model:" in one]
    assert bool(open_ones) is bool(asked)
    assert all(one.endswith(asked) for one in open_ones)


PPO = """\
config = PPOConfig(output_dir="o", learning_rate=1e-6, num_ppo_epochs=2, response_length=40,
                   total_episodes=64, per_device_train_batch_size=2)
rewards = AutoModelForSequenceClassification.from_pretrained("org/judge", num_labels=1)
values = AutoModelForSequenceClassification.from_pretrained("{}", num_labels=1)
trainer = PPOTrainer(args=config, model=policy, ref_model=None, reward_model=rewards, value_model=values"""


@pytest.mark.parametrize("value", ["org/judge", "org/another"])
def test_models_of_ppo(read: Bring, value: str) -> None:
    found = read(HEAD + PPO.format(value) + TAIL, "fit.py").composed
    assert found.spec.method.objective.rewards[0].name == "org/judge"
    asked = any("value model that begins as another" in one for one in found.open)
    assert asked is (value == "org/another")


def test_a_loop_of_its_own_is_refused(read: Bring) -> None:
    text = """\
from trl import AutoModelForCausalLMWithValueHead, PPOConfig, PPOTrainer
config = PPOConfig(model_name="org/base", learning_rate=1e-5, batch_size=64)
model = AutoModelForCausalLMWithValueHead.from_pretrained(config.model_name)
ppo_trainer = PPOTrainer(config, model, None)
for batch in ppo_trainer.dataloader:
    ppo_trainer.step(batch["query"], batch["answer"], batch["reward"])
"""
    with pytest.raises(SpecError, match="a loop of its own"):
        read(text, "fit.py")


def test_a_reward_model_of_one_architecture(read: Bring) -> None:
    text = """\
from datasets import load_dataset
from transformers import LlamaForSequenceClassification
from trl import RewardConfig, RewardTrainer
model = LlamaForSequenceClassification.from_pretrained("org/base", num_labels=1, torch_dtype="bfloat16")
trainer = RewardTrainer(model, args=RewardConfig(output_dir="o")"""
    found = read(text + TAIL, "fit.py").composed
    assert (found.values["model.name"], found.values["model.dtype"]) == ("org/base", "bfloat16")
    assert not any("line 4" in one for one in found.open)
