"""What a comparison of two sources leaves out: what no spec path says, and what is not certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ftspec.port.bring import DEVICES_ASSUMED
from ftspec.port.compare import processes
from ftspec.port.effective import Meaning
from ftspec.port.fates import Fate
from ftspec.port.verdicts import shown

TRAINERS = ("which model?", "which data?")
"""What no launcher's file says, and nobody asks of one."""


def unsaid(left: Meaning, right: Meaning) -> tuple[str, ...]:
    """Settings that cannot be compared, because no spec path says them: those of one side alone."""
    return tuple(line for line, _ in _alone(left, right, lambda side: side.lost))


def nearly(left: Meaning, right: Meaning) -> tuple[str, ...]:
    """Settings of one side alone that the values compared say only nearly, and why."""
    found = _alone(left, right, lambda side: side.nearly)
    return tuple(f"{line}  ({fate.why})" if fate.why else line for line, fate in found)


def _alone(
    left: Meaning, right: Meaning, of: Callable[[Meaning], Sequence[Fate]]
) -> Iterator[tuple[str, Fate]]:
    sides = [
        {(fate.setting.key, str(fate.setting.value)): fate for fate in of(side)}
        for side in (left, right)
    ]
    for mine, theirs in (sides, reversed(sides)):
        for (key, value), fate in mine.items():
            if (key, value) not in theirs:
                yield f"{fate.setting.place}: {key}: {shown(fate.setting.value)}", fate


def asked(left: Meaning, right: Meaning) -> tuple[str, ...]:
    """Questions that one side alone leaves open: until they are answered, what a spec has is compared."""
    return tuple(
        f"{side.name}: {question}"
        for side, other in ((left, right), (right, left))
        for question in _open(side)
        if question not in _open(other)
    )


def _open(side: Meaning) -> Sequence[str]:
    found = side.imported.composed.open if side.imported is not None else ()
    return [one for one in found if not (side.launch and one.startswith(TRAINERS))]


def assumed(left: Meaning, right: Meaning) -> tuple[str, ...]:
    """That the batch of a side counts one device, where the other one has several."""
    return tuple(
        f"{side.name}: {DEVICES_ASSUMED}"
        for side, other in ((left, right), (right, left))
        if side.imported is not None and DEVICES_ASSUMED in side.imported.notes
        if not other.partial and processes(other.values) not in (None, 1)
    )
