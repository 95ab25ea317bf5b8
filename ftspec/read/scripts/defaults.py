"""Defaults of parameters and settings, which are worked out where a function or a class is defined.

https://docs.python.org/3/reference/compound_stmts.html#function-definitions
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

from ftspec.read.scripts.records import fields_of
from ftspec.read.scripts.scopes import Scope, bound_in
from ftspec.read.scripts.state import Script


@contextmanager
def defined(script: Script, node: ast.expr) -> Iterator[None]:
    """Read a default among the names that it was defined among; anything else among those of its place."""
    before, script.scope = script.scope, script.defaults.get(node, script.scope)
    try:
        yield
    finally:
        script.scope = before


def of_function(script: Script, node: ast.FunctionDef) -> None:
    """A function is defined: the names in its defaults are kept as they are bound now."""
    for default in (*node.args.defaults, *node.args.kw_defaults):
        if default is not None and not isinstance(default, ast.Constant):
            script.defaults[default] = script.scope.kept(default)


def of_class(script: Script, node: ast.ClassDef) -> None:
    """A class is defined: so are those of its settings. Names that it has bound itself are nobody's."""
    bound = set[str]()
    for one in node.body:
        for _, default, _ in fields_of(ast.ClassDef("", [], [], [one], [])):
            if default is not None and not isinstance(default, ast.Constant):
                live = _anew(script, one, default)
                script.defaults[default] = live or script.scope.kept(default, bound)
        bound |= set(bound_in([one]))


def _anew(script: Script, one: ast.stmt, default: ast.expr) -> Scope | None:
    """The names, as they are then, of what makes a default for each object: `default_factory`, `__init__`."""
    if isinstance(one, ast.FunctionDef):
        own = {argument.arg for argument in one.args.args}
        return Scope(frozenset(own | set(bound_in(one.body))), script.scope)
    made = (part.body for part in ast.walk(one) if isinstance(part, ast.Lambda))
    return script.scope if default in made else None
