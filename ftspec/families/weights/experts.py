"""Rows for mixtures of experts in a script: trl's balance loss, and the router's weights.

trl 1.15 and 1.16, trainer/sft_trainer.py: the loss is averaged over the passes of a step and over the
devices, and a coefficient that is given outweighs the model's own.
"""

from __future__ import annotations

import ast
from typing import Any

from ftspec.families.scripts.unify import match_all, patterns
from ftspec.mapping import MISSING, Refuse, Row

FROZEN = "model.router_frozen"
"""Native pseudo-key: the router is frozen by statements."""
FREEZE = """\
routers = [
    module for name, module in trainer.model.named_modules() if name.endswith((".gate", ".router"))
]
assert routers, "the model has no router"
for router in routers:
    router.requires_grad_(False)
"""
"""After the trainer has the model, before it makes the optimizer. transformers calls a router `gate`
(Mixtral, Qwen, OLMoE, DeepSeek) or `router` (gpt-oss, Llama 4, Jamba, PhiMoE)."""


def expert_rows(prefix: str) -> tuple[Row, ...]:
    """The section `model.experts`; ``prefix`` names the call of the trainer's arguments."""
    return (
        Row(
            ("model.experts.balance_loss",),
            (f"{prefix}router_aux_loss_coef",),
            _lower_balance,
            lambda weight: "model" if weight is None else weight,
            uses=(
                "train.label_smoothing",
                "method.objective.prompt_weight",
                "method.objective.loss",
            ),
            # without the key it is the model's own weight too, which only mixtures have
            absent=(MISSING,),
        ),
        Row(
            ("model.experts.freeze_router",),
            (FROZEN,),
            lower_freezing,
            lambda frozen: frozen,
            uses=("method.tuner.type",),
            absent=(False,),
        ),
    )


def _lower_balance(
    weight: float | str, smoothing: float, of_prompts: float | None, loss: str | None
) -> Any:
    refuse_smoothing(weight, smoothing)
    if weight and loss in ("eaft", "asft"):
        raise Refuse(
            f"the trainer of the loss {loss} does not add the balance loss",
            "notimpl",
            "method.objective.loss: nll",
        )
    if weight and of_prompts:
        raise Refuse(
            "the trainer that weighs prompt tokens does not add the balance loss",
            "notimpl",
            "method.objective.prompt_weight: 0",
        )
    return None if weight == "model" else weight


def refuse_smoothing(weight: float | str, smoothing: float) -> None:
    """transformers and trl both leave the balance loss out where they smooth labels themselves."""
    if weight and smoothing:
        raise Refuse(
            "a loss with smoothed labels leaves the balance loss out, and nothing says so",
            "notyet",
            "train.label_smoothing: 0",
        )


def lower_freezing(freeze: bool, tuner: str) -> bool:
    """Whether statements are needed; only full tuning reaches a router by itself."""
    if freeze and tuner != "full":
        raise Refuse(
            f"the {tuner} tuner names what trains: a router that is not named stays as it is",
            "never",
            "leave it out, or method: full",
        )
    return freeze


def read_freezing(tree: ast.Module) -> dict[str, Any]:
    """The native value of these statements; nothing where they are missing."""
    length = len(patterns(FREEZE))
    parts = (tree.body[start : start + length] for start in range(len(tree.body)))
    return {FROZEN: True} if any(match_all(FREEZE, part) is not None for part in parts) else {}
