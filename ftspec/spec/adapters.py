"""Adapters of peft other than LoRA: a few more weights learn, and the model's own are frozen."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from ftspec.spec.base import Items, Node
from ftspec.spec.tuners import ModuleName

Names = Annotated[Items[ModuleName], Field(min_length=1)]
Targets = Literal["all-linear"] | Names


class OFT(Node):
    """Orthogonal fine-tuning: the outputs of layers are rotated, block by block.

    https://arxiv.org/abs/2306.07280 (Qiu et al. 2023), https://arxiv.org/abs/2506.19847 (2025).
    """

    type: Literal["oft"] = "oft"
    block_size: int | None = Field(None, ge=2)
    """Width of a rotated block; each layer's input width must be a multiple of it. Left out: 32, or
    what follows from `rank`."""
    rank: int | None = Field(None, ge=1)
    """Instead of `block_size`: how many blocks a layer has."""
    targets: Targets = "all-linear"
    """Modules that are rotated: `all-linear` (each linear layer but the head), or names."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of blocks that are left alone in a step."""
    coft: bool = False
    """Keep the rotation within `eps` of none at all (constrained OFT)."""
    eps: float = Field(6e-5, gt=0)
    """How far `coft` lets it go."""
    block_share: bool = False
    """One rotation for all blocks of a layer."""
    modules_to_save: Items[ModuleName] = ()
    """Modules that train in full beside the adapters, and are saved with them."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.block_size is not None and self.rank is not None:
            raise ValueError(
                "`block_size` and `rank` exclude each other: one follows from the other"
            )
        return self


class IA3(Node):
    """A learned factor for each activation of some layers.

    https://arxiv.org/abs/2205.05638 (Liu et al. 2022).
    """

    type: Literal["ia3"] = "ia3"
    targets: Names = ("k_proj", "v_proj", "down_proj")
    """Modules with factors: keys, values and the second feed-forward layer, as Llama calls them."""
    feedforward: Items[ModuleName] = ("down_proj",)
    """Those of `targets` whose input is scaled instead of their output."""
    modules_to_save: Items[ModuleName] = ()
    """Modules that train in full beside the factors, and are saved with them."""


class Prefix(Node):
    """Learned keys and values in front of every layer's own.

    https://arxiv.org/abs/2101.00190 (Li and Liang 2021).
    """

    type: Literal["prefix"] = "prefix"
    tokens: int = Field(20, ge=1)
    """How many virtual tokens."""
    projection: bool = False
    """Make them by a small network, which trains in their place."""
    hidden_size: int | None = Field(None, ge=1)
    """Width of that network. Left out: the model's own width."""


class Prompt(Node):
    """Learned embeddings in front of every row.

    https://arxiv.org/abs/2104.08691 (Lester et al. 2021).
    """

    type: Literal["prompt"] = "prompt"
    tokens: int = Field(20, ge=1)
    """How many virtual tokens."""
    start: Literal["random", "vocabulary", "text"] = "random"
    """Begin with noise, with embeddings of tokens drawn at random, or with those of `text`."""
    text: str | None = Field(None, min_length=1)
    """What `start: text` begins with; repeated or cut to the number of tokens."""

    @model_validator(mode="after")
    def _text(self) -> Self:
        if (self.text is None) == (self.start == "text"):
            raise ValueError("`text` and `start: text` belong together")
        return self


class PTuning(Node):
    """Learned embeddings in front of every row, made by a small network.

    https://arxiv.org/abs/2103.10385 (Liu et al. 2021).
    """

    type: Literal["p-tuning"] = "p-tuning"
    tokens: int = Field(20, ge=1)
    """How many virtual tokens."""
    encoder: Literal["mlp", "lstm"] = "mlp"
    """The network: three linear layers, or an LSTM before two of them."""
    hidden_size: int | None = Field(None, ge=1)
    """Width of the network. Left out: the model's own width."""
    layers: int = Field(2, ge=1)
    """Layers of the LSTM."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout between the layers of the LSTM."""

    @model_validator(mode="after")
    def _lstm(self) -> Self:
        idle = sorted(self.model_fields_set & {"layers", "dropout"})
        if self.encoder == "mlp" and idle:
            raise ValueError(f"`{idle[0]}` has no effect: it belongs to `encoder: lstm`")
        return self


class LoHa(Node):
    """The update is a product, number by number, of two low-rank ones.

    https://arxiv.org/abs/2108.06098 (Hyeon-Woo et al. 2021).
    """

    type: Literal["loha"] = "loha"
    rank: int = Field(8, ge=1)
    """Rank of each of the two."""
    alpha: int | None = Field(None, ge=1)
    """Scale: the update is multiplied by alpha / rank. Left out: the rank."""
    rank_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the rows of the update that are left out in a step."""
    module_dropout: float = Field(0.0, ge=0, lt=1)
    """How often a module goes without its update in a step."""
    targets: Targets = "all-linear"
    """Modules that get an adapter: `all-linear` (each linear layer but the head), or names."""
    modules_to_save: Items[ModuleName] = ()
    """Modules that train in full beside the adapters, and are saved with them."""


class LoKr(Node):
    """The update is a Kronecker product, one factor of low rank.

    https://arxiv.org/abs/2309.14859 (Yeh et al. 2023).
    """

    type: Literal["lokr"] = "lokr"
    rank: int = Field(8, ge=1)
    """Rank of the larger factor."""
    alpha: int | None = Field(None, ge=1)
    """Scale: the update is multiplied by alpha / rank. Left out: the rank."""
    factor: int = Field(-1, ge=-1)
    """Size of the smaller factor; -1: as near to square as divides the layer."""
    decompose_both: bool = False
    """The smaller factor is of low rank too."""
    rank_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the rows of the update that are left out in a step."""
    module_dropout: float = Field(0.0, ge=0, lt=1)
    """How often a module goes without its update in a step."""
    targets: Targets = "all-linear"
    """Modules that get an adapter: `all-linear` (each linear layer but the head), or names."""
    modules_to_save: Items[ModuleName] = ()
    """Modules that train in full beside the adapters, and are saved with them."""


