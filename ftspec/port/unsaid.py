"""What a comparison of two sources leaves out: what no spec path says, and what is not certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ftspec.port.arguments import ONLY_SHELL
from ftspec.port.bring import DEVICES_ASSUMED
from ftspec.port.compare import processes
from ftspec.port.effective import Meaning
from ftspec.port.fates import Fate
from ftspec.port.holes import PLACEHOLDERS, hole_of
from ftspec.port.verdicts import shown

AROUND = ("output.", "train.logging_steps")
"""What is kept and shown, whatever it says."""


def is_of_trainer(question: str) -> bool:
    """Whether it asks for the model or the data, which no launcher's file says."""
    return hole_of(question)[0] in PLACEHOLDERS


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
    """Questions that one side leaves open: until they are answered, what a spec has is compared.

    What both leave open in the same words is the same, but for what two shells know.
    """
    return tuple(
        f"{side.name}: {question}"
        for side, questions in _asked(left, right)
        for question in questions
    )


def pending(left: Meaning, right: Meaning) -> bool:
    """Whether an answer to one of these questions may change what is trained, as far as both tell."""
    return any(
        _counts(question, side, right if side is left else left)
        for side, questions in _asked(left, right)
        for question in questions
    )


def _counts(question: str, side: Meaning, other: Meaning) -> bool:
    paths = side.left_open.get(question, frozenset())
    if other.partial and not side.partial:  # what only one of them tells is not compared
        told = not paths or any(other.values.get(path) is not None for path in paths)
        return question.endswith(ONLY_SHELL) and told
    return not paths or not all(path.startswith(AROUND) for path in paths)


def _asked(left: Meaning, right: Meaning) -> Iterator[tuple[Meaning, Sequence[str]]]:
    for side, other in ((left, right), (right, left)):
        launch, theirs = left.launch or right.launch, _open(other)
        yield (
            side,
            [
                one
                for one in _open(side)
                if one not in theirs or (one.endswith(ONLY_SHELL) and side.name != other.name)
                if not (launch and is_of_trainer(one))
            ],
        )


def _open(side: Meaning) -> Sequence[str]:
    return side.imported.composed.open if side.imported is not None else ()


def assumed(left: Meaning, right: Meaning) -> tuple[str, ...]:
    """That the batch of a side counts one device, where the other one has several."""
    return tuple(
        f"{side.name}: {DEVICES_ASSUMED}"
        for side, other in ((left, right), (right, left))
        if side.imported is not None and DEVICES_ASSUMED in side.imported.notes
        if not other.partial and processes(other.values) not in (None, 1)
    )
