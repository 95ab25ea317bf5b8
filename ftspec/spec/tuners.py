"""Tuners beside full tuning and LoRA: which weights learn."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Items, Node

Text = Annotated[str, Field(min_length=1)]
ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")]
"""A module's name or the end of its dotted path. No commas: LLaMA-Factory splits lists at them."""


LAYERS = ("last_layers", "first_layers", "expanded_layers")
"""Fields of which one chooses layers."""
PARTS = ("modules", "embeddings", "head", "norms", "biases", "patterns")
"""Fields that choose by something else."""


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
    patterns: Items[Text] = ()
    r"""All weights too whose full name, as in `model.layers.1.mlp.up_proj.weight`, begins as one of these
    regular expressions says: `model\.layers\.1\.`. A head that shares its weights has no name of its own."""

    @model_validator(mode="after")
    def _some_part(self) -> Self:
        layers = [name for name in LAYERS if getattr(self, name) is not None]
        if len(layers) > 1:
            raise ValueError(f"`{layers[0]}` and `{layers[1]}` exclude each other: keep one")
        if not (layers or any(getattr(self, name) for name in PARTS)):
            raise ValueError(
                "say which part trains: `last_layers`, `first_layers`, `expanded_layers`, `modules`, "
                "`embeddings`, `head`, `norms`, `biases` or `patterns`"
            )
        return self

    @model_validator(mode="after")
    def _regular(self) -> Self:
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"`patterns` has no regular expression: {error}") from error
        return self


WORDS: Mapping[str, Mapping[str, Any]] = {
    "bitfit": {"type": "partial", "biases": True},
    "norms": {"type": "partial", "norms": True},
}
"""Words that stand for a tuner with its settings."""
