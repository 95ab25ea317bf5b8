"""Where torch itself is less exact on a CPU than the tolerances of the checks, and by how much.

Both are sums in float32 that add one number after the other (seen in torch 2.11): what is small
beside the sum so far is lost. A framework that adds up otherwise gets another number, and neither
made a mistake.

The softmax. `cross_entropy` loses the tail of a wide vocabulary, and the loss comes out too low.
LLaMA-Factory calls it; trl and Unsloth add up in parts and lose nothing. Measured against float64 of
the same logits: 0.9e-10 to 1.3e-10 nats per entry for peaked predictions, less for flat ones, in
proportion from 8,192 to 262,144 entries. With the 49,152 of SmolLM2 the loss moved by 3.6e-6 of
itself, and the gradient by 2.0e-5 (LoRA) and 6.4e-5 (full).

The norm. `clip_grad_norm_` of trl, LLaMA-Factory and Unsloth takes each tensor's norm in float32;
DeepSpeed does in float64. Measured on random tensors: 0.2e-10 to 0.7e-10 of itself per element of
the tensor, 1.6e-3 for the 28 million elements of SmolLM2's embeddings. Its gradient was 5.6e-5 off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ftspec.verify.evidence import Evidence

NATS = 2e-10
"""Allowed per entry of the vocabulary, of a loss."""
AMPLIFIED = 10.0
"""Each probability is too high by the share that the sum is too low. Of a gradient this is a larger
share, as where a prediction is right its probability and its target nearly cancel."""
NORM = 1e-10
"""Allowed per element of the largest trained tensor, of a norm as a share."""


@dataclass(frozen=True)
class Allowance:
    """A tolerance that torch itself makes necessary, and why."""

    tolerance: float = 0.0
    why: str = ""


def of_first_loss(reference: Evidence, other: Evidence) -> Allowance:
    """The share of the first loss."""
    return _of_losses(reference, other, slice(0, 1))


def of_later_losses(reference: Evidence, other: Evidence) -> Allowance:
    """The share of the smallest later loss."""
    return _of_losses(reference, other, slice(1, None))


def of_first_gradient(reference: Evidence, other: Evidence) -> Allowance:
    """The share of the first gradient: for its softmax, or for its norm where only that is known."""
    entries = _entries(reference, other)
    allowed = Allowance(_rounded_up(AMPLIFIED * NATS * entries), _softmax(entries))
    if not _on_cpu(reference, other) or (reference.gradient and other.gradient):
        return allowed  # norms by parameter are the probe's own, in float64
    elements = max((math.prod(tensor.shape) for tensor in reference.trainable.values()), default=0)
    why = (
        f"a norm of {elements:,} elements, added up in one go in float32 on a CPU, loses small ones"
    )
    norm = Allowance(_rounded_up(NORM * elements), why)
    return max(allowed, norm, key=lambda each: each.tolerance)


def _of_losses(reference: Evidence, other: Evidence, steps: slice) -> Allowance:
    entries = _entries(reference, other)
    losses = [abs(step.loss) for run in (reference, other) for step in run.steps[steps]]
    usable = [loss for loss in losses if math.isfinite(loss) and loss > 0]
    share = NATS * entries / min(usable) if usable else 0.0
    return Allowance(_rounded_up(share), _softmax(entries))


def _softmax(entries: int) -> str:
    return f"a softmax over {entries:,} entries, added up in one go in float32 on a CPU, loses its tail"


def _on_cpu(reference: Evidence, other: Evidence) -> bool:
    """GPUs add up pairwise."""
    return all(run.setting.get("device") == "cpu" for run in (reference, other))


def _entries(reference: Evidence, other: Evidence) -> int:
    """Entries of the vocabulary; none where it does not matter."""
    if not _on_cpu(reference, other):
        return 0
    return min(run.setting.get("vocabulary") or 0 for run in (reference, other))


def _rounded_up(value: float) -> float:
    """The next number of one digit, as a person would write a tolerance."""
    if not value:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit) * unit:.0e}")
