"""spec.model: which model is tuned, and how its weights are held."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ftspec.spec.base import Node
from ftspec.spec.rope import RoPE

DType = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2", "flash_attention_3"]


class Model(Node):
    """The model to tune: a hub id or a local folder."""

    short: ClassVar[str | None] = "name"

    name: str = Field(min_length=1, examples=["Qwen/Qwen3-4B", "./models/mine"])
    """Hub id (`org/name`) or folder. A path is relative to the spec's file."""
    revision: str = Field("main", min_length=1)
    """Branch, tag or commit of a hub model. Ignored for a local folder."""
    dtype: DType = "auto"
    """Type in which the weights are held. `auto`: float32 where all weights train (full tuning), else
    the type the checkpoint was saved in; what trains of it (partial tuning) is float32."""
    attention: Attention = "sdpa"
    """Attention implementation of transformers."""
    chat_template: str = Field("tokenizer", min_length=1)
    """`tokenizer`: the template that comes with the tokenizer. Otherwise the path of a Jinja file."""
    rope: RoPE | None = None
    """Rotary positions for rows longer than the model was trained on. null: as the model's files say.
    A result needs the same where it is used; an adapter's folder does not hold it."""
    trust_remote_code: bool = False
    """Run Python code from the model's repository. Only ever on when written here."""
