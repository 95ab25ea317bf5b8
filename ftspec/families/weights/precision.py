"""Number formats of the arithmetic, as TrainingArguments has them: two flags for mixed precision.

Without a flag layers calculate in the type of their weights, so that `bf16-pure` is no flag but weights
in bfloat16. fp8 is bf16 around products in float8, which a statement of the script makes (float8.py).
"""

from __future__ import annotations

from typing import Any

from ftspec.families.weights.float8 import FLOAT8
from ftspec.mapping import Refuse, Row, Support
from ftspec.spec.precision import WEIGHTS, LossScale

Reason = tuple[str, Support]
FLAGS = {
    "fp32": (False, False),
    "bf16": (True, False),
    "fp16": (False, True),
    "bf16-weights": (True, False),
    "fp16-weights": (False, True),
    "bf16-pure": (False, False),
    "fp8": (True, False),
}
"""bf16 and fp16."""
UNSEEN = "only if the hub's config.json says {}: weights are held as the checkpoint stores them"
"""Of a backend without a key for the type of weights, and a model whose files are not here."""
NO_FLOAT8: Reason = ("products in float8 are not compiled for it yet", "notimpl")
SCALE = tuple(f"precision.loss_scale.{name}" for name in LossScale.model_fields)
USES = ("hardware.device", "method.tuner.type", "model.dtype")


def precision_row() -> Row:
    """precision.compute by the flags `bf16` and `fp16`."""
    return Row(
        ("precision.compute",),
        ("bf16", "fp16"),
        lower_precision,
        lift_precision,
        uses=USES,
        reads=("tuner", "model.dtype", FLOAT8),
        absent=(False, False),
    )


def scale_row() -> Row:
    """The factor on a float16 loss, where the row of the arithmetic refuses what has one."""
    default = LossScale()
    values = tuple(getattr(default, name) for name in LossScale.model_fields)
    return Row(SCALE, (), lambda *_: (), lambda: values, reason="without fp16-weights")


def lower_precision(compute: str, device: str, tuner: str, dtype: str) -> tuple[bool, bool]:
    """The flags, or why a format makes no sense there."""
    refuse_format(compute, device, tuner, dtype, None)
    return FLAGS[compute]


def lift_precision(bf16: Any, fp16: Any, tuner: Any, dtype: Any, float8: Any = None) -> str:
    """The format that the flags ask for, over weights of this type."""
    if bf16 and fp16:
        raise Refuse("bf16 and fp16 exclude each other", "never")
    if not (bf16 or fp16):
        return "bf16-pure" if (tuner, dtype) == ("full", "bfloat16") else "fp32"
    return "fp8" if bf16 and float8 else "bf16" if bf16 else "fp16"


def refuse_format(
    compute: str,
    device: str,
    tuner: str,
    dtype: str,
    float8: Reason | None = NO_FLOAT8,
    casts: bool = False,
) -> None:
    """What no backend can do there.

    ``float8``: why this one does not multiply in float8; ``casts``: whether it turns weights into 16
    bits and keeps float32 copies.
    """
    if compute in WEIGHTS and not casts:
        raise Refuse(
            "float32 copies of weights in 16 bits are what ZeRO's optimizers keep; without them there are "
            "none",
            "notyet",
            "run.backends: deepspeed",
        )
    if compute == "fp16" and device == "cpu":
        raise Refuse("float16 does not run on a CPU; float32 would be used in silence", "never")
    if compute == "fp8" and float8 is not None:
        raise Refuse(*float8, "precision: bf16, or run.backends: trl")
    if compute == "bf16-pure" and tuner != "full":
        raise Refuse(
            "what trains beside a frozen base is float32 there; `bf16-pure` is for full tuning, and for LoRA "
            "in TRL alone",
            "notimpl",
            "precision: bf16, and model.dtype: bfloat16 for the base",
        )
    if compute == "fp32" and tuner == "full" and dtype == "bfloat16":
        raise Refuse(
            "weights in bfloat16 are multiplied in bfloat16, whatever fp32 says",
            "never",
            "precision: bf16-pure, or model.dtype: float32",
        )
