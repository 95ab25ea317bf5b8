"""The outcome of a check, and the few ways in which checks compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

One = TypeVar("One")
Two = TypeVar("Two")

Verdict = Literal["equal", "within", "differs", "not-compared", "random"]
"""equal: identical, to the last bit. within: not identical, but inside the tolerance.
not-compared: something was not observed; the note says what, and it never counts as a pass.
random: it follows from other random numbers, and was compared as distributions over seeds instead."""


@dataclass(frozen=True)
class Outcome:
    """What a check found."""

    verdict: Verdict
    measured: float | None = None
    """The distance that is held against the tolerance; None for checks of identity."""
    tolerance: float = 0.0
    where: str = ""
    """Of a difference: the first step, row or parameter that differs."""
    reference: str = ""
    other: str = ""
    context: tuple[str, str] | None = None
    """Decoded text around a difference: the reference's and the other's."""
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether this is evidence of equality."""
        return self.verdict in ("equal", "within")


EQUAL = Outcome("equal")


def pair(function: Callable[[One], Two], reference: One, other: One) -> tuple[Two, Two]:
    """A function of both sides."""
    return function(reference), function(other)


def unobserved(what: str, reference: bool, other: bool) -> Outcome | None:
    """The outcome where one or both runs left nothing to compare; None where both did."""
    if reference and other:
        return None
    whom = (
        "neither run"
        if not (reference or other)
        else "the other run"
        if reference
        else "the reference"
    )
    verb = "shows" if whom == "neither run" else "does not show"
    return Outcome("not-compared", note=f"{whom} {verb} {what}")


def differs(where: str, reference: object, other: object, **more: Any) -> Outcome:
    """A difference, with both values as a person reads them."""
    return Outcome("differs", where=where, reference=short(reference), other=short(other), **more)


def short(value: object, limit: int = 200) -> str:
    """A value for a report; long ones lose their middle, never their digits."""
    if isinstance(value, float):
        text = repr(value)
    elif isinstance(value, tuple):
        text = "[" + ", ".join(short(item) for item in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def relative(reference: float, other: float) -> float:
    """The difference as a share of the reference; infinite where either is not a number.

    Not finite on both sides is infinite as well: a run that broke down shows nothing.
    """
    if not (math.isfinite(reference) and math.isfinite(other)):
        return math.inf
    if reference == other:
        return 0.0
    return abs(other - reference) / max(abs(reference), abs(other))


def numbers(pairs: Sequence[tuple[str, float, float]], tolerance: float, note: str = "") -> Outcome:
    """Compare (where, reference, other); the first beyond the tolerance is the one to show."""
    distances = [relative(reference, other) for _, reference, other in pairs]
    worst = max(distances, default=0.0)
    for (where, reference, other), distance in zip(pairs, distances, strict=True):
        if distance > tolerance:
            broken = "" if math.isfinite(distance) else "not a finite number"
            return differs(
                where, reference, other, measured=distance, tolerance=tolerance, note=broken or note
            )
    return Outcome("within" if worst else "equal", worst, tolerance, note=note)


def tables(
    reference: Mapping[str, Any], other: Mapping[str, Any], noun: str, missing: str = "absent"
) -> Outcome:
    """Compare two mappings name by name, exactly."""
    for name in sorted({*reference, *other}, key=natural):
        if name not in reference or name not in other or reference[name] != other[name]:
            return differs(f"{noun} {name}", reference.get(name, missing), other.get(name, missing))
    return EQUAL


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which layer 10 comes after layer 9."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in name.split("."))


def first_difference(reference: Sequence[Any], other: Sequence[Any]) -> int | None:
    """Index of the first element that differs, or at which one of them has ended."""
    for index, (one, two) in enumerate(zip(reference, other, strict=False)):
        if one != two:
            return index
    return None if len(reference) == len(other) else min(len(reference), len(other))
