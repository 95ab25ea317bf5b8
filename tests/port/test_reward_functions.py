"""Rewards that a script defines: they become a module of their own, which does what they did."""

from __future__ import annotations

from typing import Any

import pytest

from ftspec.port.scripts.rewards import rewards_of
from tests.port.conftest import Bring, fate

SCRIPT = '''\
import re
from functools import cache
from datasets import load_dataset
from trl import GRPOConfig, GRPOTrainer

rows = load_dataset("json", data_files="data/prompts.jsonl", split="train")
opening = "<think>"
pattern = re.compile(rf"{opening}.*", flags=re.DOTALL)
SEEN = 0
unused = load_dataset("org/other")

@cache
def clean(text):
    """Without thoughts."""
    return pattern.sub("", text).strip()

def short(completions, **kwargs):
    global SEEN
    SEEN += 1
    return [-float(len(clean(one))) for one in completions]

def letters(completions, answer=None, **kwargs) -> list[float]:
    return [float(len({letter for letter in one})) for one in completions]

trainer = GRPOTrainer(
    model="org/model", reward_funcs=REWARDS, train_dataset=rows,
    args=GRPOConfig(num_generations=4, reward_weights=[1.0, 0.5], bf16=True),
)
trainer.train()
'''
BOTH = SCRIPT.replace("REWARDS", "[short, letters]")


def test_the_module_does_what_the_script_did() -> None:
    found = rewards_of(BOTH)
    assert found is not None
    assert found.names == ("short", "letters")
    names: dict[str, Any] = {}
    exec(found.text, names)  # noqa: S102 - the script of this file
    said = ["<think>so", "an answer "]
    assert names["short"](completions=said) == [0.0, -9.0]
    assert names["letters"](completions=["aab"], answer=["x"]) == [2.0]
    assert names["SEEN"] == 1
    assert "load_dataset" not in found.text  # nothing that they do not need


def test_a_script_with_rewards_leaves_no_question(read: Bring) -> None:
    found = read(BOTH, "train.py")
    assert not [one for one in found.composed.open if one.startswith("line ")]
    rewards = found.composed.values["method.objective.rewards"]
    assert [(one["function"], one["weight"]) for one in rewards] == [
        ("short", 1.0),
        ("letters", 0.5),
    ]
    assert {one["file"] for one in rewards} == {"./train.rewards.py"}
    assert fate(found, "reward_funcs")[0] == "derived"
    assert found.files == {"train.rewards.py": rewards_of(BOTH).text}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("REWARDS", "[short, make(3)]"),
        ("REWARDS", "[lambda completions, **kwargs: [0.0]]"),
        ("REWARDS", "somewhere_else"),
        ("opening = ", "opening = other.name + "),
        ("SEEN = 0", "SEEN = 0\nSEEN = 1"),
        ("SEEN = 0", "SEEN = len(load_dataset('org/rows'))"),
        ("pattern = ", "pattern, other = "),
        ("def clean(text):", "def clean(text, model=model):"),
    ],
)
def test_what_needs_more_stays_a_question(read: Bring, old: str, new: str) -> None:
    text = SCRIPT.replace(old, new).replace("REWARDS", "[short, letters]")
    assert rewards_of(text) is None
    found = read(text, "train.py")
    assert any("reward_funcs" in one for one in found.composed.open)


def test_a_script_needs_no_folder(read: Bring) -> None:
    """transformers writes to `trainer_output` where nothing is said; the first argument is the folder."""
    bare = read(BOTH, "train.py")
    assert bare.composed.values["output.folder"] == "trainer_output"
    said = read(BOTH.replace("GRPOConfig(", 'GRPOConfig("out", '), "train.py")
    assert said.composed.values["output.folder"] == "out"


NOTEBOOK = """\
from unsloth import FastModel
from trl import GRPOConfig, GRPOTrainer
model, tokenizer = FastModel.from_pretrained("org/model", max_seq_length=1024, load_in_4bit=FEW)
model = FastModel.get_peft_model(model, r=8, lora_alpha=8)
rows = load_dataset("json", data_files="data/prompts.jsonl", split="train")
opening = "<think>"
system = f"Think in {opening}."
system
opening
def short(completions, **kwargs):
    return [-float(len(one)) for one in completions]
short(["abc"])
trainer = GRPOTrainer(
    model=model, processing_class=tokenizer, reward_funcs=[short], train_dataset=rows,
    args=GRPOConfig(
        per_device_train_batch_size=4, num_generations=4, max_prompt_length=256, seed=3407,
        max_completion_length=1024 - 256, output_dir="out",
    ),
)
trainer.train()
"""


@pytest.mark.parametrize("few", ["True", "False"])
def test_a_notebook_of_unsloths_draws_as_many(read: Bring, few: str) -> None:
    """ftspec compiles GRPO for trl alone; what Unsloth's notebooks say of it is trl's all the same."""
    found = read(NOTEBOOK.replace("FEW", few), "train.py")
    values = found.composed.values
    assert values["method.objective.generation.completions"] == 4
    assert values["method.objective.generation.max_length"] == 768
    assert values["data.max_length"] == 256
    assert (values["model.quantization.type"] == "nf4") == (few == "True")
    assert fate(found, "from_pretrained.max_seq_length")[0] == "inert"
    assert not [one for one in found.composed.open if one.startswith("line ")]
    unknown = [one.setting.key for one in found.fates if one.kind in ("unknown", "kept")]
    assert unknown == []


def test_what_changes_a_list_is_no_show(read: Bring) -> None:
    """The module would have the list as it was made: that it grows is for a person to see."""
    words = NOTEBOOK.replace("FEW", "False").replace(
        'opening = "<think>"', 'opening = "<think>"\nwords = []\nwords.append("so")'
    )
    counted = words.replace("-float(len(one))", "float(one in words)")
    found = read(counted, "train.py")
    assert any("words.append" in one for one in found.composed.open)
