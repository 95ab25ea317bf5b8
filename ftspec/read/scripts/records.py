"""Settings that a script holds in a class or an object of its own: `cfg.lr`, `args.lr`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

PLAIN = frozenset(("object", "BaseModel", "NamedTuple", "SimpleNamespace", "BaseSettings"))
"""Bases that add no settings."""


@dataclass(frozen=True)
class Record:
    """An object with settings as attributes, which statements may set anew."""

    values: dict[str, Any]
    made: frozenset[str] = frozenset()
    """Those that its own `__init__` assigns."""
    call: str = ""
    """The framework's class of arguments that it is one of, as origins name it."""
    lost: frozenset[str] = frozenset()
    """Settings whose values are not known."""

    def __copy__(self) -> Record:
        """The same settings; what is set anew later is so in one of them alone."""
        return replace(self, values=dict(self.values))


class Settings(dict[str, Any]):
    """A mapping whose keys are attributes too."""


class Makes(NamedTuple):
    """What a framework's function makes of settings: `get_peft_config(model_args)`."""

    of: str
    """The class of the settings."""
    call: str
    switches: tuple[str, ...]
    """It makes nothing unless one of these is on."""
    fields: Mapping[str, str]
    """Names of settings, and of arguments of the call."""
    alone: tuple[str, ...] = ()
    """Settings of which a list of one stands for what is in it."""


def fields_of(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None, str]]:
    """Each setting that a class declares, with its default and its type; also those of a plain `__init__`."""
    for one in node.body:
        match one:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=value):
                yield name, _default(value), ast.unparse(kind)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value, ""
            case ast.FunctionDef(name="__init__", args=ast.arguments(args=[me]), body=body):
                yield from _made(me.arg, body)


def made_by(node: ast.ClassDef) -> frozenset[str]:
    """The attributes that a plain `__init__` assigns."""
    starts = (one for one in node.body if isinstance(one, ast.FunctionDef))
    alone = ast.ClassDef("", [], [], [one for one in starts if one.name == "__init__"], [])
    return frozenset(name for name, *_ in fields_of(alone))


def _made(me: str, body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr | None, str]]:
    for one in body:
        match one:
            case (
                ast.Assign(
                    targets=[ast.Attribute(value=ast.Name(id=owner), attr=name)], value=value
                )
                | ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id=owner), attr=name),
                    value=ast.expr() as value,
                )
            ) if owner == me:
                yield name, value, ""


def _default(value: ast.expr | None) -> ast.expr | None:
    """What `field(default=...)` and `field(default_factory=lambda: ...)` stand for."""
    if not (
        isinstance(value, ast.Call)
        and ast.unparse(value.func).rpartition(".")[2] in ("field", "Field")
    ):
        return value
    given = {one.arg: one.value for one in value.keywords}
    made = given.get("default_factory")
    match made:
        case ast.Lambda(body=body):
            return body
        case ast.Name(id="list" | "dict" as kind):
            return ast.List([], ast.Load()) if kind == "list" else ast.Dict([], [])
    return given.get("default", value.args[0] if value.args else None)
