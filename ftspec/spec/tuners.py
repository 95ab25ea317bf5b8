"""Tuners beside full tuning and LoRA: which weights learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ftspec.spec.base import Items, Node

ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")]
"""A module's name or the end of its dotted path. No commas: LLaMA-Factory splits lists at them."""


LAYERS = ("last_layers", "first_layers", "expanded_layers")
"""Fields of which one chooses layers."""


class Partial(Node):
    """A part of the model's own weights trains, and the rest is frozen. What is named adds up.

    `bitfit` is the short word for `biases` alone (Ben Zaken et al. 2021,
    https://arxiv.org/abs/2106.10199), `norms` for `norms` alone (Zhao et al. 2023,
    https://arxiv.org/abs/2312.11420).
    """

    type: Literal["partial"] = "partial"
    last_layers: int | None = Field(None, ge=1)
    """The last n layers of the model."""
    first_layers: int | None = Field(None, ge=1)
    """The first n layers instead."""
    expanded_layers: int | None = Field(None, ge=1)
    """The n layers that LLaMA-Pro's expansion put into the model, evenly spread: the last of each n-th
    part (Wu et al. 2024, https://arxiv.org/abs/2401.02415). n divides the number of layers."""
    modules: Items[ModuleName] = ()
    """Only these parts of the layers, by their names inside a layer (`self_attn`, `mlp.down_proj`):
    of the chosen layers, or of all layers where none are chosen."""
    embeddings: bool = False
    """The token embeddings too. Where the head shares their weights, it trains along."""
    head: bool = False
    """The output head too."""
    norms: bool = False
    """All norms of the language model too: each weight with `norm` in its name."""
    biases: bool = False
    """All biases of the language model too. Many models have none."""

    @model_validator(mode="after")
    def _some_part(self) -> Partial:
        layers = [name for name in LAYERS if getattr(self, name) is not None]
        if len(layers) > 1:
            raise ValueError(f"`{layers[0]}` and `{layers[1]}` exclude each other: keep one")
        if not (
            layers or self.modules or self.embeddings or self.head or self.norms or self.biases
        ):
            raise ValueError(
                "say which part trains: `last_layers`, `first_layers`, `expanded_layers`, `modules`, "
                "`embeddings`, `head`, `norms` or `biases`"
            )
        return self


WORDS: Mapping[str, Mapping[str, Any]] = {
    "bitfit": {"type": "partial", "biases": True},
    "norms": {"type": "partial", "norms": True},
}
"""Words that stand for a tuner with its settings."""
