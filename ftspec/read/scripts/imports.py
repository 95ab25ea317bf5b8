"""Values that a script takes from a module beside it: `from config import LEARNING_RATE`."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable
from typing import Any

from ftspec.errors import SpecError
from ftspec.read.python import Unknown, parsed
from ftspec.read.scripts.literals import imported
from ftspec.read.scripts.records import Record, Settings
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.values import named, settings_of

Run = Callable[[Script, ast.Module], object]
"""Reads a script from its first statement to its last."""


def take(script: Script, node: ast.Import | ast.ImportFrom, run: Run) -> None:
    """Bind what an import binds. What a module calls and defines stays its own: values come along."""
    start = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    local = isinstance(node, ast.ImportFrom) and node.level > 0
    for one in node.names:
        name = one.asname or one.name.partition(".")[0]
        script.scope.forget(name)
        script.modules[name] = "<own>" if local else start + one.name
    _bind(script, node, run)
    script.alias(imported(node))


def _bind(script: Script, node: ast.Import | ast.ImportFrom, run: Run) -> None:
    if isinstance(node, ast.ImportFrom):
        found = _values(script, node.lineno, node.module or "", run) if node.level < 2 else {}
        for one in node.names:
            for name in found if one.name == "*" else [one.name]:
                if name in found:
                    script.scope.hold(one.asname or name, found[name])
        return
    for one in node.names:
        if "." in one.name and not one.asname:
            continue
        if found := _values(script, node.lineno, one.name, run):
            script.scope.hold(one.asname or one.name, Settings(found))


def _values(script: Script, line: int, module: str, run: Run) -> dict[str, Any]:
    """The values of a module that lies beside it; nothing of any other."""
    again = not module or module in script.within
    source = None if again or script.wanted.module is None else script.wanted.module(module)
    if source is None:
        return {}
    try:
        tree = parsed(source)
    except SpecError:
        return {}
    other = Script.of(source, tree, script.wanted, script.follow, *script.within, module)
    other.doubts.variables.join(script.doubts.variables)
    run(other, tree)
    script.doubts.variables = other.doubts.variables
    script.said.words |= other.said.words
    for _, text in other.said.taken:
        script.said.take(line, f"{module}: {text}")
    return _named(other)


def _named(script: Script) -> dict[str, Any]:
    """The values under the names of the module; of a class its settings, where nothing changes them."""
    found: dict[str, Any] = {}
    for name in {*script.module.literals, *script.module.classes} - script.doubts.never:
        with contextlib.suppress(Unknown):
            made = script.module.classes.get(name)
            value = settings_of(script, made) if made else named(script, name)
            found[name] = _sure(script, value) if isinstance(value, Record) else value
    return found


def _sure(script: Script, record: Record) -> Record:
    kept = {
        name: value
        for name, value in record.values.items()
        if not script.doubts.is_set(name, record)
    }
    return Record(kept, call=record.call)
