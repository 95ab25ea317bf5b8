"""Runs that draw other completions, held against each other over several seeds.

What is not random is compared exactly under each seed. What is random becomes one number of each run (its
mean reward, its mean length, ...), and the numbers of both sides are compared pair by pair, a pair being
two runs with the same seed.

The test is a permutation test by signs (R. A. Fisher, The Design of Experiments, 1935, section 21). If both
sides draw from one distribution, the two runs of a pair could change places: each difference could as well
have the other sign. So all signs are tried, and a difference is found where those that were seen lie further
out than all but a share `LEVEL` of them. Of several quantities the one that lies furthest out counts, under
the same signs for all (P. H. Westfall and S. S. Young, Resampling-Based Multiple Testing, 1993): the level
holds for all of them together. Nothing is assumed of the shape of a distribution, and no number is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ftspec.verify.compare import Outcome, differs, pair
from ftspec.verify.drawn import means
from ftspec.verify.evidence import Evidence
from ftspec.verify.learning import update_norm

LEVEL = 0.01
"""How often a difference is found where there is none."""
FEWEST = 8
"""Seeds with which a difference can be found at all: two of 2**8 choices of signs are less than `LEVEL`."""
MOST = 16
"""With these, 65,536 choices of signs are tried."""
TEST = (
    "permutation test by signs on the differences between runs with the same seed; of all quantities the "
    "one that lies furthest out, so that the level holds for all of them together"
)
TOUCHING = 1e-9
"""Two statistics this close, as a share, are one: they are sums of the same numbers in another order."""

Pair = tuple[Evidence, Evidence]
"""The reference's run and the other's, with the same seed."""


@dataclass(frozen=True)
class Quantity:
    """One number of each run, over the seeds."""

    name: str
    reference: tuple[float, ...]
    other: tuple[float, ...]


@dataclass(frozen=True)
class Signs:
    """What the test found."""

    statistic: float
    """|sum of differences| / root of the sum of their squares, of the quantity furthest out."""
    critical: float
    """What chance exceeds in a share `LEVEL` of all signs, at most."""
    p: float
    """The share of all signs under which the statistic is as large as it was seen, or larger."""
    furthest: int
    """Index of the quantity furthest out."""


def summary(evidence: Evidence) -> dict[str, float]:
    """What is random in a run, as one number each."""
    found = means(evidence)
    steps = evidence.steps
    logged = {
        "divergence (KL)": [step.kl for step in steps if step.kl is not None],
        "loss": [step.loss for step in steps],
        "gradient norm": [step.grad_norm for step in steps if step.grad_norm is not None],
    }
    found |= {f"mean {name}": sum(all_) / len(all_) for name, all_ in logged.items() if all_}
    if (norm := update_norm(evidence)) is not None:
        found["norm of the final update"] = norm
    return found


def quantities(pairs: Sequence[Pair]) -> tuple[Quantity, ...]:
    """The numbers that all runs have."""
    sides = [pair(summary, *each) for each in pairs]
    runs = [run for side in sides for run in side]
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return tuple(
        Quantity(name, *(tuple(side[at][name] for side in sides) for at in (0, 1)))
        for name in names
    )


def by_signs(differences: Sequence[Sequence[float]]) -> Signs:
    """The test: of each quantity its differences, seed by seed."""
    apart = [
        row if (size := math.hypot(*row)) == 0 else [d / size for d in row] for row in differences
    ]
    seeds = len(apart[0])
    # the first sign stays: turning all of them round changes nothing
    tried = sorted(_furthest(apart, (1, *signs))[0] for signs in product((1, -1), repeat=seeds - 1))
    seen, furthest = _furthest(apart, (1,) * seeds)
    beyond = sum(one >= seen * (1 - TOUCHING) for one in tried)
    critical = tried[-1 - int(LEVEL * len(tried))]
    return Signs(seen, critical, beyond / len(tried), furthest)


def distributions(pairs: Sequence[Pair]) -> tuple[Outcome, tuple[Quantity, ...], float]:
    """Whether the random part of both sides has one distribution; the numbers, and p."""
    found = quantities(pairs)
    if not found or len(pairs) < FEWEST:
        note = f"{len(pairs)} seeds tell nothing at level {LEVEL:g}: take {FEWEST} or more"
        return Outcome("not-compared", note=note), found, 1.0
    if broken := [
        each for each in found if not all(map(math.isfinite, each.reference + each.other))
    ]:
        each = broken[0]
        return differs(f"{each.name}, not a finite number", *_mean(each)), found, 0.0
    signs = by_signs([[b - a for a, b in zip(q.reference, q.other, strict=True)] for q in found])
    each = found[signs.furthest]
    note = f"p = {signs.p:.3g} over {len(pairs)} seeds; {each.name} lies furthest out"
    if signs.p > LEVEL:
        return Outcome("within", signs.statistic, signs.critical, note=note), found, signs.p
    outcome = differs(
        f"{each.name} over {len(pairs)} seeds",
        *_mean(each),
        measured=signs.statistic,
        tolerance=signs.critical,
        note=note,
    )
    return outcome, found, signs.p


def _furthest(apart: Sequence[Sequence[float]], signs: Sequence[int]) -> tuple[float, int]:
    sums = [abs(sum(s * d for s, d in zip(signs, row, strict=True))) for row in apart]
    at = max(range(len(sums)), key=sums.__getitem__)
    return sums[at], at


def _mean(quantity: Quantity) -> tuple[float, float]:
    return pair(lambda side: sum(side) / len(side), quantity.reference, quantity.other)


def spread(values: Sequence[float]) -> Mapping[str, float]:
    """Mean, least and most: what a person looks at."""
    return {"mean": sum(values) / len(values), "least": min(values), "most": max(values)}
