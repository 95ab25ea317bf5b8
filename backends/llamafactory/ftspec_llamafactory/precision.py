"""Types of weights and of the arithmetic in LLaMA-Factory.

It has no key for the type of weights: it loads them as they are stored and lifts those that train to
float32, unless `pure_bf16` keeps it from that (model/loader.py, model/adapter.py, hparams/parser.py).
"""

from __future__ import annotations

from typing import Any

from ftspec.families.training.zero import STAGE
from ftspec.families.weights import engine
from ftspec.families.weights.precision import FLAGS, SCALE, UNSEEN, USES, Reason, refuse_format
from ftspec.mapping import MISSING, Lossy, Refuse, Row
from ftspec.spec.images import PARTS

HINT = "model.dtype: auto"
NO_FLOAT8: Reason = (
    "its `fp8` asks accelerate by an environment variable, when the trainer's arguments have named another "
    "precision, and it trains without float8 (train/fp8_utils.py; seen: the same losses)",
    "notyet",
)


def dtype_row() -> Row:
    """The type of weights, which only follows."""
    return Row(
        ("model.dtype",),
        (),
        _lower_dtype,
        _lift_dtype,
        uses=(
            *("method.tuner.type", "derived.stored_dtype", "precision.compute"),
            "model.images.train",
        ),
        reads=("pure_bf16",),
        reason="weights are held as the checkpoint stores them; trained weights are float32",
    )


def precise(row: Row) -> Row:
    """The row of the arithmetic with its key for `bf16-pure` and the engine's; other rows as they are."""
    if row.paths != ("precision.compute",):
        return row
    return Row(
        ("precision.compute", *SCALE),
        (*row.keys, *engine.KEYS, "pure_bf16"),
        _lower,
        _lift,
        uses=(*USES, "model.quantization.type", STAGE),
        absent=(*row.absent, None, MISSING, MISSING, None, False),
    )


def _lower_dtype(
    dtype: str, tuner: str, stored: str | None, compute: str, parts: tuple[str, ...] | None
) -> Any:
    pure = compute == "bf16-pure"
    if tuner == "full" and parts not in (None, PARTS):
        tuner = "partial"  # parts that stay as they are stay in their type
    if tuner in ("full", "partial") and dtype == stored != "float32" and not pure:
        raise Refuse("the weights that train are always held in float32", "notyet", HINT)
    if dtype in ("auto", stored) or (dtype == "float32" and tuner == "full"):
        return ()
    if stored is None and (pure or tuner not in ("full", "partial")):
        return Lossy((), UNSEEN.format(dtype))
    raise Refuse(
        "weights are always held as the checkpoint stores them, there is no key for another type",
        "notyet",
        "a checkpoint in bfloat16" if pure else HINT,
    )


def _lift_dtype(pure: Any) -> Any:
    return "bfloat16" if pure is True else MISSING


def _lower(compute: str, *values: Any) -> tuple[Any, ...]:
    device, tuner, dtype, _quantised, stage = values[-5:]
    if stage:  # 0 needs no engine
        return (*engine.lower(compute, *values), False)
    refuse_format(compute, device, tuner, dtype, NO_FLOAT8)
    if compute == "bf16-pure" and device == "cpu":
        raise Refuse("its pure_bf16 insists on a GPU (hparams/parser.py)", "notyet")
    return (*FLAGS[compute], *engine.NOTHING, compute == "bf16-pure")


def _lift(bf16: bool, fp16: bool, *more: Any) -> tuple[Any, ...]:
    *sections, pure = more
    if bf16 + fp16 + pure > 1:
        raise Refuse("bf16, fp16 and pure_bf16 exclude each other", "never")
    if MISSING not in sections:
        return engine.lift(bf16, fp16, *sections)
    compute = "bf16-pure" if pure else "bf16" if bf16 else "fp16" if fp16 else "fp32"
    return (compute, *engine.DEFAULT)
