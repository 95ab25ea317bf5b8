"""Text of unknown origin, made safe to print: nothing in it can move a cursor or turn a line around."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

HARMLESS = frozenset(" \n")
HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"))
"""Unicode categories that are not seen, or that order a terminal about: controls (ESC, the C1 range),
formats (bidirectional overrides, zero-width characters), separators, halves, unassigned characters."""


def visible(text: str, keep: frozenset[str] = HARMLESS) -> str:
    """The text with every hidden character as `<U+202E>`, those of ``keep`` left as they are."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if each in keep else _shown(each) for each in text)


def in_json(document: str) -> str:
    """A JSON document with hidden characters escaped as JSON has it; it says the same as before."""
    if document.isascii():
        return document  # JSON itself escapes the controls among these
    return _HIDDEN_IN_JSON.sub(_escaped, document)


@cache
def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in HIDDEN and character != " "
    return f"<U+{ord(character):04X}>" if hidden else character


_HIDDEN_IN_JSON = re.compile(r"[^\x00-\x7e]")


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if unicodedata.category(character) not in HIDDEN:
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
