"""Ulysses sequence parallelism (https://arxiv.org/abs/2309.14509): each row is split over devices.

accelerate 1.12 and later read it from the environment, as `accelerate launch` would set it
(parallelism_config.py); trl 1.16 then keeps each token's position (trainer/sft_trainer.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.families.training.launch import SEQUENCES
from ftspec.mapping import Flat, Refuse, Row

SIZE = "PARALLELISM_CONFIG_SP_SIZE"
USES = (
    "run.environment",
    "hardware.device",
    "model.attention",
    "method.objective.loss",
    "method.objective.prompt_weight",
    "train.label_smoothing",
    "model.experts.balance_loss",
    "data.packing",
    "method.objective.average",
)


def sequence_row() -> Row:
    """How many devices share a row."""
    return Row(
        ("hardware.sequence_parallel",),
        (SEQUENCES,),
        _lower,
        lambda size: size,
        uses=USES,
        absent=(1,),
    )


def environment(native: Flat) -> Mapping[str, str]:
    """What accelerate reads; nothing where rows stay whole."""
    size = native.get(SEQUENCES, 1)
    if size == 1:
        return {}
    return {
        "ACCELERATE_USE_PARALLELISM_CONFIG": "true",
        SIZE: str(size),
        "PARALLELISM_CONFIG_SP_BACKEND": "deepspeed",
        "PARALLELISM_CONFIG_SP_SEQ_LENGTH_IS_VARIABLE": "true",
        "PARALLELISM_CONFIG_SP_ATTN_IMPLEMENTATION": native["model.attn_implementation"],
    }


def _lower(
    size: int,
    versions: str,
    device: str,
    attention: str,
    loss: str | None,
    of_prompts: float | None,
    smoothing: float,
    balance: float,
    packing: str | None,
    average: str | None,
) -> int:
    if size == 1:
        return size
    if versions == "aligned":
        raise Refuse(
            "accelerate 1.11, which the aligned environments share, has no sequence parallelism",
            "notyet",
            "run.environment: latest",
        )
    if device == "cpu":
        raise Refuse(
            "its exchange of attention heads needs GPUs", "notyet", "hardware.device: cuda"
        )
    if attention == "eager":
        raise Refuse("it splits sdpa and flash attention only", "notyet", "model.attention: sdpa")
    if packing is not None:
        raise Refuse("where documents share a row, it is not known to keep them apart", "notimpl")
    named: Mapping[str, Any] = {
        f"method.objective.loss: {loss}": loss in ("dft", "eaft", "asft"),
        "method.objective.prompt_weight": of_prompts,
        "train.label_smoothing": smoothing,
        "model.experts.balance_loss": balance,
        "method.objective.average: batches": average == "batches",
    }
    if lost := [name for name, asked in named.items() if asked]:
        raise Refuse(
            f"over split rows only the plain loss is added up: {', '.join(lost)} would be lost",
            "notyet",
            "hardware.sequence_parallel: 1",
        )
    return size
