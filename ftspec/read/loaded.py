"""Settings that a script reads from a file beside it: `yaml.safe_load(open("config.yaml"))`."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from ftspec.read import yaml
from ftspec.read.python import Unknown
from ftspec.read.records import Settings
from ftspec.read.values import DEFAULTS, Values
from ftspec.read.worked import Folder

LOADS: Mapping[str, str] = {
    "json.load": "json", "json.loads": "json", "yaml.safe_load": "pyyaml", "yaml.load": "pyyaml",
    "yaml.full_load": "pyyaml", "OmegaConf.load": "omegaconf", "omegaconf.OmegaConf.load": "omegaconf",
}  # fmt: skip
"""Calls that read a file, and the dialect in which they do."""
VIEWED = ("SimpleNamespace", "Namespace", "EasyDict", "OmegaConf.create")
"""Calls that make attributes of what they are given."""
COPIES = ("OmegaConf.to_container", "OmegaConf.to_object", "copy.deepcopy", "deepcopy")
"""Calls that give back settings of their own, which are the same."""
SAME = ("resolve", "absolute", "expanduser", "as_posix")
"""Methods of a path that name the same file."""


class Loaded(Values):
    """What expressions come to, files of settings among them."""

    def _result(self, node: ast.Call, dotted: str) -> Any:  # noqa: PLR0911 - one per kind of call
        name = next((one for one in LOADS if _is(dotted, (one,))), "")
        if name and node.args:
            return self._read_file(self._path(node.args[0]), LOADS[name])
        if _is(dotted, VIEWED):
            return self._viewed(node)
        copied = self._literal(node.args[0]) if _is(dotted, COPIES) and node.args else None
        if isinstance(copied, dict):
            return deepcopy(copied)
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=owner), word, *default]):
                if isinstance(found := self.scope.of(owner).literals.get(owner), Settings):
                    return self._got(found, owner, self._literal(word), default)
            case ast.Call(func=ast.Attribute(value=path, attr=method), args=[]) if method in SAME:
                if isinstance(found := self._literal(path), Folder):
                    return found
            case ast.Call(args=[path]) if dotted.startswith("os.path.") and not node.keywords:
                return self._of_path(dotted, self._literal(path))
        return super()._result(node, dotted)

    def _of_path(self, dotted: str, path: Any) -> str:
        if not isinstance(path, str):
            raise Unknown
        match dotted.rpartition(".")[2]:
            case "abspath" | "realpath" | "normpath" | "expanduser":
                return path
            case "dirname":
                return posixpath.dirname(path)
            case "basename":
                return posixpath.basename(path)
        raise Unknown

    def _got(self, found: Settings, owner: str, name: Any, default: list[ast.expr]) -> Any:
        """`getattr(settings, "lr", 1e-4)`."""
        if not isinstance(name, str) or self.changed[owner] > 0 or self.stored.get(name, 0):
            raise Unknown
        return found[name] if name in found or not default else self._literal(default[0])

    def _viewed(self, node: ast.Call) -> Settings:
        keys = [ast.Constant(one.arg) if one.arg else None for one in node.keywords]
        return Settings(
            self._dict(
                [*(None for _ in node.args), *keys], [*node.args, *(k.value for k in node.keywords)]
            )
        )

    def _attribute(self, node: ast.Attribute, value: ast.expr, name: str) -> Any:
        try:
            found = self._literal(value)
        except Unknown:
            return super()._attribute(node, value, name)
        if isinstance(found, Folder) and name == "parent":
            return Folder(posixpath.dirname(found) or ".")
        if not isinstance(found, Settings):
            return super()._attribute(node, value, name)
        if name not in found or self.stored.get(name, 0) or self.set_by_name:
            raise Unknown
        return found[name]

    def _named(self, name: str) -> Any:
        if name == "__file__" and name not in self.scope.of(name).literals:
            return "./script.py"  # as it runs in its own folder
        return super()._named(name)

    def _path(self, node: ast.expr) -> str:
        """The file that an expression opens, or whose text it is."""
        match node:
            case ast.Name(id=name) if name in self.scope.of(name).opened:
                return self.scope.of(name).opened[name]
            case ast.Call(func=ast.Name(id="open"), args=[path, *_]) if not self.bound["open"]:
                return self._path_of(path)
            case ast.Call(func=ast.Attribute(value=path, attr="open" | "read_text")):
                return self._path_of(path)
            case ast.Call(func=ast.Attribute(value=file, attr="read"), args=[]):
                return self._path(file)
        return self._path_of(node)

    def _path_of(self, node: ast.expr) -> str:
        found = self._literal(node)
        if not isinstance(found, str):
            raise Unknown
        return str(found)

    def _read_file(self, path: str, dialect: str) -> Any:
        try:
            found = self.wanted.files(path, dialect) if self.wanted.files else None
        except LookupError as error:
            raise Unknown from error
        if not isinstance(found, dict | list):
            raise Unknown
        return viewed(found) if dialect == "omegaconf" else found

    def _hydra(self, function: ast.FunctionDef) -> tuple[str, Settings] | None:
        """The config that `@hydra.main` hands to a function, with the words of the command line in it."""
        match function:
            case ast.FunctionDef(
                decorator_list=[ast.Call(func=made, args=[], keywords=said)],
                args=ast.arguments(args=[ast.arg(arg=name)], vararg=None, kwarg=None),
            ) if self._dotted(made) == "hydra.main":
                pass
            case _:
                return None
        try:
            given = {one.arg: self._literal(one.value) for one in said}
            file = f"{str(given.get('config_name')).removesuffix('.yaml')}.yaml"
            place = posixpath.join(given.get("config_path") or ".", file)
            config = self._read_file(place, "omegaconf")
        except (Unknown, TypeError):
            return None
        if any(one != "_self_" for one in config.pop("defaults", None) or []):
            return None  # of several files
        for key, word in self.wanted.arguments.items():
            if not _put(config, key.split("."), word):
                return None
            self.words.add(key)
        if not self.wanted.arguments:
            self._take(function.lineno, DEFAULTS)
        return name, config

    def _open(self, item: ast.withitem) -> None:
        """`with open(path) as file`: the name stands for that file."""
        if isinstance(item.optional_vars, ast.Name):
            try:
                path = self._path(item.context_expr)
            except Unknown:
                return
            name = item.optional_vars.id
            self.scope.of(name).opened[name] = path


def _is(dotted: str, names: Sequence[str]) -> bool:
    return any(dotted == name or dotted.endswith(f".{name}") for name in names)


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


def viewed(found: Any) -> Any:
    """Mappings whose keys are attributes too, as OmegaConf makes them."""
    if isinstance(found, dict):
        return Settings({key: viewed(value) for key, value in found.items()})
    return [viewed(one) for one in found] if isinstance(found, list) else found
