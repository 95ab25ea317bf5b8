"""Functions of a script, read where they are called."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from typing import Any

from ftspec.read.python import Unknown
from ftspec.read.scripts.defaults import defined
from ftspec.read.scripts.expressions import evaluate
from ftspec.read.scripts.files import handed_by_hydra
from ftspec.read.scripts.origins import origin
from ftspec.read.scripts.scopes import Scope, inner
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.values import value

Run = Callable[[Script, list[ast.stmt]], ast.expr | None]
"""Reads statements up to their end or a `return`, whose expression it gives back."""


def follow(run: Run, script: Script, function: ast.FunctionDef, call: ast.Call) -> tuple[bool, Any]:
    """Whether a function was understood, and what it gives back; `Unknown` if that is no value."""
    generates = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(function))
    config = None
    if function.decorator_list:
        config = handed_by_hydra(script, function, partial(value, script))
    if generates or (function.decorator_list and config is None):
        return False, Unknown
    scope = inner(function, script.homes.get(function, script.module))
    if config is not None:
        scope.hold(*config)
    elif not _hand(script, function, call, scope):
        return False, Unknown
    before, script.scope = script.scope, scope
    script.depth, script.followed = script.depth + 1, script.followed + 1
    ended = run(script, function.body)
    understood, found = evaluate(script, ended) if ended else (True, None)
    many = ended.elts if isinstance(ended, ast.Tuple) else []
    script.returned = origin(script, ended) if ended and found is Unknown else ""
    script.each_returned = [origin(script, one) for one in many]
    script.scope, script.depth = before, script.depth - 1
    return understood, found


def _hand(script: Script, function: ast.FunctionDef, call: ast.Call, scope: Scope) -> bool:
    """Put what a call hands to a function under the names that it has there."""
    given = _handed(function, call)
    for name, node in (given or {}).items():
        if node is None:
            scope.objects[name] = ""
            continue
        with defined(script, node):
            understood, found = evaluate(script, node)
            behind = origin(script, node) if found is Unknown else ""
        if found is Unknown:
            scope.objects[name] = behind
        else:
            scope.hold(name, found)
        if not understood:
            script.said.leave(node, f"{function.name}.{name} = ")
    return given is not None


def _handed(function: ast.FunctionDef, call: ast.Call) -> dict[str, ast.expr | None] | None:
    """Each parameter's argument, or its default; None where it has neither.

    Nothing at all where that is not certain: positional-only parameters, `*args` and `**kwargs`, on either
    side; or where the call does not fit.
    """
    given = function.args
    if given.vararg or given.kwarg or given.posonlyargs:
        return None
    placed = [one.arg for one in given.args]
    names = [*placed, *(one.arg for one in given.kwonlyargs)]
    defaults: dict[str, ast.expr | None] = dict.fromkeys(names)
    if given.defaults:
        defaults |= dict(zip(placed[-len(given.defaults) :], given.defaults, strict=True))
    defaults |= dict(zip(names[len(placed) :], given.kw_defaults, strict=True))
    spread = any(isinstance(one, ast.Starred) for one in call.args)
    if spread or any(one.arg is None for one in call.keywords) or len(call.args) > len(placed):
        return None
    said = dict(zip(placed, call.args, strict=False))
    said |= {one.arg: one.value for one in call.keywords if one.arg}
    return {**defaults, **said} if said.keys() <= defaults.keys() else None
