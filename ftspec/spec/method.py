"""spec.method: the objective (what is learned) and the tuner (which weights learn it)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ftspec.spec.base import Items, Node
from ftspec.spec.tuners import WORDS, ModuleName, Partial


class SFT(Node):
    """Supervised fine-tuning: next-token prediction on demonstrations."""

    type: Literal["sft"] = "sft"
    loss: Literal["nll", "dft"] = "nll"
    """`nll`: the negative log-likelihood of each trained token. `dft`: the same times the token's own
    probability, which takes no gradient, so that unlikely tokens pull less (https://arxiv.org/abs/2508.05629)."""
    prompt_weight: float = Field(0.0, ge=0, le=1)
    """How much a token that `data.train_on` leaves out counts beside a trained one, which counts 1. The
    loss is the weighted mean over all tokens of the batch: the sum of weight x loss divided by the sum of
    weights. 0: not at all. 1: the same as `data.train_on: all`. Long prompts with short answers learn
    better with a little, about 0.1 (https://arxiv.org/abs/2401.13586)."""


class CPT(Node):
    """Continued pre-training: next-token prediction on plain text, every token of it.

    Each row is one document. It ends with the tokenizer's end-of-text token, which trains as well.
    """

    type: Literal["cpt"] = "cpt"


class Full(Node):
    """All weights train."""

    type: Literal["full"] = "full"


class LoRA(Node):
    """Low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""

    type: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1)
    """Rank of the update."""
    alpha: int | None = Field(None, ge=1)
    """Scale: the update is multiplied by alpha / rank. Left out: 2 x rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    targets: Literal["all-linear"] | Annotated[Items[ModuleName], Field(min_length=1)] = (
        "all-linear"
    )
    """Modules that get an adapter: `all-linear` (each linear layer but the head), or names."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases train along."""
    modules_to_save: Items[ModuleName] = ()
    """Modules that train in full beside the adapters, and are saved with them."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank) instead (https://arxiv.org/abs/2312.03732)."""
    adapter: str | None = Field(None, min_length=1)
    """Start from this saved adapter instead of a new one. Its own rank, alpha and targets then hold."""

    @model_validator(mode="after")
    def _one_source(self) -> LoRA:
        idle = sorted(self.model_fields_set - {"type", "adapter"})
        if self.adapter is not None and idle:
            names = ", ".join(f"`{name}`" for name in idle)
            raise ValueError(f"{names} would have no effect: the saved `adapter` brings its own")
        return self


def full_form(value: Any) -> Any:
    """`lora` stands for `{type: lora}`, `bitfit` for a tuner with its settings."""
    return dict(WORDS.get(value, {"type": value})) if isinstance(value, str) else value


Objective = Annotated[Annotated[SFT | CPT, Field(discriminator="type")], BeforeValidator(full_form)]
Tuner = Annotated[
    Annotated[Full | LoRA | Partial, Field(discriminator="type")], BeforeValidator(full_form)
]

OBJECTIVES = ("sft", "cpt")
TUNERS = ("full", "lora", "partial")


class Method(Node):
    """How the model learns. `method: lora` means supervised fine-tuning with LoRA."""

    objective: Objective = SFT()
    """What is learned."""
    tuner: Tuner = LoRA()
    """Which weights learn it."""

    @classmethod
    def expand(cls, value: Any) -> Any:
        """A bare word names an objective or a tuner, whichever has that name."""
        if isinstance(value, str):
            return {"objective": value} if value in OBJECTIVES else {"tuner": value}
        return value
