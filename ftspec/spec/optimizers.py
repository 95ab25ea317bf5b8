"""spec.train.optimizer: the rule that turns gradients into steps, and its settings."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ftspec.spec.base import Items, Node
from ftspec.spec.tuners import ModuleName

Share = Annotated[float, Field(ge=0, lt=1)]


class Adam(Node):
    """What the rules after Adam have in common."""

    type: str
    beta1: Share = 0.9
    """Decay of the running mean of gradients."""
    beta2: Share = 0.999
    """Decay of the running mean of squared gradients."""
    eps: float = Field(1e-8, gt=0)
    """Added to the denominator."""


class AdamW(Adam):
    """AdamW (https://arxiv.org/abs/1711.05101), torch's fused implementation."""

    implied: ClassVar[bool] = True

    type: Literal["adamw"] = "adamw"


class AdamW8bit(Adam):
    """AdamW with states of 8 bits (https://arxiv.org/abs/2110.02861), by bitsandbytes.

    Embeddings, and weights of fewer than 4096 numbers, keep states of 32 bits.
    """

    type: Literal["adamw-8bit"] = "adamw-8bit"


class PagedAdamW(Adam):
    """AdamW by bitsandbytes, whose states move to CPU memory while the GPU has none to spare."""

    type: Literal["paged-adamw"] = "paged-adamw"


class PagedAdamW8bit(Adam):
    """AdamW with paged states of 8 bits: QLoRA's optimizer (https://arxiv.org/abs/2305.14314)."""

    type: Literal["paged-adamw-8bit"] = "paged-adamw-8bit"


class TorchaoRule(Adam):
    """What the kinds of AdamW by torchao have in common."""

    stochastic_rounding: bool = False
    """Round weights that are held in bfloat16 up or down by chance, the likelier the nearer. Others never."""


class TorchaoAdamW8bit(TorchaoRule):
    """AdamW with states of 8 bits, by torchao: blocks of 256 numbers, unlike bitsandbytes'.

    Weights of fewer than 4096 numbers, or of a number that 256 does not divide, keep states of their type.
    """

    type: Literal["torchao-adamw-8bit"] = "torchao-adamw-8bit"


class TorchaoAdamW4bit(TorchaoRule):
    """AdamW with states of 4 bits (https://arxiv.org/abs/2309.01507), by torchao, in blocks of 256 numbers.

    It spares the weights that `torchao-adamw-8bit` spares.
    """

    type: Literal["torchao-adamw-4bit"] = "torchao-adamw-4bit"


class LionRule(Node):
    """What the kinds of Lion have in common."""

    type: str
    beta1: Share = 0.9
    """Share of the momentum in the step's direction."""
    beta2: Share = 0.99
    """Decay of the momentum."""


class Lion(LionRule):
    """Lion (https://arxiv.org/abs/2302.06675): steps by the sign of a momentum, by bitsandbytes.

    Its rates are three to ten times lower than AdamW's, its weight decay as much higher.
    """

    type: Literal["lion"] = "lion"


class Lion8bit(LionRule):
    """Lion with states of 8 bits, by bitsandbytes."""

    type: Literal["lion-8bit"] = "lion-8bit"


class PagedLion(LionRule):
    """Lion by bitsandbytes, whose states move to CPU memory while the GPU has none to spare."""

    type: Literal["paged-lion"] = "paged-lion"


class PagedLion8bit(LionRule):
    """Lion with paged states of 8 bits, by bitsandbytes."""

    type: Literal["paged-lion-8bit"] = "paged-lion-8bit"


class Adafactor(Node):
    """Adafactor (https://arxiv.org/abs/1804.04235): second moments by row and column, no first ones.

    As transformers' trainer has it: with the rates of the schedule, updates clipped at a root mean square
    of 1.
    """

    type: Literal["adafactor"] = "adafactor"


class SGD(Node):
    """Stochastic gradient descent, torch's. Weight decay is added to the gradient (L2)."""

    type: Literal["sgd"] = "sgd"
    momentum: Share = 0.0
    """Share of the last step in this one."""
    nesterov: bool = False
    """Look ahead along the momentum, which must not be 0."""

    @model_validator(mode="after")
    def _moving(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` needs a `momentum`")
        return self


class RMSprop(Node):
    """RMSprop, torch's. Weight decay is added to the gradient (L2)."""

    type: Literal["rmsprop"] = "rmsprop"
    smoothing: Share = 0.99
    """Decay of the running mean of squared gradients."""
    momentum: Share = 0.0
    """Share of the last step in this one."""
    eps: float = Field(1e-8, gt=0)
    """Added to the denominator."""
    centered: bool = False
    """Divide by the gradients' deviation from their mean instead of by their size."""


class Adagrad(Node):
    """Adagrad, torch's. Weight decay is added to the gradient (L2)."""

    type: Literal["adagrad"] = "adagrad"
    rate_decay: float = Field(0.0, ge=0)
    """The rate of step n is divided by 1 + (n - 1) x this, beside the schedule."""
    eps: float = Field(1e-10, gt=0)
    """Added to the denominator."""


class Muon(Adam):
    """Muon (https://arxiv.org/abs/2502.16982): momentum whose matrices are made orthogonal, for full tuning.

    Embeddings, the head and all that is no matrix train by AdamW, whose settings these are. As
    LLaMA-Factory has it: Nesterov momentum of 0.95, five Newton-Schulz steps, and a rate times
    0.2 x sqrt(longer side), so that AdamW's rates fit.
    """

    type: Literal["muon"] = "muon"


class GaLore(Node):
    """GaLore (https://arxiv.org/abs/2403.03507): AdamW on gradients of low rank, for full tuning."""

    type: Literal["galore"] = "galore"
    rank: int = Field(128, ge=1)
    """Rank of the projected gradients."""
    update_steps: int = Field(200, ge=1)
    """Steps after which the projection is computed anew."""
    scale: float = Field(0.25, gt=0)
    """Factor on the projected update."""
    projection: Literal["std", "reverse_std", "right", "left", "full"] = "std"
    """Side of a matrix that is projected: `std` the longer one."""
    targets: Literal["all-linear"] | Annotated[Items[ModuleName], Field(min_length=1)] = (
        "all-linear"
    )
    """Layers whose gradients are projected: `all-linear` (each but the head), or parts of their names."""
    layerwise: bool = False
    """Make each weight's step as soon as its gradient is there, and drop the gradient: less memory, one pass
    a step, and no limit on the norm of all gradients (`train.max_grad_norm: null`)."""
    beta1: Share = 0.9
    """Decay of the running mean of gradients."""
    beta2: Share = 0.999
    """Decay of the running mean of squared gradients."""
    eps: float = Field(1e-6, gt=0)
    """Added to the denominator."""


class BAdam(Adam):
    """BAdam (https://arxiv.org/abs/2404.02827): AdamW on one layer at a time, for full tuning.

    Embeddings and the head do not train.
    """

    type: Literal["badam"] = "badam"
    switch_steps: int = Field(50, ge=1)
    """Steps that a layer trains; the first one takes one step less."""
    order: Literal["ascending", "descending", "random", "fixed"] = "ascending"
    """Which layer is the next."""
    start: int | None = Field(None, ge=0)
    """The first layer, from 0. Left out: what `order` begins with; `fixed` needs one."""

    @model_validator(mode="after")
    def _started(self) -> Self:
        if self.order == "fixed" and self.start is None:
            raise ValueError("`order: fixed` needs the layer to `start` with")
        return self


def _full(value: Any) -> Any:
    """`lion` stands for `{type: lion}`; a section without a type is AdamW's."""
    if isinstance(value, str):
        return {"type": value}
    return {"type": "adamw", **value} if isinstance(value, dict) else value


Optimizer = Annotated[
    Annotated[
        AdamW
        | AdamW8bit
        | PagedAdamW
        | PagedAdamW8bit
        | TorchaoAdamW8bit
        | TorchaoAdamW4bit
        | Lion
        | Lion8bit
        | PagedLion
        | PagedLion8bit
        | Adafactor
        | SGD
        | RMSprop
        | Adagrad
        | Muon
        | GaLore
        | BAdam,
        Field(discriminator="type"),
    ],
    BeforeValidator(_full),
]
