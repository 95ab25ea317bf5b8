"""Which functions of a script are worth to be followed: an answer is kept while names stand for the same."""

from __future__ import annotations

import ast

import pytest

from ftspec.read.scripts import reach
from ftspec.read.scripts.read import read_script
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.wanted import Wanted

WANTED = Wanted(("SFTConfig",), ("SFTConfig",), {}, {})


def test_each_function_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    named = reach.dotted

    def counting(script: Script, node: ast.expr) -> str:
        nonlocal asked
        asked += 1
        return named(script, node)

    monkeypatch.setattr(reach, "dotted", counting)
    many = 300
    chain = "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(many))
    read_script(chain + "".join(f"f{n}()\n" for n in range(many)), WANTED)
    assert many <= asked <= 2 * many


@pytest.mark.parametrize(
    "script",
    [
        "def f():\n    g()\ndef g():\n    pass\nf()\ndef g():\n    SFTConfig(a=1)\nf()\n",
        "def f():\n    C(a=1)\nf()\nfrom trl import SFTConfig as C\nf()\n",
        "def g():\n    SFTConfig(a=0)\ndef f():\n    g()\nfor x in y:\n    def g():\n        pass\nf()\n"
        "def g():\n    SFTConfig(a=1)\nf()\n",
        # a function in another, of the same name as one of the module
        "def h():\n    SFTConfig(a=1)\ndef g():\n    h()\ndef main():\n    def h():\n        g()\n"
        "    h()\n    SFTConfig(b=1)\nmain()\ng()\n",
    ],
)
def test_an_answer_holds_until_names_stand_for_others(script: str) -> None:
    calls = read_script(script, WANTED)
    assert calls.values["SFTConfig.a" if "b=1" not in script else "SFTConfig#2.a"] == 1
