"""DeepSpeed under LLaMA-Factory: `deepspeed: ds_config.json`, in an environment that has the engine.

llamafactory 0.9.5, hparams/parser.py (it has to be started by torchrun) and model/adapter.py (under stage 3
it lifts no weights to float32).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ftspec.backend import Apart
from ftspec.families.training.tensors import tensor_row
from ftspec.families.training.zero import ENGINE, STAGE, UNSHARDED, refuse_offloaded, zero_rows
from ftspec.mapping import MISSING, Flat, Refuse, Row
from ftspec.spec.precision import WEIGHTS

KEY = "deepspeed"
FIRST = 1
"""The first stage that needs the engine."""
LOCK = Apart("deepspeed", ">=0.9.5,<0.9.6", "ZeRO is DeepSpeed's, which is in no other lock of it")
SEEN = ("full", "partial", "lora")
"""Tuners that were seen to train under the engine."""
OPTIMIZER, OFFLOADED = "train.optimizer.type", "hardware.zero.offload_optimizer"
OWN = (OPTIMIZER, OFFLOADED, "method.objective.type")


def engine_rows() -> tuple[Row, ...]:
    """The rows of ZeRO, and the key that names the engine's file. Stage 0 has no engine."""
    first, *rest = zero_rows(None, FIRST)
    name = Row(
        (),
        (KEY,),
        lambda stage: ENGINE if stage else MISSING,
        lambda _file: (),
        uses=(STAGE,),
        absent=(None,),
        reason="the engine's own settings",
    )

    def lower(stage: int | None, *values: Any) -> Any:
        shared, own = values[: -len(OWN)], values[-len(OWN) :]
        if stage:
            _refuse(stage, *shared, *own)
        return first.lower(stage, *shared)

    tensors = tensor_row(least=FIRST)
    return (replace(first, lower=lower, uses=(*first.uses, *OWN)), name, *rest, tensors)


def _refuse(
    stage: int,
    tuner: str,
    _dtype: str,
    stored: str | None,
    quantised: str | None,
    compute: str,
    _cut: int | None,
    optimizer: str,
    offloaded: bool | None,
    objective: str,
) -> None:
    if objective not in ("sft", "cpt"):
        raise Refuse(
            "under its engine only demonstrations and texts were seen to train",
            "notimpl",
            "run.backends: deepspeed",
        )
    if tuner not in SEEN or quantised is not None:
        raise Refuse(
            "under its engine only full and partial tuning and LoRA were seen to train, over weights that "
            "are whole",
            "notimpl",
            "run.backends: deepspeed",
        )
    if stage == 3 and tuner != "lora" and stored != "float32" and compute not in WEIGHTS:
        raise Refuse(
            "under stage 3 it trains weights as the checkpoint stores them, not in float32",
            "notyet",
            "hardware.zero.stage: 2, or precision: bf16-weights",
        )
    if optimizer in UNSHARDED:
        raise Refuse(UNSHARDED[optimizer], "notyet", "train.optimizer: adamw")
    refuse_offloaded(optimizer, offloaded)


def environment(native: Flat) -> dict[str, str]:
    """On a CPU the engine must be told: it looks for an accelerator first."""
    return {"DS_ACCELERATOR": "cpu"} if KEY in native and native.get("use_cpu") else {}
