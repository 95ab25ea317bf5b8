"""Rows of Kahneman-Tversky optimisation in a script: trl's KTOConfig.

Names, defaults and formulas: trl 1.15 and 1.16, trainer/kto_config.py and kto_trainer.py. The divergence is
estimated from each prompt with the answer of the row before it, within batches of rows in their order: so
rows are not shuffled, and a batch has at least two.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ftspec.families.objectives.preference import (
    MEASURED,
    OBJECTIVE,
    UNPAIRED,
    Bar,
    pair_rows,
    reference_rows,
    trained,
    trained_by,
)
from ftspec.families.trainers import KTO
from ftspec.mapping import FieldMap, Refuse, Row, constant, field

CONFIG = KTO.prefix
PAIRED = "a prompt stands beside two answers, its own and another row's, and would be cut by both lengths"
ALONE = "beside no other row of a batch the divergence of an answer is its own gain, and nothing is learned"


def kto(sft: FieldMap, bars: Mapping[str, Bar] = MappingProxyType({})) -> FieldMap:
    """The map of a script backend for KTO, from its supervised one; ``bars`` are the backend's own."""
    rows = (trained(KTO), *pair_rows(UNPAIRED, PAIRED), *kto_rows())
    return trained_by(sft, KTO, {**MEASURED, **bars}, *rows)


def kto_rows() -> tuple[Row, ...]:
    """The fields of the objective, and what a spec's KTO always means."""
    return (
        Row(
            (f"{OBJECTIVE}loss",),
            (f"{CONFIG}loss_type",),
            _lower_loss,
            lambda loss: loss.replace("_", "-"),
            uses=("data.shuffle", "train.micro_batch_size"),
            absent=("kto",),
        ),
        field(f"{OBJECTIVE}beta", f"{CONFIG}beta", absent=0.1),
        field(f"{OBJECTIVE}desirable_weight", f"{CONFIG}desirable_weight", absent=1.0),
        field(f"{OBJECTIVE}undesirable_weight", f"{CONFIG}undesirable_weight", absent=1.0),
        *reference_rows(),
        field(
            f"{OBJECTIVE}precompute_reference", f"{CONFIG}precompute_ref_log_probs", absent=False
        ),
        constant(
            f"{CONFIG}sync_ref_model",
            False,
            "a reference that follows is not in a spec yet",
            absent=False,
        ),
        constant(f"{CONFIG}disable_dropout", True, "the reference must not be noisy", absent=True),
    )


def _lower_loss(loss: str, shuffle: bool, micro: int) -> str:
    if loss == "kto" and micro == 1:
        raise Refuse(ALONE, "never", "train.micro_batch_size: 2 or more")
    if loss == "kto" and shuffle:
        raise Refuse(
            "it measures a batch beside the answers of its other rows, and demands rows in their order",
            "notyet",
            "data.shuffle: false",
        )
    return loss.replace("-", "_")
