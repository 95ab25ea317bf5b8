"""What a stage may have written before it trains: a teacher's answers to prompts."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Items, Node, StageName
from ftspec.spec.data import SUFFIXES


class Writing(Node):
    """A teacher writes answers to prompts, once, into a file that this stage trains on.

    That is distillation from what a teacher says (https://arxiv.org/abs/1606.07947), by a teacher of any
    vocabulary; `gkd` learns from its probabilities.
    """

    short: ClassVar[str | None] = None

    teacher: str | None = Field(None, min_length=1, examples=["Qwen/Qwen3-8B"])
    """The model that writes: a folder or a hub id."""
    teacher_stage: StageName | None = None
    """An earlier stage whose model writes, in place of `teacher`. An adapter that it leaves is added to its
    base first."""
    revision: str = Field("main", min_length=1)
    """Branch, tag or commit of the teacher on the hub."""
    trust_remote_code: bool = False
    """Run Python code that the teacher's repository ships."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The type of its weights; `auto`: as they are stored."""
    prompts: Items[str] = Field(min_length=1, examples=["data/prompts.jsonl"])
    """Local files with a column `prompt`: a text, or a list of messages. Relative to the spec."""
    system: str | None = Field(None, min_length=1)
    """System prompt for prompts that begin with none. It stands in the file as well."""
    completions: int = Field(1, ge=1)
    """Answers to each prompt."""
    max_new_tokens: int = Field(512, ge=1)
    """Tokens after which an answer is cut off."""
    keep_cut: bool = False
    """Whether answers that were cut off are kept. A model that learns from them does not learn to end."""
    temperature: float = Field(0.7, ge=0)
    """Below 1: likelier tokens more often. 0: always the likeliest one."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Only the likeliest tokens that together have this probability are drawn. 1: all."""
    top_k: int = Field(0, ge=0)
    """Only so many of the likeliest tokens are drawn. 0: all."""
    batch_size: int = Field(8, ge=1)
    """Answers that are written at once. Rows of a batch are padded, which rounds probabilities otherwise."""
    seed: int = Field(42, ge=0, lt=2**32)
    """Of the random numbers that answers are drawn with."""

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if (self.teacher is None) == (self.teacher_stage is None):
            raise ValueError(
                "who writes is a `teacher` or a `teacher_stage`: one of them is needed"
            )
        if self.teacher_stage is not None and self.revision != "main":
            raise ValueError("`revision` belongs to a `teacher` on the hub, not to a stage")
        for path in self.prompts:
            if not path.lower().endswith(tuple(SUFFIXES)):
                raise ValueError(f"a file of `prompts` ends in one of {', '.join(SUFFIXES)}")
        if len({path.rpartition(".")[2].lower() for path in self.prompts}) > 1:
            raise ValueError("files of `prompts` are all of one kind")
        if self.completions > 1 and self.temperature == 0:
            raise ValueError("at `temperature` 0 all `completions` of a prompt would be the same")
        return self
