"""Model cards: texts in Markdown in which a config stands between fences, as axolotl writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ftspec.read.text import refuse_huge, wrong

SUFFIXES = (".md", ".markdown")
_OPENS = re.compile(r"\s{0,3}(`{3,}|~{3,})\s*(\w*)\s*$")
_WORDS = ("", "yaml", "yml")
MOST = 100
"""Blocks of one card that are looked at."""
_RELEASE = re.compile(r"axolotl version: `([\w.+-]+)`")
NEAR = 3
"""Lines above a fence in which the release stands (axolotl/train.py writes it right above)."""


class Fenced(NamedTuple):
    """What stands between two fences."""

    line: int
    """Of its first line."""
    text: str
    """With empty lines in front, so that each line has its number in the card."""
    release: str
    """The release of axolotl that is named above it; empty where none is."""


def is_card(path: Path) -> bool:
    """Whether it is a text in Markdown, by its name."""
    return path.suffix.lower() in SUFFIXES


def fenced(text: str) -> Iterator[Fenced]:
    """Blocks that are called YAML, or nothing.

    Raises:
        SpecError: the text is longer, or has more of them, than any card.
    """
    refuse_huge(text, "a model card")
    lines = text.splitlines()
    place = count = 0
    while place < len(lines):
        opened = _OPENS.fullmatch(lines[place])
        if opened is None:
            place += 1
            continue
        end = place + 1
        while end < len(lines) and not lines[end].strip().startswith(opened[1]):
            end += 1
        if opened[2].lower() in _WORDS:
            count += 1
            if count > MOST:
                hint = "give the config in a file of its own"
                raise wrong(f"more than {MOST} blocks stand in it", place + 1, hint=hint)
            above = _RELEASE.search("\n".join(lines[max(place - NEAR, 0) : place]))
            inside = "\n".join(["", *[""] * place, *lines[place + 1 : end]])
            yield Fenced(place + 2, inside + "\n", above[1] if above else "")
        place = end + 1
