"""spec.precision: in which number formats the arithmetic runs."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from ftspec.spec.base import Node


class Precision(Node):
    """Number formats. `precision: bf16` means `{compute: bf16}`."""

    short: ClassVar[str | None] = "compute"

    compute: Literal["fp32", "bf16", "fp16", "bf16-pure", "fp8"] = "bf16"
    """fp32: everything in float32. bf16, fp16: mixed precision (autocast) over the model's weights.
    bf16-pure: weights, gradients and optimizer states in bfloat16 as well, for full tuning; half the
    memory, and small updates are lost. fp8: bf16, with the matrix products of linear layers in float8;
    faster on GPUs that have it (Hopper and later), slower on a CPU, which calculates the same."""
    fp8_recipe: Literal["tensorwise", "rowwise", "rowwise_with_gw_hp"] = "tensorwise"
    """What shares a scale in float8, by torchao's names: a whole tensor, or a row of it;
    rowwise_with_gw_hp: rows, and gradients of weights in bfloat16. Only with `compute: fp8`."""
    tf32: bool = False
    """Let float32 matrix products on NVIDIA GPUs round their inputs to 19 bits (TensorFloat-32)."""

    @model_validator(mode="after")
    def _recipe_of_float8(self) -> Self:
        if self.fp8_recipe != "tensorwise" and self.compute != "fp8":
            raise ValueError(f"fp8_recipe is for `compute: fp8`, not {self.compute}")
        return self
