"""In which numbers an Unsloth script trains, where its trainer does what its two flags say.

unsloth 2026.10.9, models/rl.py, models/vision.py; unsloth_zoo, training_utils.py and cpu/trainer.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.scripts.sft_script import CONFIG
from ftspec.families.weights.precision import FLAGS, UNSEEN, USES, lift_precision, refuse_format
from ftspec.mapping import Lossy, Refuse, Row
from ftspec_unsloth.forced import is_forced

WHOLE = ("full", "partial")
"""Tuners for which its loader is told `full_finetuning`."""
HALVES = {"bf16": "bfloat16", "fp16": "float16"}


def precision_row() -> Row:
    """precision.compute by the flags `bf16` and `fp16`."""
    return Row(
        ("precision.compute",),
        (f"{CONFIG}bf16", f"{CONFIG}fp16"),
        _lower,
        lift_precision,
        uses=(*USES, "derived.stored_dtype", "model.name", "derived.model_type"),
        reads=("tuner", "model.dtype"),
        absent=(True, False),
    )


def _lower(
    compute: str, device: str, tuner: str, dtype: str, stored: str | None, name: str, kind: Any
) -> Any:
    refuse_format(compute, device, tuner, dtype)
    if device != "cpu":
        held = stored if dtype == "auto" else dtype
        return _on_a_gpu(compute, tuner, held, is_forced(name, kind))
    if compute == "bf16":
        raise Refuse(
            "its CPU path changes the type in silence where the processor has no native bfloat16",
            "notyet",
            "precision.compute: fp32",
        )
    return FLAGS[compute]


def _on_a_gpu(compute: str, tuner: str, held: str | None, forced: bool) -> Any:
    """``held`` is the type of the weights, None where it is not known; ``forced``: see `is_forced`."""
    if compute == "bf16-pure":
        raise Refuse(
            "it holds norms in float32 beside all other weights in bfloat16 (training_utils.py)",
            "notyet",
        )
    if compute == "fp32":
        raise Refuse(
            "on a GPU it turns on mixed precision in bfloat16 where neither bf16 nor fp16 is asked for "
            "(unsloth/models/rl.py)",
            "notyet",
            "precision: bf16",
        )
    _refuse_held(compute, tuner, held)
    if held in ("float16", None) and compute == "fp16" and forced:
        raise Refuse(
            "it trains this model in float32 where the weights are asked for in float16 "
            "(unsloth/models/loader.py, FORCE_FLOAT32)",
            "notyet",
            "precision: bf16, and model.dtype: bfloat16",
        )
    if tuner in WHOLE and held is None:
        return Lossy(FLAGS[compute], UNSEEN.format("float32"))
    return FLAGS[compute]


def _refuse_held(compute: str, tuner: str, held: str | None) -> None:
    """Raise Refuse for weights over which its trainer on a GPU does not do what its two flags say."""
    if held in (None, "float32"):
        return
    if tuner in WHOLE:
        raise Refuse(
            "where it loads a model to train whole in bfloat16, it holds norms in float32 and turns mixed "
            "precision off, whatever the flags say; one in float16 it turns into float32 "
            "(unsloth/models/rl.py, training_utils.py)",
            "notyet",
            "model.dtype: float32",
        )
    if compute in HALVES and held != HALVES[compute]:
        raise Refuse(
            f"over weights in {held} it stops at {compute} (unsloth/models/rl.py)",
            "notyet",
            f"model.dtype: {HALVES[compute]} or float32",
        )
