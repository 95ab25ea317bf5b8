"""Spec paths <-> ds_config.json, beside the arguments of the shared TRL script.

Keys and defaults: deepspeed 0.19.8, runtime/config.py and runtime/zero/config.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.sft_script import CONFIG, shared_rows
from ftspec.mapping import MISSING, FieldMap, Refuse, Row, constant

DS = "ds_config."
ZERO = f"{DS}zero_optimization."
CPU = {"device": "cpu", "pin_memory": True}


def _lower_stage(stage: int, tuner: str, dtype: str, compute: str) -> int:
    if stage == 3 and tuner == "lora" and (dtype, compute) != ("float32", "fp32"):
        raise Refuse(
            "under stage 3 an adapter is held in the model's own type, not in float32 (hazard 65)",
            "notyet",
            "hardware.zero.stage: 2",
        )
    return stage


def _lower_offload(on: bool) -> Any:
    return CPU if on else {"device": "none"}


def _lift_offload(native: Any) -> bool:
    device = (native or {}).get("device", "none")
    if device not in ("none", "cpu"):
        raise Refuse(f"offloading to {device} is not in a spec yet", "notimpl")
    return bool(device == "cpu")


def _lower_compute(compute: str, device: str) -> Any:
    if compute == "fp16" and device == "cpu":
        raise Refuse("float16 arithmetic does not run on a CPU (hazard 60)", "never")
    return MISSING


SFT = FieldMap(
    "deepspeed",
    (
        *shared_rows(),
        constant(f"{CONFIG}deepspeed", "ds_config.json", "the engine's own settings"),
        Row(
            ("hardware.zero.stage",),
            (f"{ZERO}stage",),
            _lower_stage,
            lambda stage: stage,
            uses=("method.tuner.type", "model.dtype", "precision.compute"),
            absent=(0,),
        ),
        Row(
            ("hardware.zero.offload_optimizer",),
            (f"{ZERO}offload_optimizer",),
            _lower_offload,
            _lift_offload,
            absent=(None,),
        ),
        Row(
            ("hardware.zero.offload_parameters",),
            (f"{ZERO}offload_param",),
            _lower_offload,
            _lift_offload,
            absent=(None,),
        ),
        # "auto": filled in from the script's own arguments (transformers/integrations/deepspeed.py),
        # so that each number is said once. An optimizer or scheduler section is left out on purpose:
        # with one, weight decay would fall on every weight (hazard 62).
        *(
            constant(f"{DS}{key}", "auto", "the script says it")
            for key in (
                "train_batch_size",
                "train_micro_batch_size_per_gpu",
                "gradient_accumulation_steps",
                "gradient_clipping",
            )
        ),
        constant(f"{DS}bf16", {"enabled": False}, "weights stay as they are; see torch_autocast"),
        constant(f"{DS}fp16", {"enabled": False}, "weights stay as they are; see torch_autocast"),
    ),
)
