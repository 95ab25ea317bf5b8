"""Rows for mixtures of experts: model/model_utils/moe.py of llamafactory 0.9.5.

The balance loss is left to the model's own forward pass, whose loss the trainer adds up: once for each
pass of a step, and once for each device. trl takes the mean of both.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.weights.experts import refuse_smoothing
from ftspec.mapping import Lossy, Refuse, Row, unsupported

KNOWN = (
    *("ernie4_5_moe", "granitemoe", "jamba", "llama4", "mixtral", "olmoe", "phimoe"),
    *("qwen2_moe", "qwen3_moe"),
)
"""Architectures whose balance loss it switches on; others train without, and nothing says so."""
DIGITS = 15
"""A coefficient of no more digits comes back from a division as it was."""


def expert_rows() -> tuple[Row, ...]:
    """The section `model.experts`."""
    return (
        Row(
            ("model.experts.balance_loss",),
            ("moe_aux_loss_coef",),
            _lower_balance,
            _lift_balance,
            uses=(
                *("derived.accumulation_steps", "derived.processes", "derived.model_type"),
                *("derived.router_logits", "train.eval_steps", "train.label_smoothing"),
                "method.objective.loss",
            ),
            reads=("gradient_accumulation_steps", "launch.processes", "launch.nodes"),
            absent=(None,),
        ),
        unsupported(
            "model.experts.freeze_router",
            "all weights train in its full tuning",
            neutral=(False,),
            hint="method.tuner.type: partial trains what is named",
        ),
    )


def _lower_balance(
    weight: float | str,
    passes: int,
    devices: int,
    kind: str | None,
    own: bool,
    evaluated: Any,
    smoothing: float,
    loss: str | None,
) -> Any:
    if not weight:
        if own:
            raise Refuse(
                "it leaves on the balance loss that the model's own config.json switches on",
                "notyet",
                "output_router_logits: false in a copy of the config.json",
            )
        return None
    if kind is not None and kind not in KNOWN:
        raise Refuse(f"it adds no balance loss to models of the type {kind}, and says nothing")
    refuse_smoothing(weight, smoothing)
    if loss in ("dft", "eaft", "asft"):
        raise Refuse(f"its {loss.upper()} loss leaves the balance loss out, and nothing says so")
    if not isinstance(weight, int | float):
        raise Refuse(
            "it takes the weight as a number, and the model's files are not here",
            "notyet",
            "model.experts.balance_loss: the router_aux_loss_coef of its config.json",
        )
    native = weight / (passes * devices)
    doubts = [
        ""
        if kind
        else f"it adds the balance loss to these types of models only: {', '.join(KNOWN)}",
        ""
        if passes == 1
        else "where rows run out before a step has all its passes, that step has less "
        "of the balance loss",
        ""
        if passes * devices == 1 or evaluated is None
        else "the balance loss counts less in its evaluation",
    ]
    reason = "; ".join(filter(None, doubts))
    return Lossy(native, reason) if reason else native


def _lift_balance(native: float | None, passes: Any, processes: Any, nodes: Any) -> float:
    times = (passes or 1) * (processes or 1) * (nodes or 1)
    return float(f"{(native or 0.0) * times:.{DIGITS}g}")
