"""The checks, in the order in which a run can go wrong: the first that differs is the cause.

Each row says what it compares, how far apart the two may be, and why that far. Tolerances are those
of float32 on one machine with one torch: the frameworks add up the same numbers in another order
here and there, which moves the last bits of a loss by about 1e-7. Where both runs calculate in 16
bits, a number has two or three digits, and the second tolerance of a row holds. On a CPU, a wide
vocabulary can demand more than a row's tolerance: see `ftspec.verify.tail`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ftspec.verify.compare import EQUAL, Outcome
from ftspec.verify.drawn import completions, draws, rewards
from ftspec.verify.evidence import Evidence
from ftspec.verify.inputs import batches, data_order, label_mask, text, token_ids
from ftspec.verify.learning import (
    final_update,
    first_gradient,
    first_loss,
    learning_rates,
    trajectory,
)
from ftspec.verify.rounded import REASON, of_losses
from ftspec.verify.seeds import LEVEL, Pair, distributions
from ftspec.verify.state import initial_weights, optimizer_groups, trainables
from ftspec.verify.tail import of_first_gradient, of_first_loss, of_later_losses, reason

EXACT = "whole numbers and names: nothing to round"
SAME_DRAW = "the same weights, seed and libraries: the same random numbers, and the same tokens"
IDENTICAL = "the same checkpoint and the same random numbers: the same bits"


@dataclass(frozen=True)
class Check:
    """One row of the proof."""

    name: str
    compares: str
    tolerance: float
    why: str
    """The reason for the tolerance."""
    function: Callable[[Evidence, Evidence, float], Outcome]
    half: float | None = None
    """The tolerance where both runs calculate in 16 bits; None: the same."""
    tail: Callable[[Evidence, Evidence], float] | None = None
    """How far a wide vocabulary may move the number on a CPU."""
    rounded: Callable[[Evidence, Evidence], float] | None = None
    """How far apart it may be where both hand it on with fewer bits than they calculate in."""


CHECKS = (
    Check("data order", "which rows of the data set each step takes", 0, EXACT, data_order),
    Check("text", "each row decoded, special tokens included", 0, EXACT, text),
    Check("token ids", "each row's token ids", 0, EXACT, token_ids),
    Check("label mask", "which tokens are trained on", 0, EXACT, label_mask),
    Check("batches", "rows per micro-batch, padding, attention mask, positions", 0, EXACT, batches),
    Check(
        "trainable parameters",
        "names, shapes, dtypes; the scale and dropout of adapters",
        0,
        EXACT,
        trainables,
    ),
    Check(
        "initial weights",
        "every trainable weight, and all frozen ones by hash",
        0,
        IDENTICAL,
        initial_weights,
    ),
    Check(
        "optimizer groups",
        "update rule, and per parameter rate, betas, eps, weight decay",
        0,
        EXACT,
        optimizer_groups,
    ),
    Check(
        "learning rates",
        "the rate at each step",
        1e-9,
        "double precision: formulas of the same schedule differ by rounding only",
        learning_rates,
    ),
    Check(
        "first loss",
        "the loss of step 1: the forward pass",
        1e-6,
        "float32 keeps 7 digits; a loss summed in another order moves the last",
        first_loss,
        half=1e-4,
        tail=of_first_loss,
        rounded=of_losses,
    ),
    Check(
        "first gradient norm",
        "the gradient norm of step 1: the backward pass",
        1e-5,
        "a float32 sum of squares over all parameters, in each framework's own order",
        first_gradient,
        half=1e-2,
        tail=of_first_gradient,
    ),
    Check(
        "trajectory",
        "the loss of every later step",
        1e-5,
        "rounding of earlier steps, carried along by the weights",
        trajectory,
        half=1e-3,
        tail=of_later_losses,
        rounded=of_losses,
    ),
    Check(
        "final update",
        "what training added to the weights, |dA - dB| / |dA|",
        1e-3,
        "Adam turns rounding in a gradient near zero into a full step of that one weight",
        final_update,
        half=5e-2,
    ),
)


DRAWN = (
    Check("completions", "the tokens that each run drew", 0, SAME_DRAW, completions),
    Check(
        "draws",
        "lengths and rewards of completions, as two samples: distance of their means in standard errors",
        4,
        "random numbers: beyond four standard errors chance is one in ten thousand",
        draws,
    ),
    Check("rewards", "each reward of every completion that both runs drew", 0, EXACT, rewards),
)
"""What is looked at besides where completions are drawn: it stands behind the data order."""
SEEDED = Check(
    "distributions",
    "lengths, rewards, divergence, losses, gradients and updates over seeds: a permutation test by signs",
    0,
    f"what chance exceeds in {LEVEL:.0%} of all signs",
    lambda _one, _two, _tolerance: EQUAL,
)
"""What stands for `draws` where runs with several seeds were made; its tolerance is the test's."""
FOLLOWS = frozenset(
    (
        *("text", "token ids", "label mask", "batches", "first loss", "first gradient norm"),
        *("trajectory", "final update"),
    )
)
"""Checks of what follows from the completions: of other completions other numbers follow."""


