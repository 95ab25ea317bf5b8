"""Functions of a script: what they give back, and what their parameters are where a call says nothing."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring

HEAD = "from datasets import load_dataset\nfrom trl import SFTConfig, SFTTrainer\n"
TAIL = """
rows = load_dataset("org/rows", split="train")
trainer = SFTTrainer("org/base", args=build(), train_dataset=rows)
trainer.train()
"""
LATE = 'return SFTConfig(output_dir="o", seed=9)'
LAST = '    return SFTConfig(output_dir="o", seed=1)'

EARLY = {
    "a branch": f"def build():\n    if weather():\n        {LATE}\n{LAST}",
    "its other branch": f"def build():\n    if weather():\n        pass\n    else:\n        {LATE}\n{LAST}",
    "a case": f"def build(kind='a'):\n    match kind:\n        case 'a':\n            {LATE}\n{LAST}",
    "a loop": f"def build():\n    for one in days():\n        {LATE}\n{LAST}",
    "a loop with a test": f"def build():\n    while weather():\n        {LATE}\n{LAST}",
    "what fails": f"def build():\n    try:\n        weather = 1\n    except OSError:\n        {LATE}\n{LAST}",
    "a name": "def build():\n    c = SFTConfig(output_dir='o', seed=1)\n    if weather():\n        return c\n"
    "    c.seed = 7\n    return c",
}


def seed(read: Bring, text: str) -> tuple[object, ...]:
    """The seed that is read, and what is asked beside the rows."""
    found = read(HEAD + text + TAIL, "fit.py").composed
    asked = [one for one in found.open if not one.startswith("data.train: ")]
    return (found.values.get("train.seed"), *asked)


@pytest.mark.parametrize("name", EARLY)
def test_a_function_that_may_end_early_is_asked_about(read: Bring, name: str) -> None:
    assert len(seed(read, EARLY[name])) > 1


@pytest.mark.parametrize("given", ["", " None", " 1", " -1", " False"])
def test_a_guard_changes_nothing(read: Bring, given: str) -> None:
    guarded = f"def build():\n    if weather():\n        return{given}\n{LAST}"
    assert seed(read, guarded) == (1,)
