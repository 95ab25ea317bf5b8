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


CONFIG = 'return SFTConfig(output_dir="o", seed={})'
WHERE = f"def build(seed=S):\n    {CONFIG.format('seed')}\n"
DATACLASS = "from dataclasses import dataclass, field\n"
OF_CLASS = f"def build():\n    {CONFIG.format('C().seed')}\n"

DEFINED = {
    "a name that is bound anew": (f"S = 4\n{WHERE}S = 5\n", 4),
    "a name of the caller": (
        f"S = 4\ndef inner(seed=S):\n    {CONFIG.format('seed')}\n"
        "def build():\n    S = 9\n    return inner()\n",
        4,
    ),
    "a name of the definer": (
        "S = 4\ndef build():\n    S = 9\n    def inner(seed=S):\n"
        f"        {CONFIG.format('seed')}\n    return inner()\n",
        9,
    ),
    "a body's name, of the definer": (
        "S = 4\ndef build():\n    S = 9\n    def inner():\n"
        f"        {CONFIG.format('S')}\n    return inner()\n",
        9,
    ),
    "a body's name, of the module and not of the caller": (
        f"S = 4\ndef inner():\n    {CONFIG.format('S')}\ndef build():\n    S = 9\n    return inner()\n", 4,
    ),
    "its own name": (f"seed = 4\ndef build(seed=seed):\n    {CONFIG.format('seed')}\nseed = 5\n", 4),
    "one by its name alone": (f"S = 4\ndef build(*, seed=S + 1):\n    {CONFIG.format('seed')}\nS = 7\n", 5),
    "a part of a mapping": (
        f"M = {{'s': 4}}\ndef build(seed=M['s']):\n    {CONFIG.format('seed')}\nM['s'] = 5\n", 4,
    ),
    "a setting": (
        f"{DATACLASS}@dataclass\nclass A:\n    s: int = 4\na = A()\n"
        f"def build(seed=a.s):\n    {CONFIG.format('seed')}\na.s = 5\n",
        4,
    ),
    "a field": (f"{DATACLASS}S = 4\n@dataclass\nclass C:\n    seed: int = S\nS = 5\n{OF_CLASS}", 4),
    "a field that says default": (
        f"{DATACLASS}S = 4\n@dataclass\nclass C:\n    seed: int = field(default=S)\nS = 5\n{OF_CLASS}", 4,
    ),
    "a field that is made": (
        f"{DATACLASS}S = 4\n@dataclass\nclass C:\n    seed: int = field(default_factory=lambda: S)\n"
        f"S = 5\n{OF_CLASS}",
        5,
    ),
    "a field of a plain class": (
        f"S = 4\nclass C:\n    def __init__(self):\n        self.seed = S\nS = 5\n"
        f"def build():\n    S = 9\n    {CONFIG.format('C().seed')}\n",
        5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFINED)
def test_a_default_is_worked_out_where_it_is_defined(read: Bring, name: str) -> None:
    text, expected = DEFINED[name]
    assert seed(read, text) == (expected,)


NOWHERE = {
    "a name that is bound below": f"{WHERE}S = 4\n",
    "a name that a class binds": f"s = 4\nclass C:\n    s: int = 9\n    seed: int = s\n{OF_CLASS}",
    "a name of its making": "s = 4\nclass C:\n    def __init__(self):\n        s = 9\n        self.seed = s\n"
    + OF_CLASS,
}


@pytest.mark.parametrize("name", NOWHERE)
def test_a_default_that_is_not_certain_is_asked_for(read: Bring, name: str) -> None:
    assert len(seed(read, NOWHERE[name])) > 1
