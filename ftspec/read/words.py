"""Words of a shell, and what it makes of a `$`: sums of whole numbers, and where a piece ends."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

SPACE = "\0"
"""Stands for a space within a piece that is not known, so that no word is cut there."""
_OPERATORS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
}
_NAMED = re.compile(r"\$?\{?([A-Za-z_]\w*)\}?", re.ASCII)
_MOST = 100
"""Letters of a sum that is worked out."""


class Word(NamedTuple):
    """One word of a command."""

    text: str
    known: bool = True
    """Whether the text is what the program gets; else it is what stands there."""


def closed(line: str, start: int) -> int:
    """Where the brackets end that open at this place: behind their last one, or at the end of the line.

    Those in quotes are none, but for `$(` and `${` between double ones, in which quotes are others again.
    """
    pairs = {"(": ")", "{": "}", '"': '"', "'": "'"}
    open_ = [line[start]]
    place = start + 1
    while place < len(line):
        here, within = line[place], open_[-1]
        if here == "\\" and within != "'":
            place += 1
        elif here == pairs[within]:
            open_.pop()
            if not open_:
                return place + 1
        elif within != "'" and _opens(here, within, line[place - 1]):
            open_.append(here)
        place += 1
    return len(line)


def _opens(here: str, within: str, before: str) -> bool:
    """Whether something begins at a character, between these brackets or quotes."""
    if here in "({":
        return before == "$" or here == within
    return here == '"' or (here == "'" and within == "(")  # in `${A:-it's}` it may be a letter


def total(text: str, value_of: Callable[[str], str | None]) -> str | None:
    """The number that `$((...))` is; None where a name in it is no whole number that is known."""
    if len(text) > _MOST:
        return None
    named = _NAMED.sub(lambda name: _whole(value_of(name[1])), text)
    if "#" in named or "_" in named:  # `10#08` is a comment to Python, `1_0` a number
        return None
    try:
        found = _worked_out(ast.parse(named.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError):
        return None
    return str(found)


def _whole(value: str | None) -> str:
    return value if value is not None and value.isdecimal() else "?"


def _worked_out(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        one, other = _worked_out(node.left), _worked_out(node.right)
        if one >= 0 and other >= 0:  # below, shells round otherwise
            return _OPERATORS[type(node.op)](one, other)
    raise ValueError("no sum of whole numbers")
