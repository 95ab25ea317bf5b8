"""Adapters in bfloat16: a statement of a script, after the trainer is made.

peft makes float32 of an adapter over a base in 16 bits (0.18.1, tuners_utils.py, `cast_adapter_dtype`), and
no argument of a trainer says otherwise. The optimizer is made later, so its states are bfloat16 as well.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Refuse, Row

ADAPTERS = "precision.adapters"
"""Native pseudo-key: what trains beside a frozen base is bfloat16 too."""
HELD = """\
# What trains beside the frozen base is bfloat16 as well
for parameter in trainer.model.parameters():
    if parameter.requires_grad:
        parameter.data = parameter.data.to(torch.bfloat16)
"""
SEEN = ("sft", "cpt", "dpo")
SHARDING = "hardware.fsdp.sharding_strategy"
USES = ("method.objective.type", SHARDING, "method.tuner.init.type", "method.tuner.plus_ratio")


def with_adapters(row: Row) -> Row:
    """The row of the arithmetic, with `bf16-pure` for LoRA."""

    def lower(compute: str, device: str, tuner: str, dtype: str, *others: Any) -> tuple[Any, ...]:
        if compute != "bf16-pure" or tuner != "lora":
            return (*row.lower(compute, device, tuner, dtype), MISSING)
        _refuse(*others)
        return False, False, True

    def lift(bf16: Any, fp16: Any, held: Any, *reads: Any) -> Any:
        return "bf16-pure" if held else row.lift(bf16, fp16, *reads)

    return replace(
        row,
        keys=(*row.keys, ADAPTERS),
        lower=lower,
        lift=lift,
        uses=(*row.uses, *USES),
        absent=(*row.absent, None),
    )


def read_adapters(tree: ast.Module) -> Mapping[str, Any]:
    """The native value of the statement."""
    return {ADAPTERS: True} if any(match(HELD, node) is not None for node in tree.body) else {}


def _refuse(objective: str, sharding: str | None, init: str | None, plus: float | None) -> None:
    if objective not in SEEN:
        reason = "adapters in bfloat16 were seen in supervised training and DPO alone"
        raise Refuse(reason, "notimpl", "precision: bf16, and model.dtype: bfloat16 for the base")
    if sharding is not None:
        raise Refuse(
            "adapters in bfloat16 were not seen under FSDP", "notimpl", "hardware.fsdp: null"
        )
    if init not in (None, "default", "gaussian"):
        reason = "this beginning of adapters calculates with float32, and was not seen in bfloat16"
        raise Refuse(reason, "notimpl", "method.tuner.init: default")
    if plus is not None:
        reason = "LoRA+ makes its optimizer itself, and was not seen in bfloat16"
        raise Refuse(reason, "notimpl", "method.tuner.plus_ratio: null")
