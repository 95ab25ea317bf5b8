"""How far a wide vocabulary moves a loss on a CPU.

torch's cross_entropy (seen in 2.11) adds up the exponentials of a row in float32, one after the
other in each lane of a vector. What is below half a unit in the last place of the sum so far is
lost, and the loss comes out too low. trl and Unsloth add up in parts and lose nothing; so a
framework that calls cross_entropy, as LLaMA-Factory does, is off by this much, and not by mistake.

Measured against float64 of the same logits: 0.9e-10 to 1.3e-10 nats per entry of the vocabulary for
peaked predictions, less for flat ones, in proportion from 8,192 to 262,144 entries. With the 49,152
of SmolLM2 that moved the loss by 3.6e-6 of itself, and the gradient norm by 2.0e-5.
"""

from __future__ import annotations

import math

from ftspec.verify.evidence import Evidence

NATS = 2e-10
"""Allowed per entry of the vocabulary."""
AMPLIFIED = 5.0
"""Each probability is too high by the share that the sum is too low. Of a gradient this is a larger
share, as where a prediction is right its probability and its target nearly cancel."""


def of_first_loss(reference: Evidence, other: Evidence) -> float:
    """The share of the first loss."""
    losses = [abs(step.loss) for run in (reference, other) for step in run.steps[:1]]
    return _share(_nats(reference, other), losses)


def of_later_losses(reference: Evidence, other: Evidence) -> float:
    """The share of the smallest later loss."""
    losses = [abs(step.loss) for run in (reference, other) for step in run.steps[1:]]
    return _share(_nats(reference, other), losses)


def of_first_gradient(reference: Evidence, other: Evidence) -> float:
    """The share of the first gradient."""
    return _rounded_up(AMPLIFIED * _nats(reference, other))


def reason(reference: Evidence) -> str:
    """Why a tolerance is wider than its check's own."""
    entries = reference.setting.get("vocabulary")
    return f"a softmax over {entries:,} entries, added up in one go in float32 on a CPU, loses its tail"


def _nats(reference: Evidence, other: Evidence) -> float:
    settings = (reference.setting, other.setting)
    if any(setting.get("device") != "cpu" for setting in settings):
        return 0.0  # GPUs add up pairwise
    return NATS * min(setting.get("vocabulary") or 0 for setting in settings)


def _share(nats: float, losses: list[float]) -> float:
    usable = [loss for loss in losses if math.isfinite(loss) and loss > 0]
    return _rounded_up(nats / min(usable)) if usable else 0.0


def _rounded_up(value: float) -> float:
    """The next number of one digit, as a person would write a tolerance."""
    if not value:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit) * unit:.0e}")
