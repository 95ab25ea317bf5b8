"""How axolotl names weights that train: utils/freeze.py of 0.19.0, LayerNamePattern."""

from __future__ import annotations

import re

ROWS = re.compile(r"^(.+)\[([0-9]*)(?::([0-9]*))?\]$")
"""A pattern with rows of a matrix behind it: `lm_head.weight$[32000:]`."""
_DOT = re.compile(r"\.(?!\+)")


def regular(pattern: str) -> str:
    """The regular expression that it makes of one of its patterns: a dot is a dot, but in front of a plus."""
    return _DOT.sub(r"\\.", pattern)


def written(expression: str) -> str | None:
    """Its pattern for a regular expression; None where it has none, or would take it for another."""
    pattern = expression.replace(r"\.", ".")
    return pattern if regular(pattern) == expression and not ROWS.match(pattern) else None
