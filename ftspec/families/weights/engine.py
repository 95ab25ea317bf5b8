"""Number formats of the engine: autocast over weights that stay, or weights in 16 bits and float32 copies.

deepspeed 0.19.8, runtime/engine.py (`_configure_distributed_model`) and runtime/precision_config.py. The
trainer's own `bf16` and `fp16` must say the same as the engine's (transformers, integrations/deepspeed.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ftspec.families.weights.precision import SCALE, USES, Reason, refuse_format
from ftspec.mapping import MISSING, Refuse, Row
from ftspec.spec.precision import WEIGHTS

AUTOCAST = "ds_config.torch_autocast"
OFF = {"enabled": False}
NO_FLOAT8: Reason = (
    "torchao, which multiplies in float8, is not in its lock",
    "notimpl",
)
KEYS = (AUTOCAST, "ds_config.bf16", "ds_config.fp16", "ds_config.data_types")
"""Of the engine. The trainer's own two stand before them."""
NOTHING = (MISSING,) * len(KEYS)
BFLOAT16 = {
    "enabled": True,
    "immediate_grad_update": False,
    "check_grad_overflow": True,
    "bf16_master_weights_and_grads": False,
    "bf16_optimizer_states": False,
}
"""Steps whose gradients are not finite are left out, and what the optimizer steps is float32."""


class Scale(NamedTuple):
    """The fields of `precision.loss_scale`, by what the engine calls them."""

    loss_scale: float | None
    initial_scale_power: int
    loss_scale_window: int
    hysteresis: int
    consecutive_hysteresis: bool
    min_loss_scale: int


DEFAULT = Scale(None, 16, 1000, 2, False, 1)


def precision_row(config: str) -> Row:
    """The format, and the factor on a float16 loss. ``config`` begins the trainer's own keys."""
    return Row(
        ("precision.compute", *SCALE),
        (f"{config}bf16", f"{config}fp16", *KEYS),
        lower,
        lift,
        uses=(*USES, "model.quantization.type", "hardware.zero.stage"),
        absent=(True, False, None, MISSING, MISSING, None),
    )


def lower(compute: str, *values: Any) -> tuple[Any, ...]:
    """The trainer's two words and the engine's sections, in the order of the keys.

    Raises:
        Refuse: the engine trains nothing of the kind.
    """
    scale, (device, tuner, dtype, quantised, stage) = Scale(*values[:-5]), values[-5:]
    refuse_format(compute, device, tuner, dtype, NO_FLOAT8, casts=True)
    if compute == "bf16-pure":
        raise Refuse(
            "ZeRO keeps float32 copies of 16-bit weights and trains those (zero/stage_1_and_2.py)",
            "notyet",
            "precision: bf16-weights",
        )
    if compute == "fp16":
        raise Refuse(
            "its float16 casts the weights themselves and skips steps while it finds a loss scale: "
            "another training than mixed precision",
            "notyet",
            "precision.compute: bf16, or fp16-weights",
        )
    if compute in WEIGHTS and quantised is not None:
        raise Refuse(
            "what the engine's casting leaves of packed weights was not seen",
            "notimpl",
            "precision: bf16",
        )
    if compute in WEIGHTS and stage == 0:
        raise Refuse(
            "without stages the optimizer of the copies takes a step without gradients when it is made "
            "(fp16/unfused_optimizer.py): Adam's correction is a step ahead, as was seen",
            "notyet",
            "hardware.zero.stage: 1",
        )
    if compute == "bf16-weights":
        return True, False, MISSING, BFLOAT16, OFF, {"grad_accum_dtype": "bf16"}
    if compute == "fp16-weights":
        return False, True, MISSING, OFF, _float16(scale), {"grad_accum_dtype": "fp16"}
    on = {"enabled": True, "dtype": "bfloat16"} if compute == "bf16" else MISSING
    return False, False, on, OFF, OFF, MISSING


def _float16(scale: Scale) -> dict[str, Any]:
    searched = {**scale._asdict(), "loss_scale": scale.loss_scale or 0}
    return {"enabled": True, "auto_cast": False, **searched, "fp16_master_weights_and_grads": False}


def lift(
    bf16: bool, fp16: bool, autocast: Any, engine: Any, half: Any, sums: Any
) -> tuple[Any, ...]:
    """The format and the fields of the factor, back from them.

    Raises:
        Refuse: trainer and engine contradict each other, or a spec cannot say it.
    """
    engine, half = engine or OFF, half or OFF
    if (bf16, fp16) != (engine["enabled"], half["enabled"]):
        raise Refuse("the engine and the script must say the same precision", "never")
    if not (bf16 or fp16):
        return ("bf16" if autocast and autocast["enabled"] else "fp32", *DEFAULT)
    if autocast and autocast["enabled"]:
        raise Refuse("autocast over weights in 16 bits is not in a spec", "notimpl")
    word = "bf16" if bf16 else "fp16"
    if sums not in (None, {"grad_accum_dtype": word}):
        raise Refuse("gradients that are summed in another type are not in a spec", "notimpl")
    if bf16:
        return ("bf16-weights", *DEFAULT)
    found = Scale(*(half.get(name, value) for name, value in DEFAULT._asdict().items()))
    return ("fp16-weights", *found._replace(loss_scale=found.loss_scale or None))
