"""Reward functions that a script defines, as a module of their own: taken out of its text, never executed."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import NamedTuple

from ftspec.port.scripts.drawn import root

HEAD = '"""Rewards, as the script that was imported defines them."""\n'
UNTAKEN = frozenset(("from_pretrained", "get_peft_model", "load_dataset", "map", "from_list"))
"""Calls whose results no module of rewards should make anew: models and data sets."""


class Rewards(NamedTuple):
    """What `reward_funcs` of a trainer names."""

    names: tuple[str, ...]
    line: int
    text: str
    """A module that has these functions."""
    lines: frozenset[int]
    """Where the statements begin of which it is made, and those that only show what they do."""


def rewards_of(source: str) -> Rewards | None:
    """The reward functions of a script; None if one needs more than functions, imports and constants of it.

    ``source`` is Python that parses.
    """
    tree = ast.parse(source)
    given = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "reward_funcs"
    ]
    if len(given) != 1:
        return None
    elements = given[0].elts if isinstance(given[0], ast.List | ast.Tuple) else [given[0]]
    names = tuple(one.id for one in elements if isinstance(one, ast.Name))
    defined = {name: node for node in tree.body for name in _bound(node)}
    functions = all(isinstance(defined.get(name), ast.FunctionDef) for name in names)
    if not names or len(names) < len(elements) or not functions:
        return None
    taken = _needed(names, tree, defined)
    if taken is None:
        return None
    pieces = [_text(node, source) for node in tree.body if node in taken]
    kept = {name for node in taken for name in _bound(node)} if _is_fixed(taken) else set[str]()
    lines = frozenset(
        node.lineno
        for node in tree.body
        if node in taken or (isinstance(node, ast.Expr) and root(node.value) in kept)
    )
    return Rewards(names, given[0].lineno, "\n".join((HEAD, *pieces)), lines)


def lent(source: str) -> tuple[tuple[str, ...], int]:
    """Rewards that a script takes from trl, and the line that names them; none if one is another's."""
    tree = ast.parse(source)
    theirs = {
        one.asname or one.name: one.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module in ("trl", "trl.rewards")
        for one in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "reward_funcs":
            many = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            names = [theirs.get(one.id, "") if isinstance(one, ast.Name) else "" for one in many]
            return (tuple(names) if all(names) else (), node.value.lineno)
    return (), 0


def _needed(
    names: tuple[str, ...], tree: ast.Module, defined: dict[str, ast.stmt]
) -> set[ast.stmt] | None:
    """The statements that these functions need, one through another; None if one cannot be taken."""
    counts = [name for node in tree.body for name in _bound(node)]
    waiting, taken = list(names), set[ast.stmt]()
    while waiting:
        name = waiting.pop()
        if name not in defined:
            if hasattr(builtins, name):
                continue
            return None
        node = defined[name]
        if counts.count(name) > 1 or not _takes(node):
            return None
        if node not in taken:
            taken.add(node)
            waiting += _free(node)
    return taken


def _bound(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (one.asname or one.name.partition(".")[0] for one in names)
        case ast.Assign(targets=targets):
            yield from (
                one.id
                for target in targets
                for one in ast.walk(target)
                if isinstance(one, ast.Name)
            )
        case ast.AugAssign(target=ast.Name(id=name)) | ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _takes(node: ast.stmt) -> bool:
    """Whether a statement may stand in a module of rewards."""
    match node:
        case ast.Assign(targets=[ast.Name()], value=value):
            called = (one.func for one in ast.walk(value) if isinstance(one, ast.Call))
            names = {
                one.attr if isinstance(one, ast.Attribute) else ast.unparse(one) for one in called
            }
            return not names & UNTAKEN
        case ast.FunctionDef() | ast.ClassDef() | ast.Import() | ast.ImportFrom():
            return True
    return False


def _free(node: ast.stmt) -> set[str]:
    """Names that a statement takes from the module."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return set()
    own: set[str] = set()
    used: set[str] = set()
    shared: set[str] = set()
    for one in ast.walk(node):
        match one:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str() as name):
                own.add(name)
            case ast.alias(name=name, asname=other):
                own.add(other or name.partition(".")[0])
            case ast.Global(names=names):
                shared |= set(names)
    if not isinstance(node, ast.FunctionDef):
        return used | shared
    given = (*node.args.defaults, *node.args.kw_defaults, *node.decorator_list)
    outside = {
        one.id for part in given if part for one in ast.walk(part) if isinstance(one, ast.Name)
    }
    return (used - own) | shared | outside


def _is_fixed(taken: set[ast.stmt]) -> bool:
    """Whether nothing of it can change: texts, numbers and patterns, and functions of those alone."""
    for node in taken:
        match node:
            case ast.Assign(value=ast.Constant() | ast.JoinedStr()):
                continue
            case ast.Assign(value=ast.Call(func=function)) if ast.unparse(function) == "re.compile":
                continue
            case ast.Import() | ast.ImportFrom():
                continue
            case ast.FunctionDef(decorator_list=[]) if not any(
                isinstance(one, ast.Global) for one in ast.walk(node)
            ):
                continue
        return False
    return True


def _text(node: ast.stmt, source: str) -> str:
    """A statement as it stands there, with its decorators."""
    start = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
    lines = source.splitlines()[start - 1 : node.end_lineno]
    before = "\n" if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
    return before + "\n".join(lines) + "\n"
