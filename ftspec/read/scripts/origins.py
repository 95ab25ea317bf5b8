"""Where the objects of a script come from: the call that made each, through names, functions and methods."""

from __future__ import annotations

import ast

from ftspec.read.scripts.names import dotted, known, makes
from ftspec.read.scripts.reach import reaches
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.values import key

DIVIDED = "|"
"""In an origin, rows that were divided: `load_dataset[train]|[test]`."""
DEEPEST = 12
"""Functions within functions that are followed."""
MOST = 500
"""Calls of functions that are followed."""
MOVES = frozenset(("to", "cuda", "train", "eval"))
"""Methods that give back what they are called on, or leave it as it is."""


def origin(script: Script, node: ast.expr) -> str:
    """The call behind what an expression comes to, once it has been read; "" where nobody knows."""
    match node:
        case ast.Name(id=name):
            return script.scope.of(name).objects.get(name, "")
        case ast.Subscript(value=value, slice=part):
            found, word = origin(script, value), key(script, part)
            return (
                f"{found}[{word}]" if word and _is_parted(script, found) else _rows(script, found)
            )
        case ast.Attribute(value=value):
            return _rows(script, origin(script, value))
        case ast.Call():
            return _of_call(script, node)
    return ""


def followed(script: Script, node: ast.expr) -> ast.FunctionDef | None:
    """The function of the script that is called, if it is worth to be followed."""
    too_much = script.depth > DEEPEST or script.followed > MOST
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        owner = node.value.id
        held = script.scope.of(owner).mappings.get(owner, {})
        part = held.get(key(script, node.slice))
        node = part.node if part is not None and not script.doubts.is_changed(owner) else node
    if not isinstance(node, ast.Name) or node.id in script.doubts.never or too_much:
        return None
    function = script.scope.of(node.id).functions.get(node.id)
    return function if function is not None and reaches(script, function) else None


def _of_call(script: Script, node: ast.Call) -> str:
    function = node.func
    if found := makes(script, dotted(script, function)):
        return script.said.latest(found.call) if script.said.count[found.call] else ""
    if name := known(script, function):
        if name in script.wanted.through and node.args:
            return origin(script, node.args[0])
        return script.said.latest(name)
    if followed(script, function) is not None:
        return script.returned
    return _of_method(script, function) if isinstance(function, ast.Attribute) else ""


def _of_method(script: Script, method: ast.Attribute) -> str:
    found = origin(script, method.value)
    if found and method.attr in script.wanted.divides:
        return f"{found}{DIVIDED}"
    return found if method.attr in MOVES else _rows(script, found)


def _is_parted(script: Script, found: str) -> bool:
    return found.startswith(tuple(script.wanted.parted))


def _rows(script: Script, found: str) -> str:
    """Rows stay rows, whatever a method makes of them; of other things it makes something else."""
    return found if _is_parted(script, found) else ""
