"""Expressions of a script that come to one value whatever happens: sums, choices, texts, mappings."""

from __future__ import annotations

import ast
import operator
import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ftspec.read.python import Unknown
from ftspec.read.scripts.literals import Read
from ftspec.read.text import SIZE

LARGEST = 10**12
"""No setting is a larger number."""
BITS = 1000
"""No whole number has more; of one that is far larger Python does not even write the digits."""
LONGEST = 10_000
"""No text is longer, and no list."""
SUMS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
QUESTIONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "int": int, "float": float, "str": str, "bool": bool, "len": len, "max": max, "min": min,
    "abs": abs, "round": round, "list": list, "tuple": tuple, "sorted": sorted,
}  # fmt: skip
METHODS = frozenset(
    ("split", "rsplit", "replace", "lower", "upper", "strip", "lstrip", "rstrip", "removeprefix",
     "removesuffix", "startswith", "endswith", "title", "capitalize")
)  # fmt: skip
"""Of texts."""
ODD = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError)


class Folder(str):
    """A `pathlib.Path`, as a text."""

    __slots__ = ()


def worked(node: ast.expr, read: Read) -> Any:
    """The value of an expression whose parts `read` knows.

    Raises:
        Unknown: it is not certain.
    """
    try:
        return _worked(node, read)
    except ODD as error:
        raise Unknown from error


def _worked(node: ast.expr, read: Read) -> Any:  # noqa: PLR0911 - one per kind of node
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not read(operand)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _sum(0, ast.Sub(), read(operand))
        case ast.BinOp(left=left, op=operation, right=right):
            return _sum(read(left), operation, read(right))
        case ast.BoolOp(op=word, values=values):
            return _either(isinstance(word, ast.Or), values, read)
        case ast.Compare(left=left, ops=[question], comparators=[right]):
            return QUESTIONS[type(question)](read(left), read(right))
        case ast.IfExp(test=test, body=body, orelse=other):
            return read(body if read(test) else other)
        case ast.JoinedStr(values=parts):
            return _all(_printed(part, read) for part in parts)
        case ast.Subscript(value=value, slice=ast.expr() as key) if not isinstance(key, ast.Slice):
            return _item(read(value), read(key))
    raise Unknown


def _either(first: bool, values: list[ast.expr], read: Read) -> Any:
    """`a or b`, `a and b`: the value at which it stops."""
    found: Any = None
    for value in values:
        found = read(value)
        if bool(found) is first:
            return found
    return found


def _sum(left: Any, operation: ast.operator, right: Any) -> Any:
    """Sums and products of numbers, as in `4 * 1024`; texts and lists one after the other; folders."""
    if isinstance(left, Folder) and isinstance(operation, ast.Div) and isinstance(right, str):
        return Folder(posixpath.normpath(posixpath.join(left, right)))
    if isinstance(left, dict) and isinstance(right, dict) and isinstance(operation, ast.BitOr):
        return {**left, **right}
    numbers = all(type(one) in (int, float) and abs(one) <= LARGEST for one in (left, right))
    joined = type(left) is type(right) and isinstance(left, str | list | tuple)
    if not numbers and not (
        joined and isinstance(operation, ast.Add) and len(left) + len(right) < LONGEST
    ):
        raise Unknown
    return SUMS[type(operation)](left, right)


def _all(parts: Iterable[str]) -> str:
    """Texts as one, up to the longest that is read: `f"{a}{a}"` forty times over is a million million."""
    whole, length = [], 0
    for part in parts:
        length += len(part)
        if length > SIZE:
            raise Unknown
        whole.append(part)
    return "".join(whole)


def _item(value: Any, key: Any) -> Any:
    if not isinstance(value, dict | list | tuple | str) or isinstance(key, dict | list):
        raise Unknown
    return value[key]


def _printed(part: ast.expr, read: Read) -> str:
    """A piece of an f-string."""
    match part:
        case ast.Constant(value=str() as text):
            return text
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            if isinstance(found := read(value), str | int | float):
                return str(found)
    raise Unknown


def is_small(value: Any) -> bool:
    """Whether lists, mappings and texts hold, all in all, no more than any config does.

    Names may share parts: forty that hold the one before twice are a million million.
    """
    todo, count, letters = [value], 0, 0
    while todo and count < LONGEST:
        match todo.pop():
            case dict() as held:
                todo += [*held, *held.values()]
            case list() | tuple() as held:
                todo += held
            case str() as text:
                letters += len(text)
            case int() as number if number.bit_length() > BITS:
                return False
        count += 1
    return not todo and letters <= SIZE


def called(name: str, node: ast.Call, read: Read) -> Any:
    """The result of a function or a method that only works something out.

    Raises:
        Unknown: it does more, or is not known.
    """
    if node.keywords:
        raise Unknown
    try:
        return _called(name, node, read)
    except ODD as error:
        raise Unknown from error


def _called(name: str, node: ast.Call, read: Read) -> Any:
    given = [read(one) for one in node.args]
    if any(not isinstance(one, str | int | float | list | tuple | dict | None) for one in given):
        raise Unknown
    if name in FUNCTIONS:
        return FUNCTIONS[name](*given)
    if sum(len(one) for one in given if isinstance(one, str)) > SIZE:
        raise Unknown
    if name == "os.path.join":
        return posixpath.join(*given)
    if name in ("Path", "pathlib.Path") and len(given) == 1 and isinstance(given[0], str):
        return Folder(given[0])
    if isinstance(node.func, ast.Attribute):
        return _method(read(node.func.value), node.func.attr, given)
    raise Unknown


def _method(value: Any, name: str, given: list[Any]) -> Any:
    if isinstance(value, dict) and name == "get":
        return value.get(*given)
    if (
        isinstance(value, str)
        and name in METHODS
        and sum(map(len, map(str, given))) + len(value) < LONGEST
    ):
        return getattr(value, name)(*given)
    raise Unknown
