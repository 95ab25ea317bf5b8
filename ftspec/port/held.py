"""Which values a spec can hold, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ftspec.port.holes import PLACEHOLDERS, REWARDS
from ftspec.port.settle import UNWRITTEN
from ftspec.port.verdicts import shown
from ftspec.spec.online import FIELDS
from ftspec.spec.root import Spec
from ftspec.spec.scalars import INVISIBLE, TOO_LARGE
from ftspec.spec.secrets import holds_secret

STAND_INS = {"method.objective.type": "sft", "method.tuner.type": "full"}
"""What is checked in the place of a method that ftspec has not. The text keeps its own word, so that nobody
trains by another method than the source names."""
HUGE = "the whole number does not fit in 64 bits"
HIDES = "it holds a character that cannot be seen, and no spec does"


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, value in flat.items():
        *sections, name = path.split(".")
        node = root
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = _plain(_rewards(value) if path == REWARDS else value)
    return root


def _rewards(rewards: Any) -> Any:
    """Rewards without what is of another kind, as a spec has them."""
    return [
        {name: one[name] for name in one if name in ("by", "weight", *FIELDS[one["by"]])}
        for one in rewards
    ]


def _plain(value: Any) -> Any:
    """Tuples as lists, and sources without what they leave open."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def checked(
    flat: Mapping[str, Any], natives: Mapping[str, Mapping[str, Any]]
) -> tuple[Spec, dict[str, str], frozenset[str]]:
    """The spec of these values, those that it may not hold, left out one by one, and which are of no kind."""
    refused = {
        path: f"{shown(value)}: {why}" for path, value in flat.items() if (why := unfit(value))
    }
    senseless = {path for path in refused if _too_large(flat[path])}
    flat = {path: value for path, value in flat.items() if path not in refused}
    flat |= {path: hole for path, (hole, _) in PLACEHOLDERS.items() if path in refused}
    while True:
        try:
            data = _nested(flat) | ({"native": natives} if natives else {})
            return Spec.model_validate(data), refused, frozenset(senseless)
        except ValidationError as error:
            bad = {path: one["msg"] for one in error.errors() for path in _blamed(one["loc"], flat)}
            if not bad:
                raise
            named = {_named(one["loc"], flat) for one in error.errors()}
            senseless |= {path for path in named if path is not None and path not in STAND_INS}
            for path, message in bad.items():
                value, why = flat.pop(path), message.removeprefix("Value error, ")
                refused[path] = why if isinstance(value, tuple) else f"{shown(value)}: {why}"
            flat |= {path: hole for path, (hole, _) in PLACEHOLDERS.items() if path in bad}


def unheld(values: Mapping[str, Any]) -> dict[str, str]:
    """Why a spec takes no value of this kind, by the path of each such value."""
    huge = dict.fromkeys((path for path, value in values.items() if _too_large(value)), HUGE)
    left = {"model.name": "x", "data.train": ["x.jsonl"], **values}
    try:
        Spec.model_validate(_nested(left))
    except ValidationError as error:
        told = {_named(one["loc"], left): one["msg"] for one in error.errors()}
        return {path: why for path, why in told.items() if path in values and path} | huge
    return huge


def unfit(value: Any) -> str:
    """Why no spec may hold a value: a secret is in it, or what its reader could not see or take."""
    if holds_secret(value):
        return UNWRITTEN
    if _too_large(value):
        return HUGE
    hidden = any(isinstance(one, str) and INVISIBLE.search(one) for one in _leaves(value))
    return HIDES if hidden else ""


def _too_large(value: Any) -> bool:
    return any(isinstance(one, int) and abs(one) >= TOO_LARGE for one in _leaves(value))


def _leaves(value: Any) -> Iterator[Any]:
    """All that is no list and no mapping, keys of mappings too."""
    if isinstance(value, dict):
        yield from (leaf for pair in value.items() for item in pair for leaf in _leaves(item))
    elif isinstance(value, list | tuple):
        yield from (leaf for item in value for leaf in _leaves(item))
    else:
        yield value


def _named(location: Sequence[Any], flat: Mapping[str, Any]) -> str | None:
    """The path that an error speaks of: the longest that its location begins with."""
    parts = [str(part) for part in location]
    for length in range(len(parts), 0, -1):
        for skip in (None, *range(1, length)):  # a tagged union puts its tag into the location
            here = ".".join(part for n, part in enumerate(parts[:length]) if n != skip)
            if here in flat:
                return here
    return None


def _blamed(location: Sequence[Any], flat: Mapping[str, Any]) -> Iterable[str]:
    """The path that an error speaks of, or all below its location."""
    if (here := _named(location, flat)) is not None:
        return [here]
    start = ".".join(str(part) for part in location[:2]) + "."
    return [path for path in flat if path.startswith(start)]
