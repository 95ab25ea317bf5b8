"""Number formats of the arithmetic, as TrainingArguments has them: two flags for mixed precision.

Without a flag layers calculate in the type of their weights, so that `bf16-pure` is no flag but weights
in bfloat16. float8 needs torchao or transformer-engine (accelerate 1.11, accelerator.py:480).
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import Refuse, Row

FLAGS = {
    "fp32": (False, False),
    "bf16": (True, False),
    "fp16": (False, True),
    "bf16-pure": (False, False),
}
"""bf16 and fp16."""
USES = ("hardware.device", "method.tuner.type", "model.dtype")


def precision_row() -> Row:
    """precision.compute by the flags `bf16` and `fp16`."""
    return Row(
        ("precision.compute",),
        ("bf16", "fp16"),
        lower_precision,
        lift_precision,
        uses=USES,
        reads=("tuner", "model.dtype"),
        absent=(False, False),
    )


def lower_precision(compute: str, device: str, tuner: str, dtype: str) -> tuple[bool, bool]:
    """The flags, or why a format makes no sense there."""
    refuse_format(compute, device, tuner, dtype)
    return FLAGS[compute]


def lift_precision(bf16: Any, fp16: Any, tuner: Any, dtype: Any) -> str:
    """The format that the flags ask for, over weights of this type."""
    if bf16 and fp16:
        raise Refuse("bf16 and fp16 exclude each other", "never")
    if not (bf16 or fp16):
        return "bf16-pure" if (tuner, dtype) == ("full", "bfloat16") else "fp32"
    return "bf16" if bf16 else "fp16"


def refuse_format(compute: str, device: str, tuner: str, dtype: str) -> None:
    """What no backend can do there."""
    if compute == "fp16" and device == "cpu":
        raise Refuse("float16 does not run on a CPU; float32 would be used in silence", "never")
    if compute == "fp8" and device == "cpu":
        raise Refuse("float8 does not run on a CPU: it is a format of GPUs", "never")
    if compute == "fp8":
        raise Refuse(
            "float8 arithmetic is set up by accelerate, by means of torchao or transformer-engine, for GPUs "
            "alone, and was not seen to train yet",
            "notimpl",
            "precision: bf16",
        )
    if compute == "bf16-pure" and tuner != "full":
        raise Refuse(
            "what trains beside a frozen base is always float32; `bf16-pure` is for full tuning",
            "never",
            "precision: bf16, and model.dtype: bfloat16 for the base",
        )
    if compute == "fp32" and tuner == "full" and dtype == "bfloat16":
        raise Refuse(
            "weights in bfloat16 are multiplied in bfloat16, whatever fp32 says",
            "never",
            "precision: bf16-pure, or model.dtype: float32",
        )
