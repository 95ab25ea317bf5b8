"""What a script does to its rows before they train, step by step: `rows.shuffle(seed=1).map(f)`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

IDLE = frozenset(("remove_columns", "select_columns", "with_format", "flatten_indices"))
"""Steps after which the same rows train in the same order."""
LAST, FIRST = "test_size", "train_size"
"""What `train_test_split` holds out, and what it leaves."""


class Step(NamedTuple):
    """One method that a statement calls on rows."""

    line: int
    rows: str
    """The name that the rows have afterwards; empty in a trainer's own argument."""
    method: str
    call: ast.Call


def statements(tree: ast.Module) -> Iterator[tuple[Step, ...]]:
    """The steps of each statement that has any, and of each `train_dataset=` of a trainer."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found = tuple(_steps(value, node.lineno, name))
            case ast.keyword(arg="train_dataset", value=value):
                found = tuple(_steps(value, value.lineno, ""))
            case _:
                continue
        if found:
            yield found


def _steps(value: ast.expr, line: int, name: str) -> Iterator[Step]:
    match value:
        case ast.Call(func=ast.Attribute(value=inner, attr=method)):
            yield from _steps(inner, line, name)
            yield Step(line, name, method, value)
        case ast.Subscript(value=inner, slice=ast.Constant(value="train")):
            yield from _steps(inner, line, name)


def trained(tree: ast.Module) -> set[str]:
    """The names that the rows of training have had, from the trainer back; empty if it is given none."""
    given = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "train_dataset"
    )
    waiting, found = [name for name in map(root, given) if name], set[str]()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and name in map(root, node.targets):
                waiting.append(root(node.value))
    return found - {""}


def root(node: ast.expr) -> str:
    """The first name of `rows["train"].shuffle().select(...)`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def drawn(step: Step, before: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a step says of which rows train, beside what earlier ones said; None if a spec cannot say it.

    ``select``: a number of first rows. ``shuffle``: a seed. ``test_size`` and ``seed``: what is held out.
    ``train_size``: the share that is left, drawn by chance.
    """
    given = {one.arg: one.value for one in step.call.keywords}
    known = {key: one.value for key, one in given.items() if isinstance(one, ast.Constant)}
    match step.method, step.call.args:
        case _ if step.method in IDLE:
            return {}
        case "select", [
            ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int() as rows)])
        ]:
            plain = not given and not before and rows > 0
            return {"select": rows} if plain else None
        case "shuffle", [] if set(given) == {"seed"} and type(known.get("seed")) is int:
            return {"shuffle": known["seed"]} if not before.keys() - {"select"} else None
        case "train_test_split", _:
            return _held(step.call, known, given, before)
    return None


def _held(
    call: ast.Call, known: Mapping[Any, Any], given: Mapping[Any, Any], before: Mapping[str, Any]
) -> dict[str, Any] | None:
    said = dict(known)
    match call.args:
        case [ast.Constant(value=size)]:
            said[LAST] = size
        case [_, *_]:
            return None
    if set(said) == {FIRST} and not before and isinstance(said[FIRST], float):
        return said if 0 < said[FIRST] < 1 else None
    if len(known) < len(given) or not said.keys() <= {LAST, "seed", "shuffle"}:
        return None
    size, seed = said.get(LAST), said.get("seed")
    if isinstance(size, bool) or not isinstance(size, int | float) or size <= 0 or LAST in before:
        return None
    if said.get("shuffle", True) is not True or seed not in (None, before.get("shuffle", seed)):
        return None
    return {LAST: size} | ({} if seed is None else {"seed": seed})
