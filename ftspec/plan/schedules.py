"""The steps of a schedule, and the rates that an optimizer can be given unasked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.plan.values import Value
from ftspec.spec.schedules import InverseSqrt, WarmupStableDecay
from ftspec.spec.train import Train

Decide = Callable[[str, Any, str], None]
OWN_SIZE = {
    "lion": "three to ten times lower than AdamW's",
    "sgd": "far higher than AdamW's, and another for each model",
    "adagrad": "higher than AdamW's, as its steps shrink by themselves",
}
"""Kinds of optimizers whose steps are not of the size of AdamW's, and what their rates are like."""
DECAY_SHARE = 0.1
"""Of all steps; MiniCPM's choice (https://arxiv.org/abs/2404.06395)."""
NO_WARMUP_TIMESCALE = 10_000
"""transformers' (optimization.py, get_inverse_sqrt_schedule)."""


def usual_rate(train: Train, rate: float) -> float:
    """``rate``, which is AdamW's, where the optimizer takes such steps.

    Raises:
        SpecError: it takes others, and no rate of its own is usual.
    """
    for kind, what in OWN_SIZE.items():
        if kind in train.optimizer.type.split("-"):
            raise SpecError(
                Problem(
                    f"{train.optimizer.type} has no usual learning rate",
                    path="train.learning_rate",
                    hint=f"give one: its rates are {what}",
                )
            )
    return rate


def decide_steps(train: Train, values: Mapping[str, Value], decide: Decide) -> None:
    """What a schedule counts in steps, wherever the number of all steps is known."""
    schedule, warmup = train.schedule, values["train.warmup_steps"].value
    if isinstance(schedule, InverseSqrt) and schedule.timescale is None:
        if warmup is None:
            raise _uncounted("train.schedule.timescale", "warm-up")
        why = "the steps of the warm-up" if warmup else "there is no warm-up"
        decide("train.schedule.timescale", warmup or NO_WARMUP_TIMESCALE, why)
    if isinstance(schedule, WarmupStableDecay):
        _three_phases(schedule, train.steps, warmup, decide)


def _three_phases(
    schedule: WarmupStableDecay, steps: int | None, warmup: int | None, decide: Decide
) -> None:
    decay = schedule.decay_steps
    if decay is None:
        if steps is None:
            raise _uncounted("train.schedule.decay_steps", "run")
        decay = math.ceil(DECAY_SHARE * steps)
        decide("train.schedule.decay_steps", decay, f"{DECAY_SHARE:g} of {steps} steps")
    if steps is None or warmup is None:
        return
    rest = steps - warmup - decay
    if rest < (schedule.stable_steps or 0):
        message = f"warm-up, peak and decay take more than the {steps} steps of the run"
        raise SpecError(Problem(message, path="train.schedule"))
    if schedule.stable_steps is None:
        decide("train.schedule.stable_steps", rest, f"{steps} - {warmup} - {decay} steps")


def _uncounted(path: str, what: str) -> SpecError:
    message = f"the steps of the {what} are not known before it begins"
    return SpecError(Problem(message, path=path, hint="give it, or `train.steps`"))