@dataclass(frozen=True)
class Result:
    """A check and what it found."""

    check: Check
    outcome: Outcome
    tolerance: float
    """The one that held."""
    why: str
    """The reason for that one."""


def compare(
    reference: Evidence, other: Evidence, checks: Sequence[Check] = CHECKS
) -> tuple[Result, ...]:
    """All checks, in order; those behind the first difference are mostly its consequences."""
    half = all(_in_half(evidence) for evidence in (reference, other))
    drawn = bool(reference.rounds or other.rounds)
    if drawn:  # their losses are near zero, and no share of them means anything
        checks = (*checks[:1], *DRAWN, *checks[1:])
    apart = completions(reference, other, 0).verdict != "equal"

    def result(check: Check) -> Result:
        tolerance = check.half if half and check.half is not None else check.tolerance
        vocabulary = check.tail if not drawn else None
        why, tail = check.why, vocabulary(reference, other) if vocabulary else 0.0
        if tail > tolerance:
            tolerance, why = tail, reason(reference)
        step = check.rounded(reference, other) if check.rounded else 0.0
        if step > tolerance:
            tolerance, why = step, REASON
        if apart and check.name in FOLLOWS:
            outcome = Outcome("not-compared", note="it follows from completions, which are others")
            return Result(check, outcome, tolerance, why)
        return Result(check, check.function(reference, other, tolerance), tolerance, why)

    return tuple(result(check) for check in checks)


def compare_over_seeds(pairs: Mapping[int, Pair]) -> tuple[Result, ...]:
    """All checks over runs with several seeds, where completions are not the same.

    What is not random is compared under each seed, what is random as distributions.
    """
    under = {seed: compare(*each) for seed, each in pairs.items()}

    def combined(at: int) -> Result:
        found = {seed: results[at] for seed, results in under.items()}
        first = next(iter(found.values()))
        name = first.check.name
        if name == "draws":
            outcome, _, _ = distributions([*pairs.values()])
            return Result(SEEDED, outcome, outcome.tolerance, SEEDED.why)
        random = name in FOLLOWS or name in ("completions", "rewards")
        for seed, each in found.items():
            if each.outcome.verdict == "differs" or not (random or each.outcome.passed):
                where = f"seed {seed}: {each.outcome.where}".rstrip(": ")
                return replace(each, outcome=replace(each.outcome, where=where))
        passed = [each for each in found.values() if each.outcome.passed]
        if name in FOLLOWS or name == "completions" or not passed:
            return replace(first, outcome=replace(first.outcome, verdict="random"))
        worst = max(passed, key=lambda each: each.outcome.measured or 0.0)
        note = f"under {'each of ' if len(passed) == len(found) else ''}{len(passed)} seeds"
        return replace(worst, outcome=replace(worst.outcome, note=note))

    return tuple(combined(at) for at in range(len(next(iter(under.values())))))


def first_failure(results: Sequence[Result]) -> Result | None:
    """The first difference; without one, the first thing that could not be compared; else None."""
    found = [result for result in results if result.outcome.verdict == "differs"]
    missing = [result for result in results if result.outcome.verdict == "not-compared"]
    return next(iter(found or missing), None)


def _in_half(evidence: Evidence) -> bool:
    """Whether a run calculates in 16 bits: by autocast, or because its weights have no more."""
    dtypes = evidence.setting.get("dtypes") or ()
    return bool(evidence.lowered()) or bool({*dtypes} & {"bfloat16", "float16"})
