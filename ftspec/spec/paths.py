"""Every leaf path of a spec: the closed vocabulary that each field map must answer for."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from ftspec.spec.root import Spec
from ftspec.spec.vocabulary import tag


class Leaf(NamedTuple):
    """A leaf path in one variant of the tagged unions around it."""

    path: str
    annotation: Any
    tags: tuple[tuple[str, str], ...]
    """Which variants: (path of the tag, tag), from the outside in."""


def _models(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The models a field may hold directly; none for a leaf (lists of models are leaves)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    if get_origin(annotation) is Annotated:
        return _models(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(model for option in get_args(annotation) for model in _models(option))
    return ()


@cache
def _fields(model: type[BaseModel]) -> tuple[tuple[str, Any, tuple[type[BaseModel], ...]], ...]:
    """Each field's name, annotation and the models it may hold, looked at once for each model."""
    fields = model.model_fields.items()
    return tuple((name, info.annotation, _models(info.annotation)) for name, info in fields)


def _walk(model: type[BaseModel], prefix: str, tags: tuple[tuple[str, str], ...]) -> Iterator[Leaf]:
    for name, annotation, inner in _fields(model):
        for option in inner:
            word = tag(option)
            within = (*tags, (f"{prefix}{name}.type", word)) if word else tags
            yield from _walk(option, f"{prefix}{name}.", within)
        if not inner:
            yield Leaf(prefix + name, annotation, tags)


@cache
def leaves() -> tuple[Leaf, ...]:
    """Every leaf, once for each variant that has it, in the spec's order."""
    return tuple(_walk(Spec, "", ()))


@cache
def tags() -> dict[str, tuple[str, ...]]:
    """Each tagged union by the path of its tag, with the words that it takes."""
    pairs = [pair for leaf in leaves() for pair in leaf.tags]
    return {path: tuple(dict.fromkeys(w for p, w in pairs if p == path)) for path, _ in pairs}


@cache
def never_nothing() -> frozenset[str]:
    """Leaf paths that take no null in any variant."""
    able = {leaf.path for leaf in leaves() if types.NoneType in get_args(leaf.annotation)}
    return frozenset(leaf.path for leaf in leaves()) - able


def sections(path: str) -> list[str]:
    """The sections that a path lies in, the outermost first."""
    parts = path.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


@cache
def leaf_paths() -> tuple[str, ...]:
    """All leaf paths over all variants of tagged unions, in the spec's order, each once."""
    return tuple(dict.fromkeys(leaf.path for leaf in leaves()))


def flatten(spec: Spec) -> dict[str, Any]:
    """A spec as `path -> plain value`. A section that is null gives null for each of its leaves."""
    flat: dict[str, Any] = {}
    _flatten(spec, type(spec), "", flat)
    return flat


def _flatten(
    node: BaseModel | None, model: type[BaseModel], prefix: str, flat: dict[str, Any]
) -> None:
    for name, _, inner in _fields(model):
        value = None if node is None else getattr(node, name)
        if not inner:
            flat[prefix + name] = plain(value)
        elif value is None:
            for option in inner:
                _flatten(None, option, f"{prefix}{name}.", flat)
        else:
            _flatten(value, type(value), f"{prefix}{name}.", flat)


def plain(value: Any) -> Any:
    """Models as dicts, sequences as tuples, the rest as it is."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value
