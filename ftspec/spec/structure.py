"""The words of JSON Schema that the reward `json-schema` understands; any other one is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
KNOWN: Mapping[str, type | tuple[type, ...]] = {
    "type": (str, list),
    "properties": dict,
    "required": list,
    "additionalProperties": (bool, dict),
    "items": dict,
    "enum": list,
    "const": object,
    "minimum": (int, float),
    "maximum": (int, float),
    "minLength": int,
    "maxLength": int,
    "minItems": int,
    "maxItems": int,
    "title": str,
    "description": str,
}
"""Each word, and what it holds."""


def unknown_words(schema: Mapping[str, Any]) -> str:
    """What is wrong with the first word that is not understood; empty where all are."""
    return next(_wrong(schema, ""), "")


def _wrong(schema: Any, at: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        yield f"{at or 'it'} is no schema"
        return
    for word, value in schema.items():
        place = f"{at}.{word}".strip(".")
        if word not in KNOWN:
            yield f"`{place}` is not understood; known are {', '.join(KNOWN)}"
        elif not isinstance(value, KNOWN[word]):
            yield f"`{place}` holds something else than JSON Schema wants there"
        elif word == "type":
            names = value if isinstance(value, list) else [value]
            yield from (f"`{place}`: {name!r} is no type" for name in names if name not in TYPES)
        elif word == "properties" and isinstance(value, dict):
            for name, inner in value.items():
                yield from _wrong(inner, f"{place}.{name}")
        elif isinstance(value, dict) and word in ("items", "additionalProperties"):
            yield from _wrong(value, place)
