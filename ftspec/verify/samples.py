"""Completions that a run kept: the file that the scripts write beside their results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftspec.verify.certificate import SampleRecord

FILE = "samples.jsonl"
EACH = 4
"""So many of the first and of the last completions are shown."""
LONGEST = 2_000
"""Characters of a text that are kept in a certificate."""


def samples(folder: Path) -> tuple[SampleRecord, ...]:
    """The first and the last completions under a folder; none where the run drew none."""
    found = [sample for file in sorted(folder.glob(f"*/{FILE}")) for sample in _read(file)]
    return tuple(found if len(found) <= 2 * EACH else [*found[:EACH], *found[-EACH:]])


def _read(file: Path) -> Iterator[SampleRecord]:
    """The completions in a file; a line that a killed run tore ends it."""
    for line in file.read_text("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
            rewards = {str(name): float(value) for name, value in row["rewards"].items()}
            texts = [_text(row[name]) for name in ("prompt", "completion")]
            yield SampleRecord(int(row["step"]), texts[0], texts[1], rewards)
        except (ValueError, KeyError, TypeError, AttributeError):
            return


def _text(value: Any) -> str:
    """A text, or the messages of a conversation below each other."""
    if isinstance(value, list):
        value = "\n".join(str(turn["content"]) for turn in value)
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
