"""Emitted scripts stay as `ruff format` leaves them, however long the names in a spec are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ftspec.emit.python import TemplateError, render
from ftspec.families.scripts.script import GROUPS, grouped
from ftspec.plan.make import make_plan
from ftspec.registry import load, names
from ftspec.spec.load import loads

pytestmark = pytest.mark.sweep

LENGTHS = (
    1,
    20,
    33,
    34,
    35,
    36,
    40,
    45,
    50,
    54,
    58,
    62,
    66,
    70,
    74,
    78,
    82,
    86,
    88,
    89,
    90,
    91,
    95,
    120,
)


def spec(length: int) -> str:
    word = "x" * length
    return f"""\
model: {{name: org/{word}, revision: {word}}}
data:
  train: {{path: {word}.jsonl, format: messages}}
  eval: {{hub: {word}, subset: {word}, split: {word}, format: messages}}
  train_on: completions
method: {{tuner: {{type: lora, targets: [{word}, b]}}}}
precision: fp32
train: {{batch_size: 4, resume: {word}, eval_steps: 5}}
hardware: {{device: cpu}}
"""


def test_scripts_of_any_width_are_formatted(tmp_path: Path) -> None:
    scripts = []
    for length in LENGTHS:
        for adapter in ("", f"{{type: lora, adapter: {'y' * length}}}", "full"):
            sets = [f"method.tuner={adapter}"] if adapter else []
            for name in names():
                backend = load(name)
                if backend.entry != "train.py" or ("adapter" in adapter and name == "unsloth"):
                    continue
                loaded = loads(spec(length), "nowhere/mine.yaml", sets)
                plan = make_plan(loaded, name)
                (file,) = (file for file in plan.files() if file.path == "train.py")
                scripts.append(tmp_path / f"{name}-{length}-{len(adapter)}.py")
                scripts[-1].write_bytes(file.content)
    assert len(scripts) >= 150
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--line-length"]
    done = subprocess.run(
        [*ruff, "100", "--diff", *scripts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[:4000]


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ('{{ "x = f"|call(1, b="c") }}\n', 'x = f(1, b="c")\n'),
        ('{{ "f.g"|call("m"|code, b=none) }}\n', "f.g(m, b=None)\n"),
        ('{{ "x = f"|call(word) }}\n', f'x = f(\n    "{"w" * 95}",\n)\n'),
        (
            '{{ "x = f"|call(a=word[:80], b=123456) }}\n',
            f'x = f(\n    a="{"w" * 80}", b=123456\n)\n',
        ),
        (
            '{{ "x = f"|call(a=[word, 1], b=1) }}\n',
            f'x = f(\n    a=[\n        "{"w" * 95}",\n        1,\n    ],\n    b=1,\n)\n',
        ),
    ],
)
def test_calls_are_broken_up_where_they_are_too_long(template: str, line: str) -> None:
    assert render(template, allowed=["m"], word="w" * 95) == line


@pytest.mark.parametrize(
    "template",
    [
        "{{ word|call(1) }}\n", '{{ "f()"|call(1) }}\n', '{{ "f; g"|call(1) }}\n',
        '{{ "f"|call(nothing) }}\n', '{{ "f"|call("n"|code) }}\n', '{{ "f"|call(a=nothing) }}\n',
        '{{ "f"|call(1)|upper }}\n', '{{ word|assign("a b") }}\n',
    ],
)  # fmt: skip
def test_the_head_of_a_call_is_the_templates_own(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, allowed=["m"], word="os.system('x')")


def test_topics_lose_no_argument_and_keep_their_order() -> None:
    values = {"seed": 1, "save_steps": 2, "unheard_of": 3, "output_dir": 4, "bf16": 5}
    groups = grouped(values)
    assert [name for group in groups.values() for name in group] == [
        "output_dir", "save_steps", "bf16", "seed", "unheard_of",
    ]  # fmt: skip
    assert list(groups) == [title for title in (*GROUPS, "more") if title in groups]
    assert {name: value for group in groups.values() for name, value in group.items()} == values
