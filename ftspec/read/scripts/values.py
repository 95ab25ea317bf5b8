"""What an expression of a script comes to, as far as that is certain."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Mapping
from functools import partial
from typing import Any

from ftspec.read.python import Unknown
from ftspec.read.scripts import results, worked
from ftspec.read.scripts.arguments import argv
from ftspec.read.scripts.declared import declared
from ftspec.read.scripts.literals import literal, pairs
from ftspec.read.scripts.names import dotted, own_class
from ftspec.read.scripts.records import Record, Settings
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.worked import Folder

ENUMS: Mapping[str, bool] = {
    "TaskType": False, "IntervalStrategy": True, "SchedulerType": True, "SaveStrategy": True,
    "OptimizerNames": True, "HubStrategy": True,
}  # fmt: skip
"""Enumerations whose members stand for their names, in small letters or as they are."""
HERE = "./script.py"
"""Where a script lies: it runs in its own folder."""


def value(script: Script, node: ast.expr) -> Any:
    """The value of an expression.

    Raises:
        Unknown: it has none that is certain.
    """
    read, other = partial(value, script), partial(_other, script)
    found = literal(node, read, script.aliases, other)
    if not worked.is_small(found):
        raise Unknown
    return found


def named(script: Script, name: str) -> Any:
    """The value under a name.

    Raises:
        Unknown: there is none, or it may have been changed.
    """
    scope = script.scope.of(name)
    if name == "__file__" and name not in scope.literals:
        return HERE
    if name not in scope.literals or name in script.doubts.never:
        raise Unknown
    found = scope.literals[name]
    if isinstance(found, list | dict) and script.doubts.is_changed(name):
        raise Unknown
    if isinstance(found, dict) and Unknown in found.values():
        raise Unknown  # something that is no value was put there
    return found


def key(script: Script, node: ast.expr) -> str:
    """What a mapping is asked for, where that is a text; "" where it is not."""
    try:
        found = value(script, node)
    except Unknown:
        return ""
    return found if isinstance(found, str) else ""


def settings_of(script: Script, made: ast.ClassDef) -> Record:
    """The settings that a class of the script declares.

    Raises:
        Unknown: it has a base that nobody knows.
    """
    return declared(script, made, partial(value, script))


def _other(  # noqa: PLR0911 - one per kind of node
    script: Script, node: ast.expr
) -> Any:
    """What is no literal."""
    read = partial(value, script)
    if (found := pairs(node, not script.doubts.bound["dict"])) is not None:
        return results.mapping(*found, read)
    match node:
        case ast.Name(id=name):
            return named(script, name)
        case ast.Attribute():
            return _attribute(script, node)
        case ast.Call():
            return results.result(script, node, read)
        case ast.Subscript(value=ast.Attribute(attr="environ"), slice=variable):
            return results.variable(script, node, read(variable), None, read)
        case ast.Compare(
            left=ast.Name(id=name),
            ops=[ast.Is() | ast.IsNot() | ast.Eq() | ast.NotEq() as test],
            comparators=[ast.Constant(value=None)],
        ):
            return _is_none(script, name, test)
    return worked.worked(node, read)


def _is_none(script: Script, name: str, test: ast.cmpop) -> bool:
    """Whether there is something under a name: what a known call has made is something."""
    made = bool(script.scope.of(name).objects.get(name))
    return worked.QUESTIONS[type(test)](made or named(script, name), None)


def _attribute(script: Script, node: ast.Attribute) -> Any:
    """A folder's parent, or a setting."""
    name = node.attr
    try:
        found = value(script, node.value)
    except Unknown:
        return _setting(script, node)
    if isinstance(found, Folder) and name == "parent":
        return Folder(posixpath.dirname(found) or ".")
    if not isinstance(found, Settings):
        return _setting(script, node)
    if name not in found or script.doubts.is_set(name):
        raise Unknown
    return found[name]


def _setting(script: Script, node: ast.Attribute) -> Any:
    """A member of an enumeration, or a setting of a class or an object."""
    owner, _, member = dotted(script, node).rpartition(".")
    if owner == "sys" and member == "argv":
        return argv(script)
    kind = ENUMS.get(owner.rpartition(".")[2])
    if kind is not None:
        return member.lower() if kind else member
    made = own_class(script, node.value)
    record = settings_of(script, made) if made else value(script, node.value)
    if not isinstance(record, Record) or node.attr not in record.values:
        raise Unknown
    if script.doubts.is_set(node.attr, record):
        raise Unknown
    return record.values[node.attr]
