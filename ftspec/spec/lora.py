"""LoRA, with the options of peft that people use."""

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Items, Node
from ftspec.spec.tuners import ModuleName

Text = Annotated[str, Field(min_length=1)]
Pattern = Annotated[dict[Literal["pattern"], Text], Field(min_length=1)]
"""`{pattern: ...}`: a regular expression. Spelled out, so that no name is taken for one."""
Counts = dict[Text, Annotated[int, Field(ge=1)]]
Index = Annotated[int, Field(ge=0)]


class Init(Node):
    """How a new adapter's weights begin."""

    short: ClassVar[str | None] = "type"

    type: Literal["default", "gaussian", "orthogonal", "pissa", "olora", "eva", "loftq"] = "default"
    """`default`: A uniform (Kaiming), B zero. `gaussian`: A normal with deviation 1 / rank, B zero.
    `orthogonal`: A and B orthogonal and small, for even ranks. `pissa`: the largest singular values of
    each weight move into its adapter (https://arxiv.org/abs/2404.02948). `olora`: the same with a QR
    decomposition (https://arxiv.org/abs/2406.01775). `eva`: A from what the inputs of a layer have in
    common on the rows, and ranks where there is more of it (https://arxiv.org/abs/2410.07170). `loftq`:
    from the largest part of what 4 bits took from each weight (https://arxiv.org/abs/2310.08659), so that
    the model begins nearer to the one that was not quantised; such an adapter is for that base alone."""
    iterations: int | None = Field(None, ge=0)
    """Of PiSSA: steps of a fast, approximate decomposition; 16 comes close. Left out: the exact one."""
    rho: float | None = Field(None, ge=1)
    """Of EVA: a layer's rank grows to at most this many times `rank`, others shrink for it; 1: no ranks
    move. Left out: 2."""

    @model_validator(mode="after")
    def _of_its_own(self) -> Self:
        if self.iterations is not None and self.type != "pissa":
            raise ValueError(f"`iterations` belongs to `pissa`, not to `{self.type}`")
        if self.rho is not None and self.type != "eva":
            raise ValueError(f"`rho` belongs to `eva`, not to `{self.type}`")
        return self


class LoRA(Node):
    """Low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""

    type: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1)
    """Rank of the update."""
    alpha: int | None = Field(None, ge=1)
    """Scale: the update is multiplied by alpha / rank. Left out: 2 x rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    targets: Literal["all-linear"] | Annotated[Items[ModuleName], Field(min_length=1)] | Pattern = (
        "all-linear"
    )
    """Modules that get an adapter: `all-linear` (each linear layer but the head), names, or
    `{pattern: ...}`, a regular expression for a module's whole path."""
    exclude: Items[ModuleName] | Pattern = ()
    """Modules that get none although `targets` has them: names, or `{pattern: ...}`."""
    layers: Items[Index] = ()
    """Numbers of the layers that get adapters, counted from 0. Left out: all."""
    parameters: Items[ModuleName] = ()
    """Weights that are no module's own, such as the experts of a mixture
    (`mlp.experts.gate_up_proj`), which get an adapter as well."""
    rank_pattern: Counts = Field(default_factory=dict)
    """Other ranks for some modules: a module's name, or a regular expression for the end of its path,
    and the rank. Alpha stays as it is: see `alpha_pattern`."""
    alpha_pattern: Counts = Field(default_factory=dict)
    """Other alphas for some modules, by name or regular expression."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases train along: none, `all` of the model, or those of the adapted layers alone
    (`lora_only`, which the peft of these environments trains and does not save)."""
    modules_to_save: Items[ModuleName] = ()
    """Modules that train in full beside the adapters, and are saved with them; in the model's own type, in
    which 16 bits round small steps away: `model.dtype: float32` keeps them."""
    trainable_tokens: Items[Index] = ()
    """Ids of tokens whose embeddings train along."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank) instead (https://arxiv.org/abs/2312.03732)."""
    dora: bool = False
    """Learn the length of each weight column apart from its direction
    (https://arxiv.org/abs/2402.09353)."""
    init: Init = Init()
    """How the adapter's weights begin, by name: `pissa`, or `{type: pissa, iterations: 16}`."""
    plus_ratio: float | None = Field(None, gt=0)
    """LoRA+ (https://arxiv.org/abs/2402.12354): B learns this many times as fast as A; the paper
    recommends 16. One-dimensional weights, such as biases, learn as fast as B. Left out: alike."""
    plus_embedding_rate: float | None = Field(None, gt=0)
    """LoRA+: the learning rate of adapters on embeddings. Left out: 1e-6."""
    adapter: str | None = Field(None, min_length=1)
    """Start from this saved adapter instead of a new one. Its own rank, alpha and targets then hold."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        idle = sorted(self.model_fields_set - OF_ANY_ADAPTER)
        if self.adapter is not None and idle:
            names = ", ".join(f"`{name}`" for name in idle)
            raise ValueError(f"{names} would have no effect: the saved `adapter` brings its own")
        if self.plus_embedding_rate is not None and self.plus_ratio is None:
            raise ValueError("`plus_embedding_rate` has no effect without `plus_ratio`")
        return self

    @model_validator(mode="after")
    def _patterns(self) -> Self:
        for name, pattern in self._regular():
            try:
                with warnings.catch_warnings(action="ignore"):  # of what a later Python may refuse
                    re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"`{name}` has no regular expression: {error}") from error
        return self

    def _regular(self) -> Iterator[tuple[str, str]]:
        for name in ("targets", "exclude"):
            value = getattr(self, name)
            if isinstance(value, dict):
                yield name, value["pattern"]
        for name in ("rank_pattern", "alpha_pattern"):
            yield from ((name, pattern) for pattern in getattr(self, name))


OF_ANY_ADAPTER = frozenset({"type", "adapter", "plus_ratio", "plus_embedding_rate"})
"""Fields that mean something for a saved adapter too."""
WORDS: Mapping[str, Mapping[str, Any]] = {
    "rslora": {"type": "lora", "rslora": True},
    "dora": {"type": "lora", "dora": True},
    "pissa": {"type": "lora", "init": "pissa"},
    "olora": {"type": "lora", "init": "olora"},
    "eva": {"type": "lora", "init": "eva"},
    "loftq": {"type": "lora", "init": "loftq"},
}
"""Words that stand for LoRA with one option."""
