"""spec.precision: in which number formats the arithmetic runs."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Node

WEIGHTS = ("bf16-weights", "fp16-weights")
"""Formats in which the weights themselves have 16 bits, beside float32 copies of what trains."""


class LossScale(Node):
    """The factor on a float16 loss that keeps small gradients from vanishing.

    A number, or the largest power of two under which no gradient overflows, which is looked for while
    the run goes on (https://arxiv.org/abs/1710.03740): a step whose gradients overflow is skipped. Names
    and defaults are of DeepSpeed 0.19.8, runtime/precision_config.py.
    """

    short: ClassVar[str | None] = "fixed"

    fixed: float | None = Field(None, gt=0)
    """One factor for the whole run. null: it is looked for, and the other fields say how."""
    start_power: int = Field(16, ge=0, le=64)
    """The first factor is 2 to this power."""
    window: int = Field(1000, ge=1)
    """Steps without overflow after which the factor is doubled."""
    hysteresis: int = Field(2, ge=1)
    """Overflows that are waited for until the factor is halved."""
    refill: bool = False
    """Begin to wait anew after each step without overflow, not only when the factor is doubled."""
    minimum: int = Field(1, ge=1)
    """The factor never falls below it."""

    @model_validator(mode="after")
    def _looked_for(self) -> Self:
        names = [name for name in type(self).model_fields if name != "fixed"]
        default = LossScale.model_construct()
        if self.fixed is not None and any(
            getattr(self, name) != getattr(default, name) for name in names
        ):
            raise ValueError("a `fixed` factor is not looked for: leave out how")
        return self


class Precision(Node):
    """Number formats. `precision: bf16` means `{compute: bf16}`."""

    short: ClassVar[str | None] = "compute"

    compute: Literal["fp32", "bf16", "fp16", "bf16-weights", "fp16-weights", "bf16-pure", "fp8"] = (
        "bf16"
    )
    """fp32: everything in float32. bf16, fp16: mixed precision (autocast) over the model's weights.
    bf16-weights, fp16-weights: all weights and gradients in 16 bits, also those of a frozen base, and
    float32 copies of what trains, which the optimizer steps: what DeepSpeed's `bf16` and `fp16` mean.
    bf16-pure: weights, gradients and optimizer states in bfloat16 as well, for full tuning and, in TRL, for
    LoRA; half the memory, and small updates are lost. fp8: bf16, with the matrix products of linear layers in
    float8; faster on GPUs that have it (Hopper and later), slower on a CPU, which calculates the same."""
    fp8_recipe: Literal["tensorwise", "rowwise", "rowwise_with_gw_hp"] = "tensorwise"
    """What shares a scale in float8, by torchao's names: a whole tensor, or a row of it;
    rowwise_with_gw_hp: rows, and gradients of weights in bfloat16. Only with `compute: fp8`."""
    loss_scale: LossScale = LossScale()
    """The factor on the loss. Only with `compute: fp16-weights`."""
    tf32: bool = False
    """Let float32 matrix products on NVIDIA GPUs round their inputs to 19 bits (TensorFloat-32)."""

    @model_validator(mode="after")
    def _recipe_of_float8(self) -> Self:
        if self.fp8_recipe != "tensorwise" and self.compute != "fp8":
            raise ValueError(f"fp8_recipe is for `compute: fp8`, not {self.compute}")
        return self

    @model_validator(mode="after")
    def _scale_of_float16(self) -> Self:
        if self.loss_scale != LossScale() and self.compute != "fp16-weights":
            raise ValueError(f"loss_scale is for `compute: fp16-weights`, not {self.compute}")
        return self
