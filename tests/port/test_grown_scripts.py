"""Scripts that double themselves: forty lines that would be a million million values, if followed."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring

LINES = 40
HEAD = "from trl import SFTConfig, SFTTrainer\n"
TRAINING = """\
args = SFTConfig(output_dir="o", learning_rate=1e-4, max_steps=3, run_name={name})
trainer = SFTTrainer(model="org/model", args=args)
trainer.train()
"""


def doubled(first: str, line: str) -> str:
    return first + "".join(line.format(new=n + 1, old=n) for n in range(LINES))


GROWN = {
    "texts": (doubled("x0 = 'ab'\n", "x{new} = x{old} + x{old}\n"), f"x{LINES}"),
    "lists": (doubled("x0 = ['ab']\n", "x{new} = x{old} + x{old}\n"), f"str(x{LINES})"),
    "mappings": (
        doubled("x0 = {'a': 1}\n", "x{new} = {{'a': x{old}, 'b': x{old}}}\n"),
        f"str(x{LINES})",
    ),
    "functions": (
        doubled("def f0(): return 1\n", "def f{new}(): return f{old}() + f{old}()\n"),
        f"f{LINES}()",
    ),
    "statements": (
        doubled("def f0():\n    a = 1\n", "def f{new}():\n    f{old}()\n    f{old}()\n")
        + f"f{LINES}()\n",
        "'x'",
    ),
    "a number": ("x = 10 ** 10 ** 9\n", "str(x)"),
    "a width": ('x = f"{5:1000000000d}"\n', "x"),
    "a product": ("x = 'x' * 3000000000\n", "x"),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", GROWN)
def test_what_grows_without_end_is_left_alone(read: Bring, name: str) -> None:
    text, used = GROWN[name]
    imported = read(HEAD + text + TRAINING.format(name=used), "train.py")
    found = imported.composed.values
    assert (found["train.steps"], found["train.learning_rate"]) == (3, 1e-4)
