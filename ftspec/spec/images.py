"""spec.model.images: a model that reads images beside text, and which parts of it train."""

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ftspec.spec.base import Items, Node

Part = Literal["language", "projector", "vision"]
PARTS: tuple[Part, ...] = ("language", "projector", "vision")
"""The language model with its head; what carries images over into it; what looks at them."""


class Images(Node):
    """Images in the rows: a column `images` holds them, or paths of files beside the data file.

    `<image>` in a text says where each stands, or a part `{type: image}` of a content that is a list of
    parts; where a row says nothing, its images stand before the first turn of the user.
    """

    short: ClassVar[str | None] = "train"

    train: Items[Part] = Field(("language",), min_length=1)
    """Which parts train: `language`, the language model with its head; `projector`, what carries images
    over into it; `vision`, what looks at them. Of an adapter: which get it. The others stay as they are."""
    max_pixels: int | None = Field(None, ge=1, examples=[589824])
    """An image with more pixels (width x height) is made smaller, in its own proportions, before the
    model's processor gets it. null: only the processor makes it smaller."""
    min_pixels: int | None = Field(None, ge=1, examples=[1024])
    """An image with fewer pixels is made larger, in its own proportions. null: only by the processor."""
    max_width: int | None = Field(None, ge=1, examples=[512])
    """An image that is wider is made so wide, in its own proportions, before all else: Unsloth's `resize`.
    null: by its pixels alone."""
    square: int | None = Field(None, ge=1, examples=[336])
    """An image is then fit into a square of so many pixels a side, in its own proportions, and black fills
    the rest. null: it keeps its form."""
    learned: bool = True
    """Where all of a conversation is learned (`data.train_on: all`): whether the tokens that stand for an
    image are learned as well, as trl and LLaMA-Factory have it. false: the text alone, as in Unsloth and in
    most collators of scripts."""

    @field_validator("train")
    @classmethod
    def _in_order(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        return tuple(part for part in PARTS if part in parts)

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        if self.min_pixels and self.max_pixels and self.min_pixels > self.max_pixels:
            raise ValueError("`min_pixels` is at most `max_pixels`")
        return self
