"""spec.precision: in which number formats the arithmetic runs."""

from __future__ import annotations

from typing import ClassVar, Literal

from ftspec.spec.base import Node


class Precision(Node):
    """Number formats. `precision: bf16` means `{compute: bf16}`."""

    short: ClassVar[str | None] = "compute"

    compute: Literal["fp32", "bf16", "fp16", "bf16-pure", "fp8"] = "bf16"
    """fp32: everything in float32. bf16, fp16: mixed precision (autocast) over the model's weights.
    bf16-pure: weights, gradients and optimizer states in bfloat16 as well, for full tuning; half the
    memory, and small updates are lost. fp8: matrix products in float8, on GPUs that have it."""
    tf32: bool = False
    """Let float32 matrix products on NVIDIA GPUs round their inputs to 19 bits (TensorFloat-32)."""
