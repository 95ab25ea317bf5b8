"""Single answers with a label in LLaMA-Factory: its stage `kto`.

llamafactory 0.9.5, train/kto/trainer.py, around the `kto_loss` of trl 0.24, which is trl 1.16's too. The
divergence is measured on each prompt with the answer of the row before it, within blocks of
`preprocessing_batch_size` rows (data/processor/feedback.py), whatever shares a batch with it later.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.objectives.kto import ALONE
from ftspec.families.objectives.preference import OBJECTIVE
from ftspec.mapping import MISSING, FieldMap, Refuse, Row, constant, field, unsupported
from ftspec_llamafactory.preference import ANSWERS, BARS, SCRIPTS, compared, reference_rows

BLOCK = 1000
"""Its own `preprocessing_batch_size`."""
MICRO = 8
"""transformers' `per_device_train_batch_size`, where none is said."""


def kto(sft: FieldMap) -> FieldMap:
    """The map of its stage `kto`, from the supervised one."""
    # its rows have `input_ids`, and a reason of their own against steps of like length
    bars = {path: bar for path, bar in BARS.items() if path != "data.group_by_length"}
    return compared(sft, _rows(), bars)


def _rows() -> tuple[Row, ...]:
    return (
        Row(
            ("method.objective.type",),
            ("stage", "do_train"),
            lambda _objective: ("kto", True),
            _lift_stage,
            absent=("sft", False),
        ),
        Row(
            (f"{OBJECTIVE}loss",),
            (),
            _lower_loss,
            lambda: "kto",
            uses=("train.micro_batch_size",),
        ),
        field(f"{OBJECTIVE}beta", "pref_beta", absent=0.1),
        field(f"{OBJECTIVE}desirable_weight", "kto_chosen_weight", absent=1.0),
        field(f"{OBJECTIVE}undesirable_weight", "kto_rejected_weight", absent=1.0),
        Row(
            ("data.shuffle",),
            ("disable_shuffling", "preprocessing_batch_size"),
            # in their order, rows are paired within the batch that they train in, as trl pairs them
            lambda shuffle, micro: (not shuffle, BLOCK if shuffle else micro),
            _lift_shuffle,
            uses=("train.micro_batch_size",),
            reads=("per_device_train_batch_size",),
            absent=(False, BLOCK),
        ),
        unsupported(
            "data.group_by_length",
            "rows of like length were not seen to share a step beside other rows' answers",
            "notimpl",
            (False,),
            "leave it out",
        ),
        *reference_rows(),
        constant(
            "pref_ftx", 0.0, "a mix with the answers' likelihood is not in a spec", absent=0.0
        ),
        ANSWERS,
    )


def _lift_stage(stage: str, _do_train: bool) -> str:
    if stage != "kto":
        raise Refuse(f"stage: {stage} learns from no labels", "never")
    return stage


def _lower_loss(loss: str, micro: int) -> tuple[()]:
    if loss != "kto":
        raise Refuse("it trains the loss kto alone: no key names another", "notyet", SCRIPTS)
    if micro == 1:
        raise Refuse(ALONE, "never", "train.micro_batch_size: 2 or more")
    return ()


def _lift_shuffle(in_order: bool, block: int, given: Any) -> bool:
    micro = MICRO if given is MISSING else given
    if block != (micro if in_order else BLOCK):
        raise Refuse(
            f"prompts are paired with other rows' answers in blocks of {block} rows, and a spec knows "
            f"those of a batch ({micro}) and, of shuffled rows, of {BLOCK}",
            "notimpl",
        )
    return not in_order
