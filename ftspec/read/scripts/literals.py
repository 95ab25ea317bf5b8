"""What stands in a script as it is: literals, mappings that are written out, dotted names."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ftspec.read.python import NAMES, Unknown, stored_of

Read = Callable[[ast.expr], Any]
"""The value of an expression; raises Unknown where it is not certain."""
Pairs = tuple[list[ast.expr | None], list[ast.expr]]


def imported(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """The aliases that an import makes: `from a import b as c` makes `c` another name of `a.b`."""
    if isinstance(node, ast.Import):
        return {n.asname: n.name for n in node.names if n.asname}
    return {n.asname or n.name: f"{node.module}.{n.name}" for n in node.names}


def dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """The full name of what is called or asked for, import aliases undone; "" of anything else."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (base := dotted(node.value, aliases)):
        return f"{base}.{node.attr}"
    return ""


def asked_for(name: str, calls: Collection[str]) -> str:
    """Under which of these a dotted name is asked for: it ends so; "" if it is not."""
    return next((c for c in calls if name == c or name.endswith("." + c)), "")


def literal(  # noqa: PLR0911 - one per kind of node
    node: ast.expr, read: Read, aliases: Mapping[str, str], other: Read
) -> Any:
    """The value of a literal whose parts `read` knows; of what is none, what `other` says.

    Raises:
        Unknown: a part has no value that is certain.
    """
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(
            op=ast.USub() | ast.UAdd() as sign,
            operand=ast.Constant(value=int() | float() as number),
        ) if not isinstance(number, bool):
            return -number if isinstance(sign, ast.USub) else number
        case ast.List(elts=elements):
            return [read(element) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(read(element) for element in elements)
        case ast.Attribute() if (name := dotted(node, aliases)) in NAMES:
            return name
        case ast.Attribute(
            value=ast.Call(func=function, args=[model, *_]), attr="dtype" | "torch_dtype"
        ) if dotted(function, aliases).endswith("AutoConfig.from_pretrained"):
            return stored_of(read(model))
    return other(node)


def pairs(node: ast.expr, is_builtin: bool) -> Pairs | None:
    """Keys and values of `{...}` or `dict(...)`; None as the key of a mapping that is spread in it.

    ``is_builtin``: `dict` is Python's own.
    """
    match node:
        case ast.Dict(keys=keys, values=values):
            return keys, values
        case ast.Call(func=ast.Name(id="dict"), args=given, keywords=keywords) if (
            len(given) < 2 and is_builtin
        ):
            return (
                [*(None for _ in given), *keys_of(keywords)],
                [*given, *(one.value for one in keywords)],
            )
    return None


def keys_of(keywords: list[ast.keyword]) -> list[ast.expr | None]:
    """The names of arguments as keys of a mapping."""
    return [ast.Constant(one.arg) if one.arg else None for one in keywords]


def mapping(keys: list[ast.expr | None], values: list[ast.expr], read: Read) -> dict[str, Any]:
    """A mapping of texts, each of which stands there once.

    Raises:
        Unknown: it is another, or a value is not certain.
    """
    found: dict[str, Any] = {}
    for key, value in zip(keys, values, strict=True):
        if not isinstance(key, ast.Constant) or type(key.value) is not str or key.value in found:
            raise Unknown
        found[key.value] = read(value)
    return found
