"""Names of a script while it is followed, and which of them nobody can be sure of."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
CHANGES = frozenset(
    ("append", "extend", "insert", "remove", "pop", "popitem", "clear", "update", "setdefault", "sort",
     "reverse", "__setitem__")
)  # fmt: skip
"""Methods that change a list or a mapping."""


class Held(NamedTuple):
    """A part of a mapping, as it was when that was written."""

    node: ast.expr
    understood: bool
    found: Any
    origin: str


@dataclass
class Scope:
    """The names of a module, or of a function that is followed."""

    local: frozenset[str] | None = None
    """Names that are its own; None of a module: all."""
    outer: Scope | None = None
    literals: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    """What is no value, with the call that made it; empty where that is not known."""
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    callees: dict[str, str] = field(default_factory=dict)
    """The call that is looked for, which a name stands for: `Chosen = ORPOTrainer`."""
    opened: dict[str, str] = field(default_factory=dict)
    """The file behind a name."""
    mappings: dict[str, dict[str, Held]] = field(default_factory=dict)
    """Those of which a part is no value."""

    def of(self, name: str) -> Scope:
        """The scope that a name belongs to."""
        scope = self
        while scope.local is not None and name not in scope.local and scope.outer is not None:
            scope = scope.outer
        return scope

    def hold(self, name: str, found: Any) -> None:
        """A value is under a name; settings of a framework's class are what made them, too."""
        self.literals[name] = found
        if call := getattr(found, "call", ""):
            self.objects[name] = call

    def forget(self, name: str) -> None:
        """Something else is bound to a name."""
        scope = self.of(name)
        for names in (scope.literals, scope.objects, scope.functions, scope.classes):
            names.pop(name, None)
        scope.mappings.pop(name, None)
        scope.opened.pop(name, None)
        scope.callees.pop(name, None)


def inner(function: ast.FunctionDef, outer: Scope) -> Scope:
    """The scope of a call of a function."""
    own = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    return Scope(frozenset(own | set(bound_in(function.body))), outer)


def bound_by(node: ast.AST) -> str | None:
    """The name that a node binds by itself, or deletes; those that it holds aside."""
    match node:
        case (
            ast.Name(id=name, ctx=ast.Store() | ast.Del())
            | ast.FunctionDef(name=name)
            | ast.AsyncFunctionDef(name=name)
            | ast.ClassDef(name=name)
            | ast.ExceptHandler(name=str() as name)
            | ast.MatchAs(name=str() as name)
            | ast.MatchStar(name=str() as name)
            | ast.MatchMapping(rest=str() as name)
        ):
            return name
        case ast.alias(name=name, asname=asname):
            return asname or name.partition(".")[0]
    return None


def bound_in(body: list[ast.stmt]) -> Iterator[str]:
    """Names that statements bind, not those within functions and classes."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if (name := bound_by(node)) is not None:
            yield name
        if not isinstance(node, FUNCTION | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def bindings(tree: ast.AST) -> Iterator[str]:
    """Every name that is bound, as often as it is: assignments, imports, arguments, everything."""
    for node in ast.walk(tree):
        if (name := bound_by(node)) is not None:
            yield name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names * 2  # bound from elsewhere: never once


def shared(tree: ast.AST) -> set[str]:
    """Names that are bound from elsewhere: `global`, `nonlocal`, `:=`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                found |= set(names)
            case ast.NamedExpr(target=ast.Name(id=name)):
                found.add(name)
    return found


def changed(tree: ast.AST) -> Counter[str]:
    """How often the list or mapping of a name may be changed: `rows.append(x)`, `config["a"] = 1`."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=base, attr=method)) if method in CHANGES:
                found[_base(base)] += 1
            case ast.Subscript(value=base, ctx=ast.Store() | ast.Del()):
                found[_base(base)] += 1
            case ast.AugAssign(target=target):
                found[_base(target)] += 1
    return found


def set_variables(tree: ast.AST) -> set[str]:
    """Variables of the environment that a script sets itself."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(
                value=base, slice=ast.Constant(value=str() as name), ctx=ast.Store()
            ) | (
                ast.Call(
                    func=ast.Attribute(value=base, attr="setdefault"),
                    args=[ast.Constant(value=str() as name), *_],
                )
            ) if ast.unparse(base).endswith("environ"):
                found.add(name)
    return found


def _base(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def leaves(node: ast.stmt) -> Iterator[ast.stmt]:
    """The simple statements of a compound one, without those that only end it."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return
        case ast.Pass() | ast.Break() | ast.Continue() | ast.Return() | ast.Raise() | ast.Import():
            return
        case ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return
    blocks = [getattr(node, name, None) or [] for name in ("body", "orelse", "finalbody")]
    blocks += [one.body for one in getattr(node, "handlers", [])]
    blocks += [one.body for one in getattr(node, "cases", [])]
    if not any(blocks):
        yield node
    for block in blocks:
        for one in block:
            yield from leaves(one)


def done_by(function: ast.FunctionDef) -> Iterator[ast.stmt | ast.expr]:
    """The simple statements of a function, and what it gives back."""
    for one in function.body:
        yield from leaves(one)
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value
