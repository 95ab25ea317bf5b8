"""Values with the places where they were written."""

from __future__ import annotations

from typing import Any, NamedTuple

Trail = tuple[str | int, ...]
"""Keys and list positions from the top down to a value."""


class Place(NamedTuple):
    """Where something stands, from 1, and the comment behind it."""

    line: int
    column: int
    comment: str = ""


class Earlier(NamedTuple):
    """A value that a later one of the same key replaces."""

    trail: Trail
    value: Any
    place: Place


class Placed(NamedTuple):
    """What a text says, and where."""

    data: dict[str, Any]
    places: dict[Trail, Place]
    earlier: tuple[Earlier, ...] = ()
