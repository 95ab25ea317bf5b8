"""Rows of direct preference optimisation in a script: trl's DPOConfig.

Names, defaults and formulas: trl 1.15 and 1.16, trainer/dpo_config.py and dpo_trainer.py; checked
against schemas/native/*.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ftspec.families.objectives.preference import (
    MEASURED,
    OBJECTIVE,
    Bar,
    cut_pairs,
    pair_rows,
    reference_rows,
    refuse_dropping,
    trained,
    trained_by,
)
from ftspec.families.rows.by_turns import PAIRS_CUT, WORD
from ftspec.families.rows.images import READ
from ftspec.families.rows.script_data import KEEP_END, KEEP_START, LIMIT, left_off, lift_overflow
from ftspec.families.trainers import DPO
from ftspec.mapping import MISSING, FieldMap, Refuse, Row, constant, field, replaced

CONFIG = DPO.prefix
LIKELIHOOD = "sft"
"""trl's name of the chosen answer's own likelihood among the losses that it adds up."""


def dpo(sft: FieldMap, bars: Mapping[str, Bar] = MappingProxyType({})) -> FieldMap:
    """The map of a script backend for DPO, from its supervised one; ``bars`` are the backend's own."""
    rows = replaced(pair_rows(), *dpo_rows())
    return trained_by(sft, DPO, {**MEASURED, **bars}, trained(DPO), *rows)


def dpo_rows() -> tuple[Row, ...]:
    """The fields of the objective, and what a spec's DPO always means."""
    return (
        Row(
            (f"{OBJECTIVE}loss", f"{OBJECTIVE}sft_weight"),
            (f"{CONFIG}loss_type", f"{CONFIG}loss_weights"),
            _lower_loss,
            _lift_loss,
            absent=(("sigmoid",), None),
        ),
        field(f"{OBJECTIVE}beta", f"{CONFIG}beta", absent=0.1),
        Row(
            ("data.overflow",),
            (LIMIT, f"{CONFIG}truncation_mode", PAIRS_CUT),
            _lower_overflow,
            _lift_overflow,
            uses=("data.max_prompt_length",),
            reads=(READ, f"{CONFIG}max_length"),
            absent=(None, KEEP_START, MISSING),
        ),
        Row(
            (f"{OBJECTIVE}label_smoothing",),
            (f"{CONFIG}label_smoothing",),
            _lower_smoothing,
            lambda share: share,
            uses=(f"{OBJECTIVE}loss",),
            absent=(0.0,),
        ),
        field(f"{OBJECTIVE}discopop_tau", f"{CONFIG}discopop_tau", absent=0.05),
        field(f"{OBJECTIVE}ld_alpha", f"{CONFIG}ld_alpha", absent=None),
        *reference_rows(),
        field(
            f"{OBJECTIVE}precompute_reference", f"{CONFIG}precompute_ref_log_probs", absent=False
        ),
        *(
            constant(CONFIG + name, value, reason, absent=value)
            for name, value, reason in (
                ("f_divergence_type", "reverse_kl", "other divergences are not in a spec yet"),
                ("use_weighting", False, "weights of pairs are not in a spec yet"),
                ("sync_ref_model", False, "a reference that follows is not in a spec yet"),
                ("disable_dropout", True, "the reference must not be noisy"),
                ("padding_free", False, "trl falls back from it with a warning"),
            )
        ),
    )


def _lower_overflow(overflow: str, prompt: int | None) -> Any:
    refuse_dropping(overflow)
    return MISSING, KEEP_END if left_off(overflow) else KEEP_START, cut_pairs(overflow, prompt)


def _lift_overflow(limit: Any, mode: Any, cut: Any, images: Any, length: Any) -> str:
    """What a script does to long rows: at one with images that is too long it stops."""
    if cut is not MISSING:
        return WORD
    stops = images is not MISSING and length is not None
    return "error" if stops else lift_overflow(limit, mode)


def _lower_loss(loss: str, likelihood: float) -> tuple[Any, Any]:
    name = loss.replace("-", "_")
    return ((name, LIKELIHOOD), (1.0, likelihood)) if likelihood else ((name,), MISSING)


def _lift_loss(losses: Any, weights: Any) -> tuple[str, float]:
    names = [losses] if isinstance(losses, str) else list(losses)
    shares = [1.0] * len(names) if weights is None else list(weights)
    if len(names) == len(shares) in (1, 2) and shares[0] == 1 and names[0] != LIKELIHOOD:
        if not names[1:]:
            return names[0].replace("_", "-"), 0.0
        if names[1] == LIKELIHOOD:
            return names[0].replace("_", "-"), float(shares[1])
    raise Refuse(f"the losses {names} with the weights {shares} are not in a spec", "notimpl")


def _lower_smoothing(share: float, loss: str) -> float:
    if share and loss == "sigmoid":
        raise Refuse(
            "its sigmoid loss ignores label smoothing (trainer/dpo_trainer.py)",
            "notyet",
            "method.objective.label_smoothing: 0; or method.objective.loss: robust, another formula; or "
            "run.backends: llamafactory",
        )
    return share
