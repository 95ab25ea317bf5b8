"""spec.model.rope: rotary positions, stretched beyond the length that a model was trained on."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Node

Factor = Annotated[float, Field(ge=1)]
Base = Annotated[float, Field(gt=1)]


class LinearRoPE(Node):
    """Positions are divided by the factor (position interpolation, https://arxiv.org/abs/2306.15595)."""

    type: Literal["linear"] = "linear"
    factor: Factor
    """How many times longer than the model's own positions."""
    theta: Base | None = None
    """Base of the rotary angles. Left out: the model's own, read from its config.json."""


class DynamicRoPE(Node):
    """The base grows with rows beyond the model's own positions (https://redd.it/14mrgpr)."""

    type: Literal["dynamic"] = "dynamic"
    factor: Factor
    """How many times longer than the model's own positions."""
    theta: Base | None = None
    """Base of the rotary angles. Left out: the model's own, read from its config.json."""


class YarnRoPE(Node):
    """Slow angles are divided by the factor, fast ones kept (https://arxiv.org/abs/2309.00071)."""

    type: Literal["yarn"] = "yarn"
    factor: Factor
    """How many times longer than `original_length`."""
    original_length: int | None = Field(None, ge=1)
    """Positions of the pre-training. Left out: read from the model's config.json."""
    beta_fast: float = Field(32.0, gt=0)
    """Angles that turn more often than this within `original_length` are kept."""
    beta_slow: float = Field(1.0, gt=0)
    """Angles that turn less often than this are divided by the factor."""
    attention_factor: float | None = Field(None, gt=0)
    """The sines and cosines are multiplied by it. Left out: 0.1 ln(factor) + 1, as in the paper."""
    theta: Base | None = None
    """Base of the rotary angles. Left out: the model's own, read from its config.json."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.beta_fast < self.beta_slow:
            raise ValueError("`beta_fast` counts more turns than `beta_slow`")
        return self


class Llama3RoPE(Node):
    """The same with Llama 3.1's bounds between slow and fast (https://arxiv.org/abs/2407.21783)."""

    type: Literal["llama3"] = "llama3"
    factor: Factor
    """How many times longer than `original_length`."""
    original_length: int | None = Field(None, ge=1)
    """Positions of the pre-training. Left out: read from the model's config.json."""
    low_freq_factor: float = Field(1.0, gt=0)
    """Waves longer than `original_length` divided by this are stretched."""
    high_freq_factor: float = Field(4.0, gt=0)
    """Waves shorter than `original_length` divided by this are kept."""
    theta: Base | None = None
    """Base of the rotary angles. Left out: the model's own, read from its config.json."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high_freq_factor <= self.low_freq_factor:
            raise ValueError("`high_freq_factor` is larger than `low_freq_factor`")
        return self


class BaseRoPE(Node):
    """Nothing is stretched, but the base is another (adjusted base, https://arxiv.org/abs/2309.16039)."""

    type: Literal["base"] = "base"
    theta: Base
    """Base of the rotary angles; longer rows want a larger one."""


RoPE = Annotated[
    LinearRoPE | DynamicRoPE | YarnRoPE | Llama3RoPE | BaseRoPE, Field(discriminator="type")
]
