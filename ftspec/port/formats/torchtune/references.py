"""References of a config to its own keys, `${model_dir}/original`: OmegaConf puts their values in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.port.documents import Document
from ftspec.read.placed import Trail

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
DEEPEST = 20
"""References to references that are followed; OmegaConf stops at a circle."""


def resolved(document: Document) -> Document:
    """The document with values in the place of references; one that names no value is a question."""
    lost: list[tuple[int, str]] = []
    named: set[str] = set()

    def value_of(text: str, trail: Trail, depth: int = 0) -> Any:
        whole = _REFERENCE.fullmatch(text)
        if whole is not None:
            return of_key(whole[1], text, trail, depth)
        return _REFERENCE.sub(lambda one: str(of_key(one[1], one[0], trail, depth)), text)

    def of_key(key: str, text: str, trail: Trail, depth: int) -> Any:
        found: Any = document.data
        for step in key.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        if not _KEY.fullmatch(key) or found is None or depth > DEEPEST:
            place = document.placed.places.get(trail)
            lost.append((place.line if place else 0, f"{text} names no value"))
            return text
        named.add(key)
        return value_of(found, trail, depth + 1) if isinstance(found, str) else found

    def walk(node: Any, trail: Trail) -> Any:
        if isinstance(node, dict):
            return {key: walk(item, (*trail, key)) for key, item in node.items()}
        if isinstance(node, list):
            return [walk(item, (*trail, number)) for number, item in enumerate(node)]
        return value_of(node, trail) if isinstance(node, str) and "${" in node else node

    data = walk(document.data, ())
    if data == document.data and not lost:
        return document
    placed = document.placed._replace(data=data)
    return replace(
        document, placed=placed, foreign=(*document.foreign, *lost), named=frozenset(named)
    )
