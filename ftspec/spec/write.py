"""A spec as the YAML a person would have written: what differs from the defaults, in short forms.

Law: ``loads(dump(spec)).spec == spec``. Text that any version of YAML could read as something else
is quoted, and numbers are written so that all versions read numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic.fields import FieldInfo

from ftspec.spec.base import Node
from ftspec.spec.data import Source
from ftspec.spec.method import Method
from ftspec.spec.root import Spec
from ftspec.spec.vocabulary import nodes, tag

PLAIN = re.compile(r"([A-Za-z_]|\.?/|\.\./)[\w./@+-]*( [\w./@+-]+)*", re.ASCII)
"""Text that needs no quotes unless it is in `WORDS`: no indicators, no digit in front."""
Remarks = Mapping[str, tuple[str, ...]]
"""Comments, each one line, by the dotted path of what they belong to."""
NO_REMARKS: Remarks = MappingProxyType({})
WIDTH = 100
WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
"""What one YAML version or another does not read as text, in any case."""


def dump(spec: Spec) -> str:
    """The shortest natural text that loads back as an equal spec."""
    return lay_out(natural(spec))


def natural(spec: Spec) -> dict[str, Any]:
    """What a person would write, as plain data: short forms, and only what differs from the defaults."""
    return {"version": 1} | {
        name: _written(value, info)
        for name, info in Spec.model_fields.items()
        if name != "version"
        and ((value := getattr(spec, name)) != _default(info) or name == "method")
    }


def lay_out(data: Mapping[str, Any], remarks: Remarks = NO_REMARKS) -> str:
    """The YAML of a spec's plain data, with comments beside or above its lines."""
    lines = [line for key, value in data.items() for line in _entry(key, value, 0, "", remarks)]
    return "\n".join(lines) + "\n"


def _default(info: FieldInfo) -> Any:
    return ... if info.is_required() else info.get_default(call_default_factory=True)


def _written(value: Any, info: FieldInfo) -> Any:
    """A field's value as plain data, in its shortest form."""
    if isinstance(value, Node):
        return _short(value, len(nodes(info.annotation)) > 1)
    if isinstance(value, tuple):
        items = [_short(item, False) if isinstance(item, Node) else item for item in value]
        return items[0] if len(items) == 1 and nodes(info.annotation) else items
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return int(value)  # `epochs: 2`, as people write it; the field makes a float of it again
    return value


def _short(node: Node, chosen: bool) -> Any:
    """A section in its short form where it has one, else what differs from the defaults.

    ``chosen``: it is one of several variants, and its word cannot be left out.
    """
    word = tag(type(node))
    fields = {
        name: _written(getattr(node, name), info)
        for name, info in type(node).model_fields.items()
        if not (word and name == "type")
        and (getattr(node, name) != _default(info) or name in node.swayed & node.model_fields_set)
    }
    if word and not fields:
        return word
    if chosen:
        return {"type": word, **fields}
    if isinstance(node, Method):
        return fields.get("tuner", node.tuner.type) if _is_word(fields) else fields
    if isinstance(node, Source):
        bare = next(iter(fields.values())) if len(fields) == 1 else None
        return bare if isinstance(bare, str) and node.expand(bare) == fields else fields
    if node.short and set(fields) == {node.short} and not isinstance(fields[node.short], dict):
        return fields[node.short]
    return fields


def _is_word(method: Mapping[str, Any]) -> bool:
    return "objective" not in method and isinstance(method.get("tuner", ""), str)


def _entry(key: str, value: Any, depth: int, section: str, remarks: Remarks) -> Iterator[str]:
    """The lines of one field."""
    pad, name = "  " * depth, _text(key)
    path = f"{section}.{key}".removeprefix(".")
    if isinstance(value, dict) and value:
        yield from _remarked(f"{pad}{name}:", remarks.get(path, ()))
        for inner, item in value.items():
            yield from _entry(inner, item, depth + 1, path, remarks)
        return
    below = [words for known, words in remarks.items() if known.startswith(f"{path}.")]
    own = (*remarks.get(path, ()), *(word for words in below for word in words))
    if isinstance(value, list | tuple) and any(isinstance(item, dict | list) for item in value):
        yield from _remarked(f"{pad}{name}:", own)
        for item in value:
            yield from _item(item, depth + 1)
    else:
        yield from _remarked(f"{pad}{name}: {_flow(value)}", own)


def _remarked(line: str, words: tuple[str, ...]) -> Iterator[str]:
    """A line with its comment behind it, or above it where there is no room or it is a question."""
    text = "; ".join(dict.fromkeys(words))
    if not text:
        yield line
    elif len(line) + len(text) + 4 <= WIDTH and not text.startswith("TODO"):
        yield f"{line}  # {text}"
    else:
        pad = line[: len(line) - len(line.lstrip())]
        yield from (f"{pad}# {word}" for word in dict.fromkeys(words))
        yield line


def _item(value: Any, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(value, dict) and value:
        lines = [
            line
            for key, item in value.items()
            for line in _entry(key, item, depth + 1, "", NO_REMARKS)
        ]
        yield f"{pad}- {lines[0].lstrip()}"
        yield from lines[1:]
    else:
        yield f"{pad}- {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    return _number(value) if isinstance(value, float) else json.dumps(value)


def _number(value: float) -> str:
    """A float with a point in it: YAML 1.1 reads `1e-05` as text."""
    digits, exponent, power = repr(value).partition("e")
    if exponent and "." not in digits:
        digits += ".0"
    return digits + (f"e{int(power):+d}" if exponent else "")


def _text(value: str) -> str:
    if PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
