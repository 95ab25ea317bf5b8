"""The names a spec may use, and where: read off the models, so that no list is kept by hand."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ftspec.spec.base import Node
from ftspec.spec.root import Spec


def nodes(annotation: Any) -> tuple[type[Node], ...]:
    """The models a field may hold, directly or in a list; none for a leaf."""
    if isinstance(annotation, type) and issubclass(annotation, Node):
        return (annotation,)
    origin = get_origin(annotation)
    if origin is Annotated:
        return nodes(get_args(annotation)[0])
    if origin in (Union, types.UnionType, tuple):
        return tuple(dict.fromkeys(model for part in get_args(annotation) for model in nodes(part)))
    return ()


def is_list(annotation: Any) -> bool:
    """Whether a field holds a list of models or values."""
    if get_origin(annotation) is Annotated:
        return is_list(get_args(annotation)[0])
    return get_origin(annotation) is tuple


def is_mapping(annotation: Any) -> bool:
    """Whether a field holds names chosen by the user."""
    return get_origin(annotation) is dict


def tag(model: type[BaseModel]) -> str | None:
    """The word that names a variant of a tagged union, None for a model that is none."""
    info = model.model_fields.get("type")
    words = get_args(info.annotation) if info and get_origin(info.annotation) is Literal else ()
    return str(words[0]) if len(words) == 1 else None


def fields() -> Iterator[tuple[str, str, type[Node]]]:
    """Each field's section (dotted, empty at the root), name and model, in the spec's order."""
    yield from _fields(Spec, "")


def _fields(model: type[Node], section: str) -> Iterator[tuple[str, str, type[Node]]]:
    for name, info in model.model_fields.items():
        yield section, name, model
        for inner in nodes(info.annotation):
            yield from _fields(inner, f"{section}.{name}".strip("."))


@cache
def sections(name: str) -> tuple[tuple[str, type[Node]], ...]:
    """Where a field of this name is at home: sections and their models."""
    found = ((section, model) for section, field, model in fields() if field == name)
    return tuple(dict.fromkeys(found))


@cache
def field_names() -> tuple[str, ...]:
    """All field names, each once."""
    return tuple(dict.fromkeys(name for _, name, _ in fields()))
