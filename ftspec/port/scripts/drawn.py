"""What a script does to its rows before they train, step by step: `rows.shuffle(seed=1).map(f)`."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ftspec.read.scripts.doubts import shared
from ftspec.read.scripts.scopes import bindings, bound_in

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


class _Numbers(ast.NodeTransformer):
    """Puts numbers in the place of their names."""

    def __init__(self, values: Mapping[str, int | float]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Load) and node.id in self.values:
            return ast.copy_location(ast.Constant(self.values[node.id]), node)
        return node


def with_numbers(tree: ast.Module) -> ast.Module:
    """The script with numbers in the place of names that are bound once, to a number, at its top."""
    bound = Counter(bindings(tree))
    values: dict[str, int | float] = {}
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float() as number)
            ) if bound[name] == 1 and not isinstance(number, bool):
                values[name] = number
    changed: ast.Module = _Numbers(values).visit(tree)
    return changed


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
        case ast.ListComp(
            elt=made,
            generators=[ast.comprehension(target=ast.Name(id=row), iter=inner, ifs=[], is_async=0)],
        ):
            yield from _steps(inner, line, name)
            yield Step(line, name, "map", _each(made, row))


def _each(made: ast.expr, row: str) -> ast.Call:
    """`[f(row) for row in rows]` as `rows.map(f)`."""
    nothing: dict[str, Any] = {
        "posonlyargs": [],
        "kwonlyargs": [],
        "kw_defaults": [],
        "defaults": [],
    }
    function = ast.Lambda(args=ast.arguments(args=[ast.arg(arg=row)], **nothing), body=made)
    return ast.Call(func=ast.Name(id="map", ctx=ast.Load()), args=[function], keywords=[])


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


def joined(tree: ast.Module, names: set[str]) -> tuple[int, int] | None:
    """Of how many loaded data sets the rows that train are made, one after the other, and the line.

    None: they are not, or one of them is changed before, or stands at another place than it was loaded at.
    """
    bound = Counter([*bound_in(tree.body), *(2 * sorted(shared(tree)))])
    loaded: list[str] = []
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if (
                root(value) == "load_dataset"
            ):
                loaded.append(name if bound[name] == 1 and _is_load(value) else "")
    for one in ast.walk(tree):
        match one:
            case ast.Assign(targets=[ast.Name(id=name)], value=value, lineno=line) if name in names:
                parts = _parts(value)
                if parts and parts == loaded:
                    return len(parts), line
    return None


def _is_load(value: ast.expr) -> bool:
    """`load_dataset(...)`, or its `["train"]`."""
    match value:
        case ast.Subscript(value=inner, slice=ast.Constant(value="train")):
            return _is_load(inner)
        case ast.Call(func=ast.Name(id="load_dataset")):
            return True
    return False


def _parts(value: ast.expr) -> list[str]:
    """The names in `concatenate_datasets([a, b]).shuffle()`."""
    match value:
        case ast.Call(func=ast.Attribute(value=inner)):
            return _parts(inner)
        case ast.Call(
            func=ast.Name(id="concatenate_datasets"), args=[ast.List(elts=parts)], keywords=[]
        ):
            return [one.id if isinstance(one, ast.Name) else " " for one in parts]
    return []


def root(node: ast.expr) -> str:
    """The first name of `rows["train"].shuffle().select(...)`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.ListComp):
        if isinstance(node, ast.ListComp):
            node = node.generators[0].iter
        else:
            node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def drawn(step: Step, before: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a step says of which rows train, beside what earlier ones said; None if a spec cannot say it.

    ``select``: a number of first rows. ``shuffle``: a seed, or none. ``drawn``: so many of the shuffled rows.
    ``test_size`` and ``seed``: what is held out. ``train_size``: the share that is left, drawn by chance.
    """
    given = {one.arg: one.value for one in step.call.keywords}
    known = {key: one.value for key, one in given.items() if isinstance(one, ast.Constant)}
    taken = before.keys()
    said: dict[str, Any] | None = None
    match step.method, step.call.args:
        case _ if step.method in IDLE:
            said = {}
        case "select", [rows] if not given and (count := _first_rows(rows)):
            if taken == {"shuffle"} and count > 1:
                said = {"drawn": count}
            elif not taken:
                said = {"select": count}
        case "take", [ast.Constant(value=int() as count)] if not given and count > 0 and not taken:
            said = {"select": count}
        case "shuffle", [] if given.keys() <= {"seed"} and len(known) == len(given):
            seed = known.get("seed")
            if not taken - {"select"} and (seed is None or type(seed) is int):
                said = {"shuffle": seed}
        case "train_test_split", _:
            said = _held(step.call, known, given, before)
    return said


def _first_rows(rows: ast.expr) -> int:
    """How many first rows `range(n)` or `range(min(n, len(rows)))` takes; 0 for any others."""
    match rows:
        case ast.Call(func=ast.Name(id="range"), args=[count], keywords=[]):
            match count:
                case ast.Constant(value=int() as number):
                    return number
                case ast.Call(func=ast.Name(id="min"), args=[one, other], keywords=[]) if (
                    number := _at_most(one, other) or _at_most(other, one)
                ):
                    return number
    return 0


def _at_most(count: ast.expr, rows: ast.expr) -> int:
    match count, rows:
        case ast.Constant(value=int() as number), ast.Call(func=ast.Name(id="len"), args=[_]):
            return number
    return 0


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
