"""The command line in this process: what it prints, where, and how it exits."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ftspec.cli import main
from tests.conftest import SPECS


@dataclass(frozen=True)
class Done:
    """What a command said."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]
Write = Callable[..., Path]


def same(said: str, expected: str) -> None:
    """Whole messages: what is wrong, where, and how to mend it. `{...}` fits anything within a line."""
    pattern = re.escape(expected).replace(re.escape("{...}"), r"[^\n]*")
    assert re.fullmatch(pattern, said), f"{said}\n--- is not\n{expected}"


@dataclass(frozen=True)
class Point:
    """An entry point."""

    name: str
    value: str
    result: Any

    @property
    def dist(self) -> SimpleNamespace:
        return SimpleNamespace(name=f"{self.value}-package")

    def load(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project folder of its own, in which relative paths start; a cache with nothing in it."""
    for name in list(os.environ):
        if name.startswith(("FTSPEC_", "_FTSPEC", "NO_COLOR", "FORCE_COLOR", "PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FTSPEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    project = tmp_path / "project"
    project.mkdir()
    (project / "tiny-model").symlink_to(SPECS / "tiny-model")
    (project / "chat.jsonl").symlink_to(SPECS / "data" / "chat.jsonl")
    monkeypatch.chdir(project)
    yield project


@pytest.fixture
def ftspec(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """`ftspec ARGUMENTS`, through the same `main` as the installed program."""

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["ftspec", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            assert isinstance(stop.code, int | None)
            code = stop.code or 0
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


SPEC = """\
model: ./tiny-model

data:
  train: chat.jsonl
  max_length: 256
  overflow: error

method: lora

precision: fp32

train:
  steps: 4
  batch_size: 4

hardware:
  device: cpu
"""


@pytest.fixture
def write(somewhere: Path) -> Callable[..., Path]:
    """A spec file in the project: the valid one, after (old, new) replacements."""

    def make(*changes: tuple[str, str], name: str = "spec.yaml") -> Path:
        text = SPEC
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        Path(name).write_text(text, "utf-8")
        return Path(name)

    return make
