"""spec.train.schedule: how the learning rate goes after the warm-up."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ftspec.spec.base import Node

Count = Annotated[int, Field(ge=0)]


class Linear(Node):
    """In a line to zero."""

    type: Literal["linear"] = "linear"


class Cosine(Node):
    """Along a cosine (https://arxiv.org/abs/1608.03983, without restarts), by default half a wave to zero."""

    type: Literal["cosine"] = "cosine"
    cycles: float = Field(0.5, gt=0)
    """Waves of the cosine: 0.5 goes down once, 1 down and up again."""
    min_ratio: float = Field(0.0, ge=0, lt=1)
    """The lowest rate, as a share of the peak."""


class Constant(Node):
    """Not at all."""

    type: Literal["constant"] = "constant"


class CosineRestarts(Node):
    """Along half a cosine to zero, several times, each from the peak (https://arxiv.org/abs/1608.03983)."""

    type: Literal["cosine-restarts"] = "cosine-restarts"
    cycles: int = Field(1, ge=1)
    """How many times. 1 is the same as `cosine`."""


class Polynomial(Node):
    """Along a power of the share of steps that remain."""

    type: Literal["polynomial"] = "polynomial"
    power: float = Field(1.0, gt=0)
    """The power: 1 is a line, 2 a parabola."""
    end_rate: float = Field(0.0, ge=0)
    """The rate at the end, below the peak."""


class InverseSqrt(Node):
    """As peak / sqrt(1 + n / timescale), n steps after the warm-up (https://arxiv.org/abs/2106.04560)."""

    type: Literal["inverse-sqrt"] = "inverse-sqrt"
    timescale: int | None = Field(None, ge=1)
    """Steps after the warm-up until the rate is 0.71 of the peak. Left out: the steps of the warm-up,
    10000 without one."""


class WarmupStableDecay(Node):
    """At the peak until the last steps, then down (https://arxiv.org/abs/2404.06395).

    The warm-up begins at `min_ratio`, not at zero.
    """

    type: Literal["warmup-stable-decay"] = "warmup-stable-decay"
    stable_steps: Count | None = None
    """Steps at the peak. Left out: those between warm-up and decay."""
    decay_steps: int | None = Field(None, ge=1)
    """Steps of the decay. Left out: a tenth of `train.steps`."""
    decay: Literal["linear", "cosine", "1-sqrt"] = "linear"
    """The curve of the decay."""
    min_ratio: float = Field(0.0, ge=0, lt=1)
    """The rate at the end, as a share of the peak."""


def _full(value: Any) -> Any:
    """`linear` stands for `{type: linear}`."""
    return {"type": value} if isinstance(value, str) else value


Schedule = Annotated[
    Annotated[
        Linear | Cosine | Constant | CosineRestarts | Polynomial | InverseSqrt | WarmupStableDecay,
        Field(discriminator="type"),
    ],
    BeforeValidator(_full),
]
