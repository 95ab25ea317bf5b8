"""Names of a script while it is followed, and which of them nobody can be sure of."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


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
    defined: int = 0
    """How often a function came or went."""
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

    def kept(self, node: ast.expr, without: Collection[str] = ()) -> Scope:
        """The names of an expression as they are bound now, whatever becomes of them later.

        What a mapping or settings hold may become another; under its bare name it is still the same one.
        """
        names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        found = Scope(frozenset(names), self)
        for name in names.difference(without):
            for kept, known in zip(found.kinds(), self.of(name).kinds(), strict=True):
                if name in known:
                    kept[name] = known[name]
            if name in found.literals and not isinstance(node, ast.Name):
                found.literals[name] = copy(found.literals[name])
        return found

    def kinds(self) -> tuple[dict[str, Any], ...]:
        """All that is known of names, by what they are bound to."""
        return (
            self.literals, self.objects, self.functions, self.classes, self.callees, self.opened,
            self.mappings,
        )  # fmt: skip

    def define(self, name: str, function: ast.FunctionDef) -> None:
        """A function is defined."""
        self.forget(name)
        scope = self.of(name)
        scope.functions[name] = function
        scope.defined += 1

    def hold(self, name: str, found: Any) -> None:
        """A value is under a name; settings of a framework's class are what made them, too."""
        self.literals[name] = found
        if call := getattr(found, "call", ""):
            self.objects[name] = call

    def binds(self, name: str) -> bool:
        """Whether something is known of what a name is bound to."""
        return any(name in names for names in self.of(name).kinds())

    def opaque(self, name: str, origin: str = "") -> None:
        """A name is bound to something that is no value."""
        self.forget(name)
        self.of(name).objects[name] = origin

    def forget(self, name: str) -> None:
        """Something else is bound to a name."""
        scope = self.of(name)
        for names in (scope.literals, scope.objects, scope.classes):
            names.pop(name, None)
        if scope.functions.pop(name, None) is not None:
            scope.defined += 1
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


def leaves(node: ast.stmt) -> Iterator[ast.stmt]:
    """The simple statements of a compound one, without those that only end it.

    A `return` of something is one: where it runs, what stands below does not.
    """
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return
        case ast.Pass() | ast.Break() | ast.Continue() | ast.Raise() | ast.Import():
            return
        case ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return
        case ast.Return(value=None | ast.Constant() | ast.UnaryOp(operand=ast.Constant())):
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
        yield from (leaf for leaf in leaves(one) if not isinstance(leaf, ast.Return))
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value
