"""Checks of what a trainer drew itself: completions are random, and what is made of them is not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ftspec.verify.compare import EQUAL, Outcome, differs, first_difference, pair, unobserved
from ftspec.verify.evidence import Evidence

Drawn = tuple[int | None, tuple[int, ...]]
"""The prompt's row, and the tokens of a completion."""


def completions(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """The tokens of every completion, in the order in which they were drawn.

    Others are no difference: they are random. But what follows from them cannot be compared.
    """
    if missing := _missing(reference, other):
        return missing
    ours, theirs = pair(_drawn, reference, other)
    at = first_difference([each[2] for each in ours], [each[2] for each in theirs])
    if at is None:
        return Outcome("equal", note=f"{len(ours)} completions, drawn with the same random numbers")
    step, number, _tokens = max(ours, theirs, key=len)[at]
    if len(ours) != len(theirs):
        return differs("completions in the run", len(ours), len(theirs))
    return Outcome("not-compared", note=f"from step {step}, completion {number} on they are others")


def draws(reference: Evidence, other: Evidence, tolerance: float) -> Outcome:
    """Whether both draw from one distribution, as far as lengths and rewards can tell."""
    if missing := _missing(reference, other):
        return missing
    ours, theirs = pair(lambda e: dict(_samples(e)), reference, other)
    distances = {name: _distance(ours[name], theirs.get(name, ())) for name in ours}
    name, worst = max(distances.items(), key=lambda item: item[1])
    count = pair(len, ours[name], theirs.get(name, ()))
    note = f"{count[0]} and {count[1]} completions; the farthest is {name}"
    if worst > tolerance:
        means = pair(lambda e: sum(e) / len(e) if e else math.nan, ours[name], theirs.get(name, ()))
        return differs(name, *means, measured=worst, tolerance=tolerance, note=note)
    return Outcome("within" if worst else "equal", worst, tolerance, note=note)


def rewards(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """Each reward of every completion that both runs drew for the same prompt."""
    if missing := _missing(reference, other):
        return missing
    names = pair(lambda e: e.rounds[0].names, reference, other)
    if names[0] != names[1]:
        return differs("names of the rewards", *names)
    if not names[0]:
        return Outcome("equal", note="nothing is rewarded")
    ours, theirs = pair(_scored, reference, other)
    shared = [drawn for drawn in ours if drawn in theirs]
    for row, tokens in shared:
        one, two = ours[row, tokens], theirs[row, tokens]
        at = first_difference(one, two)
        if at is not None:
            where = f"reward {names[0][at]} of the same completion, row {row} of the data"
            return differs(where, one[at], two[at])
    if not shared:
        return Outcome("not-compared", note="the runs have no completion in common")
    return Outcome("equal", note=f"{len(shared)} of {len(ours)} completions are in both runs")


def means(evidence: Evidence) -> dict[str, float]:
    """The mean length of a run's completions, and the mean of each of their rewards."""
    if not evidence.rounds:
        return {}
    return {f"mean {name}": sum(all_) / len(all_) for name, all_ in _samples(evidence) if all_}


def _missing(reference: Evidence, other: Evidence) -> Outcome | None:
    seen = pair(lambda e: bool(e.rounds), reference, other)
    return EQUAL if seen == (False, False) else unobserved("its completions", *seen)


def _drawn(evidence: Evidence) -> list[tuple[int, int, tuple[int, ...]]]:
    """Step, number within it, and tokens."""
    found: list[tuple[int, int, tuple[int, ...]]] = []
    for each in evidence.rounds:
        for tokens in each.completions:
            number = found[-1][1] + 1 if found and found[-1][0] == each.step else 1
            found.append((each.step, number, tokens))
    return found


def _scored(evidence: Evidence) -> dict[Drawn, tuple[float | None, ...]]:
    """The rewards of each completion, by its prompt's row and its tokens."""
    return {
        (each.indices[at] if each.indices else None, tokens): each.rewards[at]
        for each in evidence.rounds
        for at, tokens in enumerate(each.completions)
    }


def _samples(evidence: Evidence) -> Iterator[tuple[str, list[float]]]:
    """The lengths of all completions, and each of their rewards."""
    rounds = evidence.rounds
    yield "length", [float(len(tokens)) for each in rounds for tokens in each.completions]
    for at, name in enumerate(rounds[0].names):
        scores = [row[at] for each in rounds for row in each.rewards]
        yield f"reward {name}", [score for score in scores if score is not None]


def _distance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Between the means, in standard errors of their difference; 0 of equal constants."""
    if len(ours) < 2 or len(theirs) < 2:
        return math.inf
    means = pair(lambda e: sum(e) / len(e), ours, theirs)
    error = math.sqrt(
        sum(
            sum((value - mean) ** 2 for value in side) / (len(side) - 1) / len(side)
            for side, mean in zip((ours, theirs), means, strict=True)
        )
    )
    apart = abs(means[0] - means[1])
    if not error:
        return math.inf if apart else 0.0
    return apart / error
