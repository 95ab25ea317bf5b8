"""Scalars by the YAML 1.2 core schema, which is what editors show."""

from __future__ import annotations

import re

NULL = re.compile(r"null|Null|NULL|~|")
BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
"""Characters that a reader cannot see, or that reorder what is seen (CVE-2021-42574)."""

TOO_LARGE = 2**63
"""The least whole number that does not fit in 64 bits."""


class Unreadable(Exception):  # noqa: N818 - caught where the place is known, and never leaves this floor
    """A scalar that no spec may hold."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def resolve(text: str) -> str | int | float | bool | None:
    """What a plain scalar, one without quotes, stands for."""
    if NULL.fullmatch(text):
        return None
    if BOOL.fullmatch(text):
        return text.lower() == "true"
    if INT.fullmatch(text):
        return _whole(text)
    if FLOAT.fullmatch(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise Unreadable(f"the number {text[:40]} is too large")
        return value
    if NOT_FINITE.fullmatch(text):
        raise Unreadable(f"`{text}`: a number must be finite", "write null where there is no limit")
    return text


def _whole(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    digits = (text[2:] if base != 10 else text.lstrip("+-")).lstrip("0") or "0"
    # Counted first: Python refuses to convert more than 4300 digits.
    if len(digits) > 24 or (number := int(digits, base)) >= TOO_LARGE:
        raise Unreadable(f"the whole number {text[:24]}... does not fit in 64 bits")
    return -number if text.startswith("-") else number


def quoted(text: str) -> str:
    """A scalar in quotes, or a block: text as it is, if a reader can see all of it."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        # JSON writes a character beyond U+FFFF as two escapes, which belong together.
        try:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise Unreadable("the text holds half of a surrogate pair", "remove it") from None
    if found := INVISIBLE.search(text):
        raise Unreadable(
            f"the text holds the invisible character U+{ord(found[0]):04X}", "remove it"
        )
    return text
