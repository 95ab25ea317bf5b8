"""Arguments of a command line: what a parser declares, and what words come to."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ftspec.read.scripts.literals import Read

_BARE = re.compile(r"[\[(]\s*([\w./-]+(?:\s*,\s*[\w./-]+)*)\s*,?\s*[\])]")
NUMBERS: Mapping[str, type] = {"int": int, "float": float, "str": str}


@dataclass(frozen=True)
class Option:
    """One argument of a command line."""

    default: Any
    type: str = ""
    """`int`, `float`, `str`, `switch`, `list of int`, ...; "?" is another one."""
    known: bool = True
    """Whether the default is, and there is one."""
    placed: bool = False
    """Whether it is told by its place."""
    read: Callable[[Any], Any] | None = None
    """Makes the value of what a command line says, where the type alone does not tell."""


class Fields(NamedTuple):
    """The arguments of one class of an HfArgumentParser."""

    options: Mapping[str, Option]
    call: str = ""
    """The framework's class that it is, or is made of."""
    set: frozenset[str] = frozenset()
    """Those of the framework's fields for which the script declares a default."""


@dataclass
class Parser:
    """An `argparse.ArgumentParser` while arguments are added to it."""

    options: dict[str, Option] = field(default_factory=dict)
    classes: tuple[Fields, ...] = ()
    """Of an HfArgumentParser: the arguments of each of its classes."""

    def add(self, call: ast.Call, read: Read, unknown: type[Exception]) -> None:
        """Take an `add_argument(...)`."""
        names = [str(one.value) for one in call.args if isinstance(one, ast.Constant)]
        given = {one.arg: one.value for one in call.keywords if one.arg}
        long = next((one for one in names if one.startswith("--")), names[0] if names else "")
        named = given.get("dest")
        name = str(named.value) if isinstance(named, ast.Constant) else long.lstrip("-")
        option = _option(long, given, read, unknown)
        self.options[name.replace("-", "_")] = replace(option, placed=not long.startswith("-"))


def _option(
    name: str, given: Mapping[str, ast.expr], read: Read, unknown: type[Exception]
) -> Option:
    action = given.get("action")
    word = ast.unparse(action).strip("'") if action else ""
    needed = (
        not name.startswith("-")
        or ast.unparse(given.get("required", ast.Constant(False))) != "False"
    )
    if word in ("store_true", "store_false"):
        return Option(word == "store_false", "switch" if word == "store_true" else "off")
    kind = ast.unparse(given["type"]) if "type" in given else "str"
    kind = kind if kind in NUMBERS else "?"
    nargs = given.get("nargs")
    if nargs is not None and ast.unparse(nargs) != "'?'":
        kind = f"list of {kind}"
    if word and not word.endswith("BooleanOptionalAction"):
        kind = "?"
    try:
        value = read(given["default"]) if "default" in given else None
        if isinstance(value, str) and kind in NUMBERS:
            value = NUMBERS[kind](value)
        odd = isinstance(value, str) and kind == "?"
        return Option(
            value, "switch" if word.endswith("OptionalAction") else kind, not needed and not odd
        )
    except (unknown, ValueError):
        return Option(None, kind, known=False)


def parsed(
    options: Mapping[str, Option], given: Mapping[str, Any]
) -> tuple[dict[str, Any], set[str]]:
    """The values of a command line, and which of its words were read."""
    values = {name: one.default for name, one in options.items() if one.known}
    read: set[str] = set()
    given, placed = dict(given), [name for name, one in options.items() if one.placed]
    for name in placed:
        given.pop(name, None)  # what a line calls so is another argument
    bare = given.get("", [])
    bare = bare if isinstance(bare, list) else [bare]
    if bare and len(bare) == len(placed) and all(options[name].type in NUMBERS for name in placed):
        given |= dict(zip(placed, bare, strict=True))
        read.add("")
    for name in options.keys() & given.keys():
        read.add(name)
        values.pop(name, None)
        made = options[name].read
        try:
            values[name] = made(given[name]) if made else _typed(given[name], options[name].type)
        except (ValueError, TypeError, LookupError):
            continue
    return values, read


def _typed(said: Any, kind: str) -> Any:
    """A word of a command line, or several, in the type that an argument has."""
    if kind in NUMBERS and type(said) in (int, float) and kind != "str":
        if kind == "int" and type(said) is float:
            raise ValueError
        return NUMBERS[kind](said)  # out of a file of settings
    start, _, each = kind.rpartition(" ")
    if start:
        words = said if isinstance(said, list) else [said]
        return [_typed(word, each) for word in words]
    if kind == "bool" and isinstance(said, str):
        return {"true": True, "false": False, "1": True, "0": False}[said.lower()]
    if kind == "bool":
        kind = "switch"
    if kind in ("switch", "off"):
        if said is not True and said is not False:
            raise ValueError
        return said is (kind == "switch")
    if kind not in NUMBERS or not isinstance(said, str):
        raise ValueError
    return NUMBERS[kind](said)


def fired(name: str, said: Any) -> ast.keyword:
    """What python-fire makes of a word (parser.py): a literal, a list of bare words, else the text itself."""
    try:
        value = ast.parse(repr(said) if not isinstance(said, str) else said, mode="eval").body
        ast.literal_eval(value)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        words = _BARE.fullmatch(said) if isinstance(said, str) else None
        parts = [ast.Constant(word.strip()) for word in words[1].split(",")] if words else []
        value = ast.List([*parts], ast.Load()) if words else ast.Constant(said)
    return ast.keyword(name, value)


def declared(kind: str) -> str:
    """The type of an argument, by the annotation of a field."""
    word = kind.removeprefix("Optional[").removesuffix("]").partition("|")[0].strip()
    return word if word in (*NUMBERS, "bool") else "?"
