"""YAML as LLaMA-Factory reads it: OmegaConf's dialect, which is YAML 1.1 with other floats.

There `no` is false, `014` is 12, `1:30` is 90 and `-.5` is a string; but `1e-4` is a number and a
date is a string. Measured with OmegaConf 2.4.0; the table is in tests/unit/test_read_yaml.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from ftspec.read.placed import Earlier, Place, Placed, Trail
from ftspec.read.text import DEPTH, KEYS, kind, refuse_huge, wrong

if TYPE_CHECKING:
    from ruamel.yaml.parser import Parser

NODES = 10_000
"""Most nodes with aliases expanded: OmegaConf's own limit."""
DIGITS = 1000
"""Most digits of a whole number; what has thousands of them cannot even be shown."""

_BOOLEANS = {
    **dict.fromkeys(("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(
    r"""(?P<sign>[-+]?)(?:
        0b(?P<binary>[01_]+)
      | 0x(?P<hexadecimal>[0-9a-fA-F_]+)
      | 0(?P<octal>[0-7_]+)
      | (?P<decimal>0|[1-9][0-9_]*)
      | (?P<sixty>[1-9][0-9_]*(?::[0-5]?[0-9])+)
    )""",
    re.VERBOSE | re.ASCII,
)
_BASES = {"binary": 2, "hexadecimal": 16, "octal": 8, "decimal": 10}
_FLOAT = re.compile(
    r"""[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
      | [-+]?[0-9]+(?:_[0-9]+)*[eE][-+]?[0-9]+
      | \.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
      | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
      | [-+]?\.(?:inf|Inf|INF)
      | \.(?:nan|NaN|NAN)""",
    re.VERBOSE | re.ASCII,
)


def scalar(text: str) -> Any:
    """What an unquoted word means."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if found := _INTEGER.fullmatch(text):
        return _integer(found)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def read(text: str) -> dict[str, Any]:
    """The settings of a LLaMA-Factory config. An empty text has none.

    Raises:
        SpecError: not YAML, not a mapping, a key twice, a tag, or too big.
    """
    return read_placed(text).data


def read_placed(
    text: str, scalar: Callable[[str], Any] = scalar, last_wins: bool = False
) -> Placed:
    """The same with the place of each value; ``scalar`` says what an unquoted word means.

    ``last_wins``: a key that is there twice has its last value, as PyYAML has it; else it is refused.

    Raises:
        SpecError: as `read`.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    refuse_huge(text, "YAML")
    constructor = _Constructor(scalar, last_wins, text)
    try:
        root = _composed(text)
        value = {} if root is None else constructor.value(root, 0, ())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"not YAML: {error.problem or error.context}"
        raise wrong(message, line, column, "check this line and the one above") from error
    except YAMLError as error:
        raise wrong(f"not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise wrong(f"YAML nested deeper than {DEPTH} levels") from error
    if not isinstance(value, dict):
        raise wrong(f"a config is a mapping, and this is {kind(value)}", 1, 1, KEYS)
    return Placed(value, constructor.places, tuple(constructor.earlier))


@lru_cache(maxsize=1)
def _composed(text: str) -> Any:
    """The nodes of a text, which nobody changes: a file whose format is not known is read in two dialects."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up stays fast

    yaml = YAML(typ="safe", pure=True)
    yaml.Parser = _checking()
    return yaml.compose(text)


@cache
def _checking() -> type[Parser]:
    from ruamel.yaml.events import (  # noqa: PLC0415
        CollectionEndEvent,
        CollectionStartEvent,
        DocumentStartEvent,
    )
    from ruamel.yaml.parser import Parser  # noqa: PLC0415

    class Checking(Parser):
        """Stops at what is refused before it is built: tags, a second document, depth."""

        depth = documents = 0

        def get_event(self) -> Any:
            """The next event, which is not refused."""
            event = super().get_event()
            mark = event.start_mark
            self.depth += isinstance(event, CollectionStartEvent)
            self.depth -= isinstance(event, CollectionEndEvent)
            self.documents += isinstance(event, DocumentStartEvent)
            line, column = mark.line + 1, mark.column + 1
            if self.depth > DEPTH:
                raise wrong(f"YAML nested deeper than {DEPTH} levels", line, column)
            if self.documents > 1:
                raise wrong("a second document begins here", line, hint="one config a file")
            if getattr(event, "tag", None) is not None and getattr(event, "ctag", None) is not None:
                raise wrong(f"the tag {event.tag} is not read", line, column)
            return event

    return Checking


class _Constructor:
    """Nodes -> values, counting them, and noting where each stands."""

    def __init__(self, scalar: Callable[[str], Any], last_wins: bool, text: str) -> None:
        self.scalar, self.last_wins = scalar, last_wins
        self.lines = text.splitlines()
        self.nodes = 0
        self.places: dict[Trail, Place] = {}
        self.earlier: list[Earlier] = []

    def value(self, node: Any, depth: int, trail: Trail) -> Any:
        """The plain value of a node."""
        self.nodes += 1
        if self.nodes > NODES or depth > DEPTH:  # aliases: a node may come by again and again
            raise wrong(f"YAML of more than {NODES:,} values", node.start_mark.line + 1)
        if node.id == "scalar":
            return self._scalar(node)
        if node.id == "sequence":
            return [self._item(item, depth, (*trail, n)) for n, item in enumerate(node.value)]
        return self._mapping(node, depth, trail)

    def _item(self, node: Any, depth: int, trail: Trail) -> Any:
        self.places[trail] = self._place(node.start_mark, node)
        return self.value(node, depth + 1, trail)

    def _place(self, start: Any, node: Any) -> Place:
        end = node.end_mark
        line = self.lines[end.line] if end.line < len(self.lines) else ""
        rest = line[end.column :].strip() if node.id == "scalar" else ""
        comment = rest.lstrip("# ") if rest.startswith("#") else ""
        return Place(start.line + 1, start.column + 1, comment)

    def _scalar(self, node: Any) -> Any:
        if node.style in ("'", '"', "|", ">"):
            return node.value
        try:
            return self.scalar(node.value)
        except ValueError as error:
            mark = node.start_mark
            raise wrong(
                f"{node.value[:40]!a} is no number", mark.line + 1, mark.column + 1
            ) from error

    def _mapping(self, node: Any, depth: int, trail: Trail) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if key_node.id == "scalar" and key_node.value == "<<" and not key_node.style:
                sources = value_node.value if value_node.id == "sequence" else [value_node]
                for source in reversed(sources):
                    if source.id != "mapping":
                        raise wrong("only a mapping can be merged", mark.line + 1, mark.column + 1)
                    merged |= self.value(source, depth + 1, trail)
                continue
            key = self.value(key_node, depth + 1, trail)
            if trail and type(key) is int:
                key = str(
                    key
                )  # `max_memory: {0: 20GiB}`: a number of a device, by which it is named here
            if not isinstance(key, str):
                raise wrong(
                    f"the key {key_node.value!a} is a {type(key).__name__} there, not a name",
                    mark.line + 1,
                    mark.column + 1,
                    hint="quote it",
                )
            here = (*trail, key)
            if key in found:
                if not self.last_wins:
                    raise wrong(f"the key {key!a} is there twice", mark.line + 1, mark.column + 1)
                self.earlier.append(Earlier(here, found[key], self.places[here]))
            self.places[here] = self._place(mark, value_node)
            found[key] = self.value(value_node, depth + 1, here)
        return {**merged, **found}


def _integer(found: re.Match[str]) -> int:
    kind = found.lastgroup or ""
    digits = found[kind].replace("_", "")
    if len(digits) > DIGITS:
        raise ValueError("no setting has so many digits")
    if kind == "octal":
        digits = "0" + digits  # `0_` is 0
    number = 0
    for part in digits.split(":"):
        number = number * 60 + int(part, _BASES.get(kind, 10))
    return -number if found["sign"] == "-" else number


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    sign = -1.0 if digits.startswith("-") else 1.0
    digits = digits.lstrip("+-")
    if digits in (".inf", ".nan"):
        return sign * float(digits[1:])
    number = 0.0
    for part in digits.split(":"):
        number = number * 60 + float(part)
    return sign * number
