"""spec.model.special_tokens and spec.model.new_tokens: what a run changes of a tokenizer."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Items, Node

Token = Annotated[str, Field(min_length=1)]


class SpecialTokens(Node):
    """Which tokens of the vocabulary do which work. Each null: as the tokenizer's files say.

    A token that is named here is one of the vocabulary, or one of `model.new_tokens`; a run with any other
    one stops before it trains. From then on it is one token wherever a text has it. The model's
    configuration, and how it generates, get its id as well; texts that ended a generation before still do.
    """

    bos: Token | None = None
    """What chat templates print as `bos_token`. What a tokenizer puts in front of plain text stays."""
    eos: Token | None = None
    """The end of a text: behind plain text, and where a chat template prints `eos_token`."""
    pad: Token | None = None
    """Fills short rows of a batch; nothing is learned from it."""
    unk: Token | None = None
    """Stands for what the vocabulary lacks, in tokenizers that need one."""


class NewTokens(Node):
    """Tokens that the vocabulary gets, in this order; those that it has stay what they are.

    Where the model has fewer rows of embeddings than the tokenizer has tokens then, they grow.
    """

    short: ClassVar[str | None] = "tokens"

    tokens: Annotated[Items[Token], Field(min_length=1)]
    """Texts, each of which becomes one token."""
    special: bool = True
    """Whether they are left out where a text is decoded without special tokens."""
    init: Literal["mean", "noise", "normal"] = "mean"
    """How their embeddings, and their rows of the output head, begin. `mean`: the mean of all rows
    before. `noise`: the same with normal noise of deviation 1 / sqrt(width), as LLaMA-Factory has it.
    `normal`: drawn as all rows of a new model are."""
    multiple: int = Field(64, ge=1)
    """Rows are added up to the next multiple of this: sizes that GPUs multiply fast. Those that no token
    has begin near the mean, or as `init` draws all."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        twice = next((text for text in self.tokens if self.tokens.count(text) > 1), None)
        if twice is not None:
            raise ValueError(f"`tokens` has {twice!r} twice")
        return self
