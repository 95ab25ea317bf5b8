"""spec.train.qat: weights that learn to be rounded."""

from typing import ClassVar, Literal

from pydantic import Field

from ftspec.spec.base import Node


class QAT(Node):
    """Quantisation-aware training: `qat: int4` means `{weights: int4}`.

    In every forward pass, linear layers but the head round their weights as they will be rounded after
    training. Weights stay whole, and so does the result; `output.quantization: qat` rounds it.
    """

    short: ClassVar[str | None] = "weights"

    weights: Literal["int4", "int8"]
    """Whole numbers of 4 or 8 bits, symmetric around zero."""
    group_size: int | None = Field(32, ge=1)
    """Weights of a row that share a scale; it divides the layers' inputs. null: a whole row."""
    activations: Literal["int8"] | None = None
    """Round the inputs of these layers too, token by token. null: they stay as they are."""
