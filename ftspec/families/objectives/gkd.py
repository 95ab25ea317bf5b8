"""Rows of distillation in a script: trl's experimental GKDConfig, around SFTTrainer.

trl 1.15 and 1.16, experimental/gkd. Rows are conversations, whose last answer is learned; of a row that is
too long the LAST tokens are kept. The divergence is taken at temperature 1 whatever `temperature` says. It
is divided by the tokens of the data's answers in a step, also where other answers are written in their
place, which is no mean of anything: scripts whose answers are written tell the trainer not to count. It
then takes the mean over the tokens of each micro-batch, and transformers' Trainer that of the micro-batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ftspec.families.objectives.preference import (
    OBJECTIVE,
    UNSEEN_INIT,
    Bar,
    source_rows,
    trained,
    trained_by,
)
from ftspec.families.objectives.supervised import SHAPE
from ftspec.families.rows.datasets import context
from ftspec.families.trainers import GKD
from ftspec.mapping import MISSING, FieldMap, Refuse, Row, constant, field, ours

CONFIG = GKD.prefix
TEACHER = "model.teacher"
"""Native pseudo-key: the model to learn from, which the trainer loads."""
REVISION = "model.teacher_revision"
MESSAGES = "messages"
OVER_WRITTEN = "train.over_written"
"""Native pseudo-key: whether the divergence is divided by the tokens that were read, micro-batch by
micro-batch, and not by those of the data."""
COUNTS = "trainer.model_accepts_loss_kwargs"
"""The attribute of transformers' Trainer by which a script says it."""
BY_WRITTEN = """\
# The tokens of a step are counted before answers are written; without, each micro-batch has its own mean
trainer.model_accepts_loss_kwargs = False
"""


def _nothing(value: Any) -> bool:
    return not value


BARS: Mapping[str, Bar] = {
    "method.tuner.type": Bar(
        lambda kind: kind in ("full", "lora"),
        "of all tuners only full tuning and LoRA were seen to learn from a teacher",
        "notimpl",
        "method.tuner.type: lora",
    ),
    "method.tuner.adapter": Bar(
        lambda adapter: adapter is None,
        "a saved adapter was not seen to learn from a teacher",
        "notimpl",
        "merge the adapter first",
    ),
    "method.tuner.init.type": UNSEEN_INIT,
    "method.tuner.plus_ratio": Bar(
        lambda ratio: ratio is None, "LoRA+ was not seen to learn from a teacher", "notimpl"
    ),
    "method.tuner.dropout": Bar(
        _nothing, "its trainer switches dropout off, also in the adapter", hint="leave it out"
    ),
    "model.quantization.type": Bar(
        lambda kind: kind is None,
        "distillation into a quantised base is not compiled yet",
        "notimpl",
        "leave model.quantization out",
    ),
    "model.experts.balance_loss": Bar(
        _nothing, "its loss is the divergence alone, and leaves the balance loss out"
    ),
    "train.label_smoothing": Bar(
        _nothing, "its loss has no labels that could be smoothed", "never"
    ),
    "train.neftune_alpha": Bar(
        _nothing, "noise was not seen beside a teacher", "notimpl", "leave it out"
    ),
    "data.packing": Bar(
        lambda packing: packing is None,
        "its collator puts each row into a row of its own",
        "notyet",
        "data.packing: null",
    ),
    "data.group_by_length": Bar(
        _nothing,
        "rows of like length were not seen to share a step beside a teacher",
        "notimpl",
        "leave it out",
    ),
    "data.prepare": Bar(
        lambda who: who == "framework",
        "its collator renders conversations itself; no rows are handed over to it yet",
        "notimpl",
        "data.prepare: framework",
    ),
    "data.max_length": Bar(
        lambda length: length is not None,
        "without a limit its collator takes one of its own, of 1024 tokens at most "
        "(trl/experimental/utils.py)",
        hint="data.max_length: a number",
    ),
    "data.overflow": Bar(
        lambda overflow: overflow in ("drop", "error"),
        "it keeps the last tokens of a long row, and of its prompt by itself",
        "notyet",
        "data.overflow: drop or error",
    ),
    "model.chat_template": Bar(
        lambda template: template == "tokenizer",
        "its collator takes no template beside the tokenizer's own",
        "notimpl",
        "save the template with the tokenizer",
    ),
    "hardware.tensor_parallel": Bar(
        lambda share: share == 1,
        "a teacher was never seen beside layers that are cut over devices",
        "notimpl",
    ),
    "hardware.sequence_parallel": Bar(
        lambda share: share == 1, "a teacher was never seen beside split rows", "notimpl"
    ),
}
"""What distillation refuses in every script."""


def gkd(sft: FieldMap, bars: Mapping[str, Bar] = MappingProxyType({})) -> FieldMap:
    """The map of a script backend for distillation, from its supervised one."""
    return trained_by(sft, GKD, {**BARS, **bars}, trained(GKD), *gkd_rows())


def gkd_rows() -> tuple[Row, ...]:
    """The fields of the objective, and what is otherwise than with demonstrations."""
    return (
        Row(
            (f"{OBJECTIVE}teacher",),
            (TEACHER,),
            _lower_teacher,
            lambda name: name,
        ),
        *ours(f"{OBJECTIVE}teacher_stage"),
        field(f"{OBJECTIVE}teacher_revision", REVISION, absent="main"),
        field(f"{OBJECTIVE}divergence", f"{CONFIG}beta", absent=0.5),
        Row(
            (f"{OBJECTIVE}on_policy", f"{OBJECTIVE}teacher_writes"),
            (f"{CONFIG}lmbda", f"{CONFIG}seq_kd", OVER_WRITTEN),
            lambda share, teacher: (share, teacher, bool(share or teacher) or MISSING),
            _lift_written,
            absent=(0.5, False, MISSING),
        ),
        field(f"{OBJECTIVE}temperature", f"{CONFIG}temperature", absent=0.9),
        field(f"{OBJECTIVE}max_new_tokens", f"{CONFIG}max_new_tokens", absent=128),
        constant(f"{CONFIG}disable_dropout", True, "both models read the same", absent=True),
        *source_rows(_lower_sources),
        Row(("data.prepare",), ("data.prepare",), lambda who: who, lambda who: who),
        Row(("data.train_on",), (SHAPE,), lambda _what: MESSAGES, lambda _shape: "completions"),
    )


def _lower_teacher(name: str | None) -> str:
    if name is None:
        raise Refuse("there is no teacher to learn from", "never", "name one")
    return name


def _lift_written(share: float, teacher: bool, over_written: Any) -> tuple[float, bool]:
    if bool(share or teacher) != (over_written is True):
        raise Refuse(
            "the divergence of written answers is divided by the tokens of the data's answers",
            "never",
            f"{COUNTS} = False",
        )
    return share, teacher


def _lower_sources(sources: tuple[dict[str, Any], ...]) -> Any:
    if any(source["format"] == "prompt-completion" for source in sources):
        raise Refuse(
            "its collator reads whole conversations, not a prompt and a completion",
            "notyet",
            "rows like messages",
        )
    if sources:
        context(sources, MESSAGES, "")  # refuses what one statement cannot load
    return sources
