"""What calls come to that make no object: functions of Python, of the environment, and of settings."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from ftspec.read.python import NAMES, Unknown
from ftspec.read.scripts import arguments, literals, worked
from ftspec.read.scripts.declared import as_mapping, declared, instance
from ftspec.read.scripts.files import LOADS, loaded, part_of_path, path_of
from ftspec.read.scripts.literals import Read
from ftspec.read.scripts.made import left_off
from ftspec.read.scripts.names import dotted, makes, own_class
from ftspec.read.scripts.options import Parser
from ftspec.read.scripts.records import Settings
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.worked import Folder

ENVIRONMENT = ("os.environ.get", "os.getenv", "environ.get", "getenv")
AS_MAPPING = ("vars", "asdict")
VIEWED = ("SimpleNamespace", "Namespace", "EasyDict", "OmegaConf.create")
"""Calls that make attributes of what they are given."""
COPIES = ("OmegaConf.to_container", "OmegaConf.to_object", "copy.deepcopy", "deepcopy")
"""Calls that give back settings of their own, which are the same."""
SAME = ("resolve", "absolute", "expanduser", "as_posix")
"""Methods of a path that name the same file."""


def result(  # noqa: PLR0911 - one per kind of call
    script: Script, node: ast.Call, read: Read
) -> Any:
    """What a call comes to.

    Raises:
        Unknown: it has no value that is certain.
    """
    name = dotted(script, node.func)
    if (found := makes(script, name)) is not None:
        left_off(found, node, read)
        return None
    dialect = next((LOADS[one] for one in LOADS if _is(name, (one,))), "")
    if dialect and node.args:
        return loaded(script, path_of(script, node.args[0], read), dialect)
    if _is(name, VIEWED):
        return _viewed(node, read)
    copied = read(node.args[0]) if _is(name, COPIES) and node.args else None
    if isinstance(copied, dict):
        return deepcopy(copied)
    match node:
        case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=owner), word, *default]):
            if isinstance(settings := script.scope.of(owner).literals.get(owner), Settings):
                return _got(script, settings, owner, read(word), default, read)
        case ast.Call(func=ast.Attribute(value=path, attr=method), args=[]) if method in SAME:
            if isinstance(folder := read(path), Folder):
                return folder
        case ast.Call(args=[path]) if name.startswith("os.path.") and not node.keywords:
            return part_of_path(name, read(path))
    return _of_settings(script, node, name, read)


def mapping(keys: list[ast.expr | None], values: list[ast.expr], read: Read) -> dict[str, Any]:
    """A mapping of texts, in which others may be spread: `{**common, "lr": 1}`.

    Raises:
        Unknown: it is another, or a value is not certain.
    """
    found: dict[str, Any] = {}
    for key, value in zip(keys, values, strict=True):
        made = read(value) if key is None else literals.mapping([key], [value], read)
        if not isinstance(made, dict):
            raise Unknown
        found |= made
    return found


def variable(
    script: Script, node: ast.expr, name: Any, defaults: list[ast.expr] | None, read: Read
) -> Any:
    """A variable of the environment; ``defaults``: what it is taken to be, where it is asked for so.

    Raises:
        Unknown: the script sets it itself, or its value is not known.
    """
    if not isinstance(name, str):
        raise Unknown
    if script.doubts.variables.may_be_other(name, name in script.wanted.environ):
        raise Unknown
    if name in script.wanted.environ:
        if (said := script.wanted.environ[name]) is None:
            raise Unknown
        return said
    if defaults is None:
        raise Unknown
    default = read(defaults[0]) if defaults else None
    told = f"the variable {name} is taken to be not set: {default!r}"
    script.said.take(node.lineno, told)
    return default


def _of_settings(  # noqa: PLR0911 - one per kind of call
    script: Script, node: ast.Call, name: str, read: Read
) -> Any:
    for known, found in script.wanted.known.items():
        if _is(name, (known,)):
            return found
    last = name.rpartition(".")[2]
    match node:
        case ast.Call(args=[asked, *default]) if name in ENVIRONMENT:
            return variable(script, node, read(asked), default[:1], read)
        case ast.Call(args=[ast.Name(id="torch"), word]) if name == "getattr":
            return _of_torch(read(word))
        case ast.Call(args=[classes, *_]) if last in arguments.PARSERS:
            return arguments.of_classes(script, classes, read)
        case ast.Call(args=[one]) if name == "tyro.cli" and not node.keywords:
            return arguments.of_class(script, one, node.lineno, read)
        case ast.Call(args=[one]) if last in AS_MAPPING and not node.keywords:
            return as_mapping(read(one), script.doubts)
        case ast.Call(func=ast.Attribute(value=parser, attr="add_argument_group")):
            return read(parser)
        case ast.Call(func=ast.Attribute(value=parser, attr=method)) if method in arguments.PARSES:
            return arguments.parsed(script, node, parser, method, read)
    if (made := own_class(script, node.func)) is not None:
        return _instance(script, made, node, read)
    if name == "argparse.ArgumentParser":
        return Parser()
    if name in worked.FUNCTIONS and script.doubts.bound[name]:
        raise Unknown
    return worked.called(name, node, read)


def _instance(script: Script, made: ast.ClassDef, node: ast.Call, read: Read) -> Any:
    record = declared(script, made, read)
    if node.args:
        raise Unknown
    given = mapping(literals.keys_of(node.keywords), [one.value for one in node.keywords], read)
    return instance(made, given, record)


def _viewed(node: ast.Call, read: Read) -> Settings:
    keys = [*(None for _ in node.args), *literals.keys_of(node.keywords)]
    return Settings(mapping(keys, [*node.args, *(one.value for one in node.keywords)], read))


def _got(
    script: Script, found: Settings, owner: str, name: Any, default: list[ast.expr], read: Read
) -> Any:
    """`getattr(settings, "lr", 1e-4)`."""
    doubts = script.doubts
    if not isinstance(name, str) or doubts.is_changed(owner) or doubts.stored.get(name, 0):
        raise Unknown
    return found[name] if name in found or not default else read(default[0])


def _of_torch(name: Any) -> str:
    dotted = f"torch.{name}"
    if dotted not in NAMES:
        raise Unknown
    return dotted


def _is(name: str, names: Sequence[str]) -> bool:
    return any(name == one or name.endswith(f".{one}") for one in names)
