"""spec.model: which model is tuned, and how its weights are held."""

import difflib
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Node
from ftspec.spec.chat_templates import NAMED, SWITCH, THINKING
from ftspec.spec.experts import Experts
from ftspec.spec.images import Images
from ftspec.spec.rope import RoPE
from ftspec.spec.tokens import NewTokens, SpecialTokens

DType = Literal["auto", "float32", "bfloat16", "float16"]
RESERVED = frozenset(
    {
        "messages", "conversation", "tools", "documents", "chat_template", "add_generation_prompt",
        "continue_final_message", "tokenize", "padding", "truncation", "max_length", "return_tensors",
        "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs",
    }
)  # fmt: skip
"""Names that `apply_chat_template` of transformers has uses of its own for."""
Attention = Literal["sdpa", "eager", "flash_attention_2", "flash_attention_3"]


class Quantization(Node):
    """Linear layers rounded to few bits while they are loaded, by bitsandbytes; only adapters train."""

    short: ClassVar[str | None] = "type"

    type: Literal["nf4", "fp4", "int8"]
    """nf4: 4 bits spaced like a normal distribution (QLoRA, https://arxiv.org/abs/2305.14314). fp4:
    4-bit floats. int8: 8 bits, with outliers of the inputs apart (https://arxiv.org/abs/2208.07339)."""
    double: bool = True
    """4 bits only: quantise the constants of each block of 64 weights too. Saves 0.4 bits per weight."""
    storage: Literal["uint8", "bfloat16", "float16", "float32"] | None = None
    """4 bits only: the type as which packed weights are stored; it changes no size. A new adapter's
    first values are rounded to it where it is a float. null: the type of the arithmetic, or the only
    one that a backend has."""
    experts: bool = False
    """4 bits only: a mixture's experts too, which transformers holds in tensors of three dimensions and
    not in linear layers. They are most of its weights; without it they stay whole."""

    @model_validator(mode="after")
    def _four_bits(self) -> Self:
        asked = {"double": self.double, "storage": self.storage, "experts": self.experts}
        idle = [name for name in self.model_fields_set & {*asked} if asked[name]]
        if self.type == "int8" and idle:
            names = ", ".join(f"`{name}`" for name in sorted(idle))
            raise ValueError(f"{names} would have no effect: int8 has neither")
        return self


UNPACKED = ("fp8", "mxfp4")
"""Stored kinds that can be turned back into whole weights while they are loaded."""


class Stored(Node):
    """How a checkpoint holds its weights that was quantised before, by somebody else."""

    short: ClassVar[str | None] = "type"

    type: Literal["gptq", "awq", "fp8", "mxfp4", "hqq", "aqlm", "eetq"]
    """What config.json calls `quant_method`. gptq and awq: 4 bits, adapters train over them as they are.
    fp8: 8-bit floats with a scale for each square block (DeepSeek, Qwen3). mxfp4: 4-bit floats with a scale
    for each 32 (gpt-oss). hqq, aqlm, eetq: no backend trains over them, and each says why."""
    dequantize: bool = False
    """Turn the weights back into whole ones, in `model.dtype`, while they are loaded: two to four times the
    memory, and then all that can be done with whole weights. fp8 and mxfp4 alone, which train in no other
    way."""

    @model_validator(mode="after")
    def _can_be_unpacked(self) -> Self:
        if self.dequantize and self.type not in UNPACKED:
            raise ValueError(
                f"`dequantize` is for {' and '.join(UNPACKED)}: weights in {self.type} are unpacked in each "
                "product alone"
            )
        return self


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
    quantization: Quantization | None = None
    """Hold the linear layers but the head in few bits: `nf4` for QLoRA. null: as they are stored.
    `quantization: nf4` means `{type: nf4}`."""
    stored: Stored | None = None
    """A checkpoint that is quantised already: in which way. null: what config.json of a local model says;
    for a hub model, that its weights are whole. `stored: awq` means `{type: awq}`."""
    attention: Attention = "sdpa"
    """Attention implementation of transformers."""
    chat_template: str = Field("tokenizer", min_length=1)
    """`tokenizer`: the template that comes with the tokenizer. Or a name that LLaMA-Factory has, for the
    same text in every backend: `chatml`, `llama3`, `qwen3`, `gemma` and
    [others](#chat-templates-by-name). Or the path of a Jinja file, which ends in `.jinja` or `.j2`."""
    template_options: dict[str, bool | int | float | str] = Field(
        default_factory=dict, examples=[{"enable_thinking": False}]
    )
    """Values that the chat template reads beside the conversation, such as `{enable_thinking: false}` of
    Qwen3 or `{reasoning_effort: low}` of gpt-oss. Each is a name that the template reads."""
    special_tokens: SpecialTokens = SpecialTokens()
    """Which tokens begin, end and fill texts, where they are not those that the tokenizer's files name."""
    new_tokens: NewTokens | None = None
    """Tokens that the tokenizer lacks: `new_tokens: ["<tool>", "</tool>"]`. null: none. Where all weights
    train, their embeddings do; beside adapters only those of `method.tuner.modules_to_save`."""
    rope: RoPE | None = None
    """Rotary positions for rows longer than the model was trained on. null: as the model's files say.
    A result needs the same where it is used; an adapter's folder does not hold it."""
    experts: Experts = Experts()
    """Mixture of experts."""
    images: Images | None = None
    """The model reads images, and the rows have some. null: it is trained on text alone. `images: language`
    means `{train: language}`."""
    trust_remote_code: bool = False
    """Run Python code from the model's repository. Only ever on when written here."""

    @model_validator(mode="after")
    def _template_is_known(self) -> Self:
        # trl takes any other name for a model whose template, and tokens, it copies (sft_trainer.py)
        known = ("tokenizer", *NAMED)
        if self.chat_template not in known and not self.chat_template.endswith((".jinja", ".j2")):
            near = difflib.get_close_matches(self.chat_template, known, 3) or ("chatml", "llama3")
            raise ValueError(
                "`chat_template` is tokenizer, a file that ends in .jinja or .j2, or a name of "
                f"docs/spec.md#chat-templates-by-name, such as {', '.join(near)}"
            )
        return self

    @model_validator(mode="after")
    def _options_are_free(self) -> Self:
        for name in self.template_options:
            if name in RESERVED or not name.isidentifier():
                raise ValueError(f"`template_options` cannot name {name!r}: no template reads it")
        if self.chat_template in NAMED:
            read = {SWITCH} if self.chat_template in THINKING else set()
            if idle := sorted(self.template_options.keys() - read):
                raise ValueError(
                    f"`template_options` {idle[0]} would have no effect: the template {self.chat_template} "
                    f"reads {SWITCH if read else 'none'}"
                )
        return self
