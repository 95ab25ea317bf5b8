"""Preferences in LLaMA-Factory: its stage `dpo`, and what it shares with others.

llamafactory 0.9.5, train/dpo/trainer.py and workflow.py, around the DPOTrainer of trl 0.24, whose
`dpo_loss` it calls without a loss type: whatever `pref_loss` says, that is the sigmoid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ftspec.families.objectives.preference import MEASURED, OBJECTIVE, Bar, barred
from ftspec.mapping import (
    MISSING,
    FieldMap,
    Refuse,
    Row,
    constant,
    field,
    only,
    ours,
    replaced,
    unsupported,
)

IN_NAME_ONLY = ("hinge", "ipo")
"""Losses that its `pref_loss` takes."""
FREE = ("orpo", "simpo")
"""Objectives of the stage that have no reference: it names them by `pref_loss` too."""
SCRIPTS = "run.backends: trl, unsloth or deepspeed"
BARS = {
    **MEASURED,
    "model.experts.balance_loss": Bar(
        lambda weight: not weight,
        "its stages dpo and kto never add a balance loss: it takes the model's logits, not its loss",
        hint=SCRIPTS,
    ),
}


ANSWERS = Row(("data.train_on",), (), lambda _what: (), lambda: "completions")
"""Which tokens count is no choice where answers are compared."""


def dpo(sft: FieldMap) -> FieldMap:
    """The map of its stage `dpo`, from the supervised one."""
    return compared(sft, _rows())


def compared(sft: FieldMap, own: Iterable[Row], bars: Mapping[str, Bar] = BARS) -> FieldMap:
    """The map of an objective that compares answers: the supervised rows with its ``own``."""
    rows = (row for row in sft.rows if not _of_sft(row))
    return FieldMap(sft.backend, barred(replaced(rows, *own), bars))


def _of_sft(row: Row) -> bool:
    """Whether a row speaks of demonstrations alone."""
    of_it = bool(row.paths) and row.paths[0].startswith(OBJECTIVE)
    return of_it or "use_dft_loss" in row.keys


def _rows() -> tuple[Row, ...]:
    return (
        Row(
            ("method.objective.type",),
            ("stage", "do_train"),
            lambda _objective: ("dpo", True),
            _lift_stage,
            reads=("pref_loss",),
            absent=("sft", False),
        ),
        Row(
            (f"{OBJECTIVE}loss",),
            ("pref_loss",),
            _lower_loss,
            _lift_loss,
            absent=("sigmoid",),
        ),
        field(f"{OBJECTIVE}beta", "pref_beta", absent=0.1),
        field(f"{OBJECTIVE}label_smoothing", "dpo_label_smoothing", absent=0.0),
        Row(
            (f"{OBJECTIVE}sft_weight",),
            ("pref_ftx",),
            lower_likelihood,
            lambda weight: weight,
            uses=("train.micro_batch_size",),
            absent=(0.0,),
        ),
        unsupported(
            f"{OBJECTIVE}discopop_tau", "it has no such loss", neutral=(0.05,), hint=SCRIPTS
        ),
        Row(
            (f"{OBJECTIVE}ld_alpha",),
            ("ld_alpha",),
            _lower_lengths,
            _lift_lengths,
            absent=(None,),
        ),
        *reference_rows(),
        constant("pref_bco_weight", 0.0, "a mix with its BCO loss is not in a spec", absent=0.0),
        ANSWERS,
    )


def reference_rows() -> tuple[Row, ...]:
    """The model that answers are measured from, and an adapter that trains on."""
    return (
        unsupported(
            f"{OBJECTIVE}precompute_reference",
            "it measures the reference anew at every step",
            neutral=(False,),
            hint="method.objective.precompute_reference: false, which gives the same loss",
        ),
        *ours(f"{OBJECTIVE}reference_stage"),
        Row(
            (f"{OBJECTIVE}reference",),
            ("ref_model",),
            _lower_reference,
            lambda name: name,
            uses=(
                *("method.tuner.type", "precision.compute", "derived.stored_dtype"),
                *("model.dtype", "derived.reference_dtype", "model.revision"),
            ),
            absent=(None,),
        ),
        *only("method.tuner.type", "lora", _adapter_row()),
    )


def _lift_stage(stage: str, _do_train: bool, loss: Any) -> str:
    if stage != "dpo":
        raise Refuse(f"stage: {stage} learns from no pairs", "never")
    if loss in FREE:
        raise Refuse(f"pref_loss: {loss} is another objective", "never")
    return "dpo"


def _lower_loss(loss: str) -> str:
    if loss in IN_NAME_ONLY:
        raise Refuse(
            f"it takes pref_loss: {loss} and trains the sigmoid loss (train/dpo/trainer.py)",
            "notyet",
            SCRIPTS,
        )
    if loss != "sigmoid":
        raise Refuse("it has no such loss", "notyet", SCRIPTS)
    return loss


def _lift_loss(loss: str) -> str:
    if loss != "sigmoid":
        raise Refuse(
            f"with pref_loss: {loss} it trains the sigmoid loss: which of them is meant?", "never"
        )
    return loss


def lower_likelihood(weight: float, micro: int) -> float:
    if weight and micro > 1:
        raise Refuse(
            "it adds the mean of each answer's own mean over its tokens, not the mean over all tokens",
            "notyet",
            "train.micro_batch_size: 1",
        )
    return weight


def _lower_lengths(alpha: float | None) -> Any:
    if alpha is not None:
        raise Refuse("its ld_alpha weighs the model alone, not the reference", "notyet", SCRIPTS)
    return MISSING


def _lift_lengths(alpha: float | None) -> None:
    if alpha is not None:
        raise Refuse("its ld_alpha weighs the model alone, not the reference")


def _lower_reference(
    name: str | None,
    tuner: str,
    compute: str,
    stored: str | None,
    dtype: str,
    other: str | None,
    revision: str,
) -> Any:
    if name is None and tuner == "lora":
        return MISSING  # the base model, with the adapter switched off
    kept = stored if name is None else other
    if compute != "fp32" or (kept != "float32" and dtype != "auto"):
        raise Refuse(
            "it holds a reference of its own as the checkpoint stores it, and in the type of the "
            "arithmetic",
            "notyet",
            "method: lora; or precision: fp32, and a checkpoint in float32",
        )
    if name is not None and revision != "main":
        raise Refuse("it would look for the reference at the model's revision", "notyet")
    return MISSING if name is None else name


def _adapter_row() -> Row:
    """A saved adapter, trained further: it would measure from the base, trl from the adapter."""

    def lower(adapter: str | None, reference: str | None) -> Any:
        if adapter is None:
            return MISSING, MISSING
        if reference is None:
            raise Refuse(
                "it would measure from the base model without the adapter, not from where training "
                "begins",
                "notyet",
                "method.objective.reference names one; or run.backends: trl or deepspeed",
            )
        return adapter, False

    return Row(
        ("method.tuner.adapter",),
        ("adapter_name_or_path", "create_new_adapter"),
        lower,
        lambda adapter, _new: adapter,
        uses=(f"{OBJECTIVE}reference",),
        absent=(None, False),
    )