class VeRA(Node):
    """Random matrices that all layers share, and two learned vectors for each layer.

    https://arxiv.org/abs/2310.11454 (Kopiczko et al. 2023).
    """

    type: Literal["vera"] = "vera"
    rank: int = Field(256, ge=1)
    """Rank of the random matrices."""
    initial: float = 0.1
    """What the vector between the two matrices begins with."""
    seed: int = Field(0, ge=0)
    """Of the random matrices, which are saved along."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    targets: Targets = "all-linear"
    """Modules that get an adapter: `all-linear` (each linear layer but the head), or names."""
    modules_to_save: Items[ModuleName] = ()
    """Modules that train in full beside the adapters, and are saved with them."""


class AdaLoRA(Node):
    """LoRA whose ranks go to the layers in which they matter most, as a rule learns while it trains.

    https://arxiv.org/abs/2303.10512 (Zhang et al. 2023). It needs `train.steps`: ranks fall by a plan.
    """

    type: Literal["adalora"] = "adalora"
    rank: int = Field(12, ge=2)
    """Rank with which each update begins."""
    target_rank: int = Field(8, ge=1)
    """Rank that is left in the end, as a mean over all updates."""
    alpha: int | None = Field(None, ge=1)
    """Scale: the update is multiplied by alpha / rank. Left out: 2 x rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    initial_steps: int = Field(0, ge=0)
    """Steps before the first rank is taken away."""
    final_steps: int = Field(0, ge=0)
    """Steps at the end in which ranks stay as they are."""
    interval: int = Field(1, ge=1)
    """Steps between two cuts."""
    beta1: float = Field(0.85, gt=0, lt=1)
    """Share of the past in the mean of how much a rank matters."""
    beta2: float = Field(0.85, gt=0, lt=1)
    """Share of the past in the mean of how uncertain that is."""
    orthogonality: float = Field(0.5, gt=0)
    """Weight of the penalty on factors that are not orthogonal; it is part of the loss that is logged."""
    targets: Targets = "all-linear"
    """Modules that get an adapter: `all-linear` (each linear layer but the head), or names."""
    modules_to_save: Items[ModuleName] = ()
    """Modules that train in full beside the adapters, and are saved with them."""

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.target_rank >= self.rank:
            raise ValueError(
                "`target_rank` is below `rank`: a rank that does not fall is plain LoRA"
            )
        return self


PeftKind = Literal[
    "ADAPTION_PROMPT", "BOFT", "BONE", "C3A", "CPT", "DELORA", "FOURIERFT", "HRA", "LN_TUNING",
    "MISS", "MULTITASK_PROMPT_TUNING", "OSF", "POLY", "RANDLORA", "ROAD", "SHIRA",
    "TRAINABLE_TOKENS", "VBLORA", "WAVEFT", "XLORA",
]  # fmt: skip
"""peft's types without a tuner of their own here; a test holds the list to the installed peft."""


OF_THEIR_OWN = {
    "LORA": "lora", "OFT": "oft", "IA3": "ia3", "PREFIX_TUNING": "prefix", "PROMPT_TUNING": "prompt",
    "P_TUNING": "p-tuning", "LOHA": "loha", "LOKR": "lokr", "VERA": "vera", "ADALORA": "adalora",
}  # fmt: skip
"""peft's types that are tuners of a spec by another name."""


class Peft(Node):
    """Any other adapter of peft 0.18, by peft's own names."""

    type: Literal["peft"] = "peft"
    kind: PeftKind
    """Its PeftType, such as HRA or BOFT."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of its configuration, as peft names them; the rest is peft's default, written out."""

    @model_validator(mode="before")
    @classmethod
    def _of_its_own(cls, value: Any) -> Any:
        kind = value.get("kind") if isinstance(value, dict) else None
        if isinstance(kind, str) and (word := OF_THEIR_OWN.get(kind.upper())):
            raise ValueError(f"`{kind}` has a tuner of its own: write `type: {word}`")
        return value

    @model_validator(mode="after")
    def _known(self) -> Self:
        from ftspec.spec.peft_options import check  # noqa: PLC0415 - the table is read on use

        check(self.kind, self.options)
        return self

    def completed(self) -> dict[str, Any]:
        """Every option with its value."""
        from ftspec.spec.peft_options import defaults  # noqa: PLC0415

        return {**defaults(self.kind), **self.options}
