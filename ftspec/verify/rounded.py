"""Numbers that a framework has rounded to bfloat16, which keeps eight bits of them.

FSDP's mixed precision hands even the loss on in bfloat16 (torch, fsdp/_fully_shard/_fsdp_param_group.py,
`output_dtype`), and peft draws an adapter in the type of its base, while Unsloth on a GPU draws it in
float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ftspec.verify.evidence import Evidence

STEP = 2.0**-7
"""How far the next number of bfloat16 may lie away, as a share."""
REASON = (
    "both hand their losses on in bfloat16: eight bits, and the next number is up to 0.8 % away"
)


def to_bfloat16(numbers: Any) -> Any:
    """The nearest numbers that bfloat16 has, in float32; of two as near, the even one."""
    bits = np.asarray(numbers, "float32").view("uint32")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view("float32")


def of_losses(reference: Evidence, other: Evidence) -> float:
    """A step of bfloat16 where both runs are sharded by FSDP and calculate in it; else nothing."""
    rounded = all(
        str(run.setting.get("model")).startswith("FSDP") and run.lowered() == "bfloat16"
        for run in (reference, other)
    )
    return STEP if rounded else 0.0


def is_the_same_draw(one: Any, two: Any) -> bool:
    """Whether one of two tensors is the other one, rounded."""
    if one.shape != two.shape:
        return False
    ours, theirs = to_bfloat16(one), to_bfloat16(two)
    return bool(
        np.array_equal(ours, theirs) and (np.array_equal(ours, one) or np.array_equal(theirs, two))
    )


def distance(one: Any, two: Any) -> float:
    """How far two tensors lie apart at most, as a share of the larger number."""
    largest = np.maximum(np.abs(one), np.abs(two))
    apart = np.abs(one.astype("float64") - two)
    return float(np.max(apart / np.where(largest > 0, largest, 1), initial=0.0))
