"""Hostile strings in what stages hand on: the scripts between them, and the script that starts them, hold."""

from __future__ import annotations

import ast
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ftspec.backend import File
from ftspec.errors import FtspecError
from ftspec.plan.pipeline import make_pipeline
from ftspec.plan.pipeline_files import ORDER, write_pipeline
from ftspec.spec.pipeline import Pipeline, read_any
from ftspec.spec.text import parse
from tests.unit.test_emit_injection import PAYLOADS
from tests.unit.test_families_injection import shape

pytestmark = pytest.mark.sweep

WORD = "PAYLOAD"
Document = dict[str, Any]


def document() -> Document:
    """Answers that a teacher writes, an adapter that learns them, a merge, and what is learned after it."""
    return {
        "model": {"name": "org/base"},
        "data": {"max_length": 64},
        "train": {"batch_size": 4},
        "precision": "fp32",
        "hardware": {"device": "cpu"},
        "output": {},
        "stages": [
            {
                "name": "answers",
                "write": {"teacher": "org/teacher", "prompts": "prompts.jsonl"},
                "method": "lora",
            },
            {
                "name": "last",
                "model": {"stage": "answers", "adapter": "merge"},
                "data": {"train": [{"path": "rows.jsonl", "format": "messages"}]},
            },
        ],
    }


def _write(made: Document, **fields: Any) -> None:
    made["stages"][0]["write"].update(fields)


SLOTS: Mapping[str, Callable[[Document, str], None]] = {
    "model": lambda d, p: d["model"].update(name=p),
    "revision": lambda d, p: d["model"].update(revision=p),
    "teacher": lambda d, p: _write(d, teacher=p),
    "teacher's revision": lambda d, p: _write(d, revision=p),
    "system": lambda d, p: _write(d, system=p),
    "folder": lambda d, p: d["output"].update(folder=p),
}
SCRIPTS = {"answers-answers/write.py", "answers-merged/merge.py"}
STEP = 7
"""Every so manyeth of all combinations; without a common divisor with the number of slots."""


def compiled(slot: str, payload: str, folder: Path) -> dict[str, bytes]:
    """The files of the two scripts between the stages, their launchers, and the order of all."""
    made = document()
    SLOTS[slot](made, payload)
    text = parse(json.dumps(made), "spec.yaml")
    pipeline = read_any(text, folder / "spec.yaml")
    assert isinstance(pipeline, Pipeline)
    build = folder / "build"
    links = make_pipeline(pipeline, "trl", build)
    write_pipeline(pipeline, links, build, overwrite=True)
    return {
        path.relative_to(build).as_posix().partition("-")[2] or path.name: path.read_bytes()
        for path in build.rglob("*")
        if path.suffix in (".py", ".sh")
    }


def literals(script: bytes) -> list[object]:
    return [node.value for node in ast.walk(ast.parse(script)) if isinstance(node, ast.Constant)]


def test_no_string_changes_what_stands_between_stages(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n')
    turns = [{"role": role, "content": "a"} for role in ("user", "assistant")]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": turns}))
    known: dict[str, dict[str, object]] = {}
    held: Counter[str] = Counter()
    every = [(slot, payload) for payload in PAYLOADS for slot in SLOTS]
    for slot, payload in [(slot, WORD) for slot in SLOTS] + every[::STEP]:
        try:
            files = compiled(slot, payload, tmp_path)
        except (FtspecError, UnicodeEncodeError):
            continue
        finally:
            shutil.rmtree(tmp_path / "build", ignore_errors=True)
        seen = {path: _shape(path, content) for path, content in files.items()}
        assert known.setdefault(slot, seen) == seen, (slot, payload)
        if slot == "system":
            texts = literals(files["answers-answers/write.py"])
            assert (
                payload in texts or payload == "\ud83d\ude00"
            )  # JSON's way to write one character
        held[slot] += 1
    assert set(files) >= SCRIPTS
    assert min(held[slot] for slot in SLOTS) >= 30


def _shape(path: str, content: bytes) -> object:
    """All of a file but the text in it; of the order, all but its comments."""
    if path == ORDER:
        return [line for line in content.decode().split("\n") if not line.startswith("#")]
    return shape(File(path, content))
