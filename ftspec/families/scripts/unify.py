"""Match source code against code with holes: how an emitted statement is recognised when read back.

A pattern is Python in which a string constant "@name" is a hole for any literal. Nothing is executed:
both sides are syntax trees.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cache
from typing import Any

RENAMED = "renamed columns"
"""The hole that `match_all` fills with the mapping of a last rename."""


@cache
def patterns(source: str) -> tuple[ast.stmt, ...]:
    """The statements of a pattern's source."""
    return tuple(ast.parse(source).body)


def match(source: str, statement: ast.AST) -> dict[str, Any] | None:
    """What fills the holes of the one-statement pattern ``source``; None if it is another statement.

    A hole that stands twice must be filled alike.
    """
    pattern = patterns(source)[0]
    if type(pattern) is not type(statement):  # most are: a script is held against dozens
        return None
    found: dict[str, Any] = {}
    return found if _match(pattern, statement, found) else None


def match_all(source: str, statements: Sequence[ast.stmt]) -> dict[str, Any] | None:
    """The same for several statements; a last `x = x.rename_columns({...})` may follow, as RENAMED."""
    known = patterns(source)
    found: dict[str, Any] = {}
    if len(statements) - len(known) not in (0, 1):
        return None
    if not all(_match(a, b, found) for a, b in zip(known, statements, strict=False)):
        return None
    name = ast.unparse(known[-1].targets[0]) if isinstance(known[-1], ast.Assign) else ""
    for extra in statements[len(known) :]:
        renames = match(f'{name} = {name}.rename_columns("@{RENAMED}")', extra)
        if renames is None:
            return None
        found |= renames
    return found


def _match(hole: Any, actual: Any, found: dict[str, Any]) -> bool:
    if isinstance(hole, ast.Constant) and isinstance(hole.value, str) and hole.value[:1] == "@":
        try:
            value = ast.literal_eval(actual)
        except ValueError:
            return False
        return bool(found.setdefault(hole.value[1:], value) == value)
    if isinstance(hole, ast.AST):
        return type(hole) is type(actual) and all(
            _match(getattr(hole, name, None), getattr(actual, name, None), found)
            for name in hole._fields
            if name not in ("ctx", "type_comment", "kind")
        )
    if isinstance(hole, list):
        return (
            isinstance(actual, list)
            and len(hole) == len(actual)
            and all(_match(a, b, found) for a, b in zip(hole, actual, strict=True))
        )
    return bool(hole == actual and type(hole) is type(actual))
