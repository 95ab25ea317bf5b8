"""What every writer asks of a value and of a text before it writes them."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

from ftspec.errors import Problem, UnsupportedError

DEPTH = 32
"""Deepest nesting that is written. Parsers give up between 100 (CPython) and 900 levels."""
BITS = 1024
"""Longest integer that is written. CPython refuses to print 4300 digits; no setting needs them."""
COMMENT = 200
"""Longest comment that is written; the rest of it is cut."""
SCALARS = (type(None), bool, int, float, str)

# Characters that reorder what a reader sees (Unicode TR 9): they make code look like other code. And the mark
# that begins some files, which nobody sees within one.
_BIDI = frozenset("\ufeff\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HALF = re.compile("[\ud800-\udfff]")
# PEP 263: such a comment in the first two lines changes the encoding of the whole file.
_COOKIE = re.compile(r"coding(?=[:=])", re.ASCII)


def refuse(message: str, hint: str = "") -> UnsupportedError:
    """The error for a value that cannot be written."""
    return UnsupportedError(Problem(message, hint=hint))


def check(value: Any, where: str, also: tuple[type, ...] = (), depth: int = 0) -> None:
    """Raise unless a value is plain all the way down.

    Types are compared exactly: a subclass may print itself as anything. `also` names more types
    that the writer knows how to write.
    """
    kind = type(value)
    if depth > DEPTH:
        raise refuse(f"{where} is nested deeper than {DEPTH} levels")
    if kind in (list, tuple):
        for number, item in enumerate(value):
            check(item, f"{where}[{number}]", also, depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise refuse(
                    f"{where} has the key {shown(key)}", "keys of a mapping are strings: quote it"
                )
            check(key, f"a key of {where}", depth=depth)
            check(item, f"{where}.{shown(key, bare=True)}", also, depth + 1)
    elif kind is float and not math.isfinite(value):
        raise refuse(f"{where} is {value!r}", "write a finite number, or leave the setting out")
    elif kind is int and value.bit_length() > BITS:
        raise refuse(
            f"{where} is an integer of {value.bit_length()} bits",
            "no framework reads such a number",
        )
    elif kind is str and _HALF.search(value):
        raise refuse(f"{where} holds half a surrogate pair: {shown(value)}", "write valid UTF-8")
    elif kind not in SCALARS and kind not in also:
        raise refuse(f"{where} is a {kind.__name__}, which has no literal")


def shown(value: Any, bare: bool = False) -> str:
    """A value as a message may show it: short, on one line, nothing hidden."""
    text = ascii(value)
    text = text[1:-1] if bare else text
    return text if len(text) <= 80 else text[:77] + "..."


def hidden(text: str) -> str:
    """The first character that no terminal shows as itself: control, bidi, no character."""
    return next((character for character in text if _unseen(character)), "")


def one_line(text: str) -> str:
    """A text that is safe as a comment: one line, nothing hidden in it, no meaning to any tool."""
    words = "".join(" " if _unseen(character) else character for character in text).split()
    told = " ".join(words)
    if len(told) > COMMENT:
        told = f"{told[: COMMENT - 4].rpartition(' ')[0] or told[: COMMENT - 4]} ..."
    # `# /// script` opens inline metadata (PEP 723), wherever it stands.
    return _COOKIE.sub("coding ", told).replace("///", "/ / /")


def _unseen(character: str) -> bool:
    nothing = ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"
    return (
        nothing or character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    )
