"""Settings that a script reads from a file beside it: `yaml.safe_load(open("config.yaml"))`."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Mapping
from typing import Any

from ftspec.read import yaml
from ftspec.read.python import Unknown
from ftspec.read.scripts.arguments import DEFAULTS
from ftspec.read.scripts.literals import Read
from ftspec.read.scripts.names import dotted
from ftspec.read.scripts.records import Settings
from ftspec.read.scripts.state import Script

LOADS: Mapping[str, str] = {
    "json.load": "json", "json.loads": "json", "yaml.safe_load": "pyyaml", "yaml.load": "pyyaml",
    "yaml.full_load": "pyyaml", "OmegaConf.load": "omegaconf", "omegaconf.OmegaConf.load": "omegaconf",
}  # fmt: skip
"""Calls that read a file, and the dialect in which they do."""


def loaded(script: Script, path: str, dialect: str) -> Any:
    """What a file of settings says.

    Raises:
        Unknown: there is none, or it cannot be read.
    """
    files = script.wanted.files
    try:
        found = files(path, dialect) if files else None
    except LookupError as error:
        raise Unknown from error
    if not isinstance(found, dict | list):
        raise Unknown
    return _viewed(found) if dialect == "omegaconf" else found


def path_of(script: Script, node: ast.expr, read: Read) -> str:
    """The file that an expression opens, or whose text it is.

    Raises:
        Unknown: it is not certain which.
    """
    match node:
        case ast.Name(id=name) if name in script.scope.of(name).opened:
            return script.scope.of(name).opened[name]
        case ast.Call(func=ast.Name(id="open"), args=[path, *_]) if not script.doubts.bound["open"]:
            return _text(path, read)
        case ast.Call(func=ast.Attribute(value=path, attr="open" | "read_text")):
            return _text(path, read)
        case ast.Call(func=ast.Attribute(value=file, attr="read"), args=[]):
            return path_of(script, file, read)
    return _text(node, read)


def part_of_path(function: str, path: Any) -> str:
    """What a function of `os.path` makes of a path.

    Raises:
        Unknown: it depends on the machine.
    """
    if not isinstance(path, str):
        raise Unknown
    match function.rpartition(".")[2]:
        case "abspath" | "realpath" | "normpath" | "expanduser":
            return path
        case "dirname":
            return posixpath.dirname(path)
        case "basename":
            return posixpath.basename(path)
    raise Unknown


def open_as(script: Script, item: ast.withitem, read: Read) -> None:
    """`with open(path) as file`: the name stands for that file."""
    if isinstance(item.optional_vars, ast.Name):
        try:
            path = path_of(script, item.context_expr, read)
        except Unknown:
            return
        name = item.optional_vars.id
        script.scope.of(name).opened[name] = path


def handed_by_hydra(
    script: Script, function: ast.FunctionDef, read: Read
) -> tuple[str, Settings] | None:
    """The config that `@hydra.main` hands to a function, with the words of the command line in it."""
    match function:
        case ast.FunctionDef(
            decorator_list=[ast.Call(func=made, args=[], keywords=said)],
            args=ast.arguments(args=[ast.arg(arg=name)], vararg=None, kwarg=None),
        ) if dotted(script, made) == "hydra.main":
            pass
        case _:
            return None
    try:
        given = {one.arg: read(one.value) for one in said}
        file = f"{str(given.get('config_name')).removesuffix('.yaml')}.yaml"
        place = posixpath.join(given.get("config_path") or ".", file)
        config = loaded(script, place, "omegaconf")
    except (Unknown, TypeError):
        return None
    if not isinstance(config, Settings):
        return None  # a list
    if any(one != "_self_" for one in config.pop("defaults", None) or []):
        return None  # of several files
    for key, word in script.wanted.arguments.items():
        if not _put(config, key.split("."), word):
            return None
        script.said.words.add(key)
    if not script.wanted.arguments:
        script.said.take(function.lineno, DEFAULTS)
    return name, config


def _text(node: ast.expr, read: Read) -> str:
    found = read(node)
    if not isinstance(found, str):
        raise Unknown
    return str(found)


def _put(config: Any, trail: list[str], word: Any) -> bool:
    """Set a value of a config by a word; False where there is none, or the word is more than one value."""
    for key in trail[:-1]:
        config = config.get(key) if isinstance(config, dict) else None
    if not isinstance(config, dict) or trail[-1] not in config or not isinstance(word, str):
        return False
    if word[:1] in ("[", "{", "'", '"') or isinstance(config[trail[-1]], dict | list):
        return False
    config[trail[-1]] = yaml.scalar(word)
    return True


def _viewed(found: Any) -> Any:
    """Mappings whose keys are attributes too, as OmegaConf makes them."""
    if isinstance(found, dict):
        return Settings({key: _viewed(value) for key, value in found.items()})
    return [_viewed(one) for one in found] if isinstance(found, list) else found
