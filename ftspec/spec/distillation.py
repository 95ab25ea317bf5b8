"""Objectives that learn from another model: from its probabilities, or from what it writes."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Node, StageName


class GKD(Node):
    """Generalised knowledge distillation: the model learns the probabilities of a teacher, token by token.

    The teacher has the same vocabulary. Both read the data's answers, or answers that one of them writes
    during training (https://arxiv.org/abs/2306.13649).
    """

    type: Literal["gkd"] = "gkd"
    teacher: str | None = Field(None, min_length=1, examples=["Qwen/Qwen3-8B"])
    """The model to learn from: a folder or a hub id. It has to be named, or its stage."""
    teacher_stage: StageName | None = None
    """In a file of stages: an earlier stage whose model is the teacher, in place of `teacher`. An adapter
    that it leaves is added to its base first."""
    teacher_revision: str = Field("main", min_length=1)
    """Branch, tag or commit of the teacher on the hub."""
    divergence: float = Field(0.5, ge=0, le=1)
    """What is made of both probabilities: 0 is the divergence from the teacher to the model (all that the
    teacher may say), 1 that from the model to the teacher (only what it would say), between them the
    generalised Jensen-Shannon divergence with this weight; the paper's beta."""
    on_policy: float = Field(0.0, ge=0, le=1)
    """Share of micro-batches whose answers the model writes itself, drawn by chance; the paper's lambda. Of
    others, the data's answers are read. Above 0 the divergence is the mean over the tokens of each
    micro-batch, and micro-batches count alike, however long their answers; at 0 (and without
    `teacher_writes`) every token of a step counts alike."""
    teacher_writes: bool = False
    """Of the other micro-batches, the teacher writes the answers anew (sequence-level distillation)."""
    temperature: float = Field(0.9, gt=0)
    """Of what is written during training. The divergence is taken at temperature 1. What else the writing
    model's own `generation_config.json` says, such as a repetition penalty, holds as well."""
    max_new_tokens: int = Field(128, ge=1)
    """Longest answer that is written during training, in tokens."""

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if self.teacher is not None and self.teacher_stage is not None:
            raise ValueError("`teacher` and `teacher_stage` exclude each other: keep one")
        if self.teacher_stage is not None and self.teacher_revision != "main":
            raise ValueError("`teacher_revision` belongs to a `teacher` on the hub, not to a stage")
        return self
