"""A script's statements, from the first to the last: what each does to what is known."""

from __future__ import annotations

import ast
from functools import partial

from ftspec.read.python import Unknown
from ftspec.read.scripts import choices, defaults, files, functions, imports
from ftspec.read.scripts.bindings import bind_all, set_later
from ftspec.read.scripts.expressions import evaluate, express
from ftspec.read.scripts.options import Parser
from ftspec.read.scripts.scopes import bound_in, done_by, leaves
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.values import value

BINDS = ast.Assign | ast.AnnAssign | ast.AugAssign
COMPOUND = ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match


class _Returned(Exception):  # noqa: N818 - control flow, never leaves this module
    """A function ends, with this."""

    def __init__(self, node: ast.expr | None) -> None:
        self.node = node


def run(script: Script, body: list[ast.stmt]) -> ast.expr | None:
    """Read statements up to their end or a `return`, whose expression it gives back."""
    try:
        _statements(script, body)
    except _Returned as returned:
        return returned.node
    return None


follow = partial(functions.follow, run)
"""Reads a function where it is called."""


def _statements(script: Script, body: list[ast.stmt]) -> None:
    for statement in body:
        if not _statement(script, statement):
            for name in () if isinstance(statement, BINDS) else bound_in([statement]):
                script.scope.opaque(name)
            _leave(script, statement)


def _leave(script: Script, node: ast.stmt) -> None:
    """A statement was not understood: what stands in it is kept, for those who know more."""
    said = script.said
    said.leave(node)
    if isinstance(node, COMPOUND):
        said.parts[node.lineno] = tuple(said.text.of(leaf) for leaf in leaves(node))
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            if function := script.scope.of(name).functions.get(name):
                said.parts[node.lineno] = tuple(said.text.of(one) for one in done_by(function))


def _statement(  # noqa: PLR0911, PLR0912 - one per kind of node
    script: Script, node: ast.stmt
) -> bool:
    """Whether a statement was understood."""
    match node:
        case ast.FunctionDef(name=name):
            script.scope.define(name, node)
            script.homes[node] = script.scope
            defaults.of_function(script, node)
        case ast.ClassDef(name=name):
            script.scope.forget(name)
            script.scope.of(name).classes[name] = node
            defaults.of_class(script, node)
        case ast.If():
            branch = choices.taken(script, node)
            if branch is None:
                _doubt(script, node)
                return choices.does_nothing(node)
            _statements(script, branch)
        case ast.Try():
            _statements(script, choices.tried(node))
            choices.succeed(script, node)
        case ast.With(items=items, body=body):
            for name in bound_in([ast.With(items, [])]):
                script.scope.opaque(name)
            for item in items:
                files.open_as(script, item, partial(value, script))
            _statements(script, body)
        case ast.Return(value=given):
            raise _Returned(given)
        case ast.Raise(exc=ast.Call(func=ast.Name(id="SystemExit"), args=[ast.Call() as call])):
            return express(script, call)
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
            script.scope.opaque(name)
        case ast.Assign(targets=targets, value=given):
            return bind_all(script, targets, given)
        case ast.AnnAssign(target=target, value=ast.expr() as given):
            return bind_all(script, [target], given)
        case ast.AugAssign(target=ast.Name(id=name) as target, op=operation, value=given):
            sum_ = ast.BinOp(ast.Name(name, ast.Load()), operation, given)
            return bind_all(script, [target], sum_)
        case ast.AnnAssign(target=ast.Name(id=name)):
            script.scope.forget(name)
        case ast.Expr(value=given):
            return _expression(script, given)
        case ast.Import() | ast.ImportFrom():
            imports.take(script, node, _module)
        case ast.Pass():
            pass
        case _:
            for name in bound_in([node]):
                script.scope.forget(name)
            return False
    return True


def _doubt(script: Script, node: ast.If) -> None:
    """What either branch binds may be another by now: a function that is defined there, or imported."""
    for name in bound_in([node]):
        if script.scope.binds(name):
            script.scope.opaque(name)


def _expression(script: Script, node: ast.expr) -> bool:
    """A statement that is one expression."""
    match node:
        case ast.Name(id=name):
            return name in script.scope.of(name).literals or express(script, node)
        case ast.Call(func=ast.Attribute(value=base, attr="add_argument")):
            return _add(script, base, node)
        case ast.Call(func=ast.Name(id="setattr"), args=[owner, key, given]):
            return isinstance(key, ast.Constant) and set_later(
                script, owner, str(key.value), evaluate(script, given)[1]
            )
        case ast.Call():
            return express(script, node)
    for name in bound_in([ast.Expr(node)]):
        script.scope.forget(name)
    return (isinstance(node, ast.Constant) and isinstance(node.value, str)) or express(script, node)


def _add(script: Script, base: ast.expr, call: ast.Call) -> bool:
    """`parser.add_argument(...)`."""
    try:
        parser = value(script, base)
    except Unknown:
        return False
    if isinstance(parser, Parser):
        parser.add(call, partial(value, script), Unknown)
    return isinstance(parser, Parser)


def _module(script: Script, tree: ast.Module) -> None:
    run(script, tree.body)
