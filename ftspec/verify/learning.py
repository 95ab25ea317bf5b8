"""Checks of what training does: rates, losses, gradients, and the weights that come of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ftspec.verify.compare import Outcome, differs, numbers, pair, unobserved
from ftspec.verify.evidence import Evidence, Step

BROKEN = "not a finite number"


def learning_rates(reference: Evidence, other: Evidence, tolerance: float) -> Outcome:
    """The rate of each step."""

    def rates(evidence: Evidence) -> list[float]:
        return [step.learning_rate for step in evidence.steps if step.learning_rate is not None]

    ours, theirs = pair(rates, reference, other)
    seen = pair(lambda e: bool(e.steps) and len(rates(e)) == len(e.steps), reference, other)
    if missing := unobserved("its learning rates", *seen):
        return missing
    if ended := _ended(reference, other, tolerance):
        return ended
    places = [f"step {step.step}" for step in reference.steps]
    return numbers(list(zip(places, ours, theirs, strict=True)), tolerance)


def first_loss(reference: Evidence, other: Evidence, tolerance: float) -> Outcome:
    """The loss of the first step, before anything was learnt."""
    ours, theirs = pair(_first, reference, other)
    if ours is None or theirs is None:
        return _nothing("a loss", ours is not None, theirs is not None)
    return numbers([(f"step {ours.step}", ours.loss, theirs.loss)], tolerance)


def first_gradient(reference: Evidence, other: Evidence, tolerance: float) -> Outcome:
    """The logged norm of the first step, and the gradient by parameter as the optimizer got it."""
    one, two = pair(_norm, reference, other)
    found = []
    if one is not None and two is not None:
        found.append(numbers([("first step", one, two)], tolerance))
    if reference.gradient and other.gradient:
        note = "" if found else "not both log a norm: compared by parameter"
        found.append(_gradients(reference.gradient, other.gradient, tolerance, note))
    if not found:
        return _nothing("a gradient norm", one is not None, two is not None)
    failing = (outcome for outcome in found if not outcome.passed)
    return next(failing, max(found, key=lambda outcome: outcome.measured or 0.0))


def trajectory(reference: Evidence, other: Evidence, tolerance: float) -> Outcome:
    """The loss of every step after the first."""
    if missing := unobserved("its losses", bool(reference.steps), bool(other.steps)):
        return missing
    if ended := _ended(reference, other, tolerance):
        return ended
    pairs = [
        (f"step {one.step}", one.loss, two.loss)
        for one, two in zip(reference.steps[1:], other.steps[1:], strict=True)
    ]
    if not pairs:
        return Outcome("not-compared", note="the run has one step only: take two or more")
    return numbers(pairs, tolerance)


def final_update(reference: Evidence, other: Evidence, tolerance: float) -> Outcome:
    """What training added to the weights, as one vector, and how far the two vectors lie apart."""
    seen = pair(lambda e: e.finished and bool(e.before) and bool(e.after), reference, other)
    if missing := unobserved("its final weights", *seen):
        return missing
    names = [{*e.before} & {*e.after} for e in (reference, other)]
    if names[0] != names[1]:
        counts = pair(len, *names)
        return differs("tensors in the result", *counts, measured=math.inf, tolerance=tolerance)
    apart, ours, theirs = {}, {}, {}
    for name in sorted(names[0]):
        one, two = _added(reference, name), _added(other, name)
        if one.shape != two.shape:
            where = f"shape of {name}"
            return differs(where, one.shape, two.shape, measured=math.inf, tolerance=tolerance)
        apart[name], ours[name], theirs[name] = (_square(v) for v in (one - two, one, two))
    total = max(sum(ours.values()), sum(theirs.values()))
    if total == 0:
        note = "no weight moved: take more steps, or a learning rate above zero"
        return Outcome("not-compared", note=note)
    finite = math.isfinite(total) and math.isfinite(sum(apart.values()))
    distance = math.sqrt(sum(apart.values()) / total) if finite else math.inf
    if distance <= tolerance:
        return Outcome("within" if distance else "equal", distance, tolerance)
    worst = max(apart, key=lambda name: apart[name] if math.isfinite(apart[name]) else math.inf)
    norms = [f"update of norm {math.sqrt(side[worst])!r}" for side in (ours, theirs)]
    note = "" if finite else BROKEN
    return differs(f"most in {worst}", *norms, measured=distance, tolerance=tolerance, note=note)


def update_norm(evidence: Evidence) -> float | None:
    """The length of what training added to the weights; None where it was not seen."""
    if not (evidence.finished and evidence.before and evidence.after):
        return None
    return math.sqrt(sum(_square(_added(evidence, name)) for name in evidence.before))


def _first(evidence: Evidence) -> Step | None:
    return evidence.steps[0] if evidence.steps else None


def _norm(evidence: Evidence) -> float | None:
    first = _first(evidence)
    return first.grad_norm if first else None


def _nothing(what: str, reference: bool, other: bool) -> Outcome:
    return unobserved(what, reference, other) or Outcome("not-compared", note=f"{what} is missing")


def _added(evidence: Evidence, name: str) -> Any:
    return evidence.after[name].astype("float64") - evidence.before[name].astype("float64")


def _square(values: Any) -> float:
    return float((values * values).sum())


def _ended(reference: Evidence, other: Evidence, tolerance: float) -> Outcome | None:
    """The difference where one run logged steps that the other did not."""
    ours, theirs = pair(lambda e: [step.step for step in e.steps], reference, other)
    if ours == theirs:
        return None
    counts = pair(len, ours, theirs)
    return differs("number of steps", *counts, measured=math.inf, tolerance=tolerance)


def _gradients(
    ours: Mapping[str, float], theirs: Mapping[str, float], tolerance: float, note: str
) -> Outcome:
    """The vector of norms by parameter, after clipping. A parameter without a gradient has zero."""
    names = sorted({*ours, *theirs})
    apart = {name: abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in names}
    total = max(math.hypot(*ours.values()), math.hypot(*theirs.values()))
    distance = math.hypot(*apart.values()) / total if total else 0.0
    if distance <= tolerance:
        return Outcome("within" if distance else "equal", distance, tolerance, note=note)
    worst = max(apart, key=lambda name: apart[name] if math.isfinite(apart[name]) else math.inf)
    values = pair(lambda norms: norms.get(worst, 0.0), ours, theirs)
    measured = distance if math.isfinite(distance) else math.inf
    note = note or "the logged norms agree; this is the gradient after clipping"
    where = f"first step, most in {worst}"
    return differs(where, *values, measured=measured, tolerance=tolerance, note=note)
