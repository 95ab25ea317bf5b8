"""Which statements of a script run: branches that are certain, and what is tried."""

from __future__ import annotations

import ast
from typing import Any

from ftspec.read.python import Unknown
from ftspec.read.scripts.scopes import bound_in, leaves
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.values import value

MAIN = "__name__ == '__main__'"


def taken(script: Script, node: ast.If) -> list[ast.stmt] | None:
    """The branch that runs; None where that is not certain."""
    if ast.unparse(node.test) == MAIN:
        return node.orelse if script.within else node.body
    try:
        yes = _asked(script, node.test, [*node.body, *node.orelse])
    except Unknown:
        script.unsure.add(node.test)
        return None
    for inside in (one for each in (node.orelse if yes else node.body) for one in ast.walk(each)):
        script.doubts.settle(inside)  # it is never set there
    return node.body if yes else node.orelse


def does_nothing(node: ast.If) -> bool:
    """Whether it is all the same which branch runs."""
    return not any(True for one in (*node.body, *node.orelse) for _ in leaves(one))


def decided(script: Script, node: ast.expr) -> ast.expr:
    """The part of `a if test else b` that is taken, where that is certain."""
    while isinstance(node, ast.IfExp):
        try:
            node = node.body if value(script, node.test) else node.orelse
        except Unknown:
            break
    return node


def tried(node: ast.Try) -> list[ast.stmt]:
    """What runs if nothing fails."""
    return [*node.body, *node.orelse, *node.finalbody]


def succeed(script: Script, node: ast.Try) -> None:
    """What is tried is taken to succeed; what else would happen, if it does not, is foreign."""
    body = tried(node)
    handlers = [one for one in node.handlers if not (_only_imports(body) and _for_missing(one))]
    otherwise = [leaf for one in handlers for inside in one.body for leaf in leaves(inside)]
    for name in set(bound_in([inside for one in handlers for inside in one.body])):
        script.scope.opaque(name)
    if otherwise:
        said, line = script.said, handlers[0].lineno
        said.foreign.append((line, said.text.of(handlers[0]) or "except:"))
        said.parts[line] = tuple(said.text.of(leaf) for leaf in otherwise)


def _asked(script: Script, test: ast.expr, within: list[ast.stmt]) -> Any:
    """The answer of a test; what its own branches set is not set before it."""
    if test in script.unsure:  # a branch may have been taken when it was asked before
        return value(script, test)
    stores = [node for one in within for node in ast.walk(one) if script.doubts.is_open(node)]
    script.doubts.discount(stores, 1)
    try:
        return value(script, test)
    finally:
        script.doubts.discount(stores, -1)


def _only_imports(body: list[ast.stmt]) -> bool:
    """Whether it does nothing but import, and note so, so that it fails where a package is missing alone."""
    noted = (isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant) for one in body)
    found = [isinstance(one, ast.Import | ast.ImportFrom) for one in body]
    return any(found) and all(
        is_import or note for is_import, note in zip(found, noted, strict=True)
    )


def _for_missing(handler: ast.ExceptHandler) -> bool:
    """Whether it runs where a package is missing: what a script imports is taken to be there."""
    named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(one and ast.unparse(one) in ("ImportError", "ModuleNotFoundError") for one in named)
