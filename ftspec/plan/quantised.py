"""What follows from a quantised base: the types of its parts, and which tuners can train over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.plan.values import Value
from ftspec.spec.root import Spec

ARITHMETIC = {
    "fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "bf16-weights": "bfloat16",
    "fp16-weights": "float16", "bf16-pure": "bfloat16", "fp8": "bfloat16",
}  # fmt: skip
"""By `precision.compute`: the type that 4-bit weights are unpacked into, to be multiplied."""


def stored_quantisation(config: Mapping[str, Any] | None) -> str | None:
    """How a local checkpoint's weights are quantised, by transformers' name; None if they are not."""
    found = (config or {}).get("quantization_config")
    if not isinstance(found, dict):
        return None
    # files of the time before the name had only bitsandbytes' switches
    return str(found.get("quant_method") or "bitsandbytes")


def decide_quantisation(
    spec: Spec, config: Mapping[str, Any] | None, values: Mapping[str, Value], decide: Any
) -> None:
    """The open values of `model.quantization`; ``config`` is the config.json of a local model.

    Raises:
        SpecError: the tuner trains weights of the base; the base is quantised already; the copy of the
            result is rounded as nothing was trained for.
    """
    _copy(spec, decide)
    held, kept = spec.model.quantization, stored_quantisation(config)
    stored = values["derived.stored_dtype"].value
    if kept is not None:
        decide("derived.stored_quantization", kept, "config.json of the model", "machine")
    if held is None or held.type == "int8":
        decide("model.quantization.storage", None, "", "default")  # no backend's choice to make
    tuner = spec.method.tuner.type
    if tuner in ("full", "partial") and (held or kept):
        raise SpecError(
            Problem(
                f"the weights of a quantised base cannot train, and `{tuner}` trains weights of the base",
                path="method.tuner",
                hint="method: lora; or a base that is not quantised",
            )
        )
    if held is None:
        return
    if kept is not None:
        raise SpecError(
            Problem(
                f"the weights in {spec.model.name} are quantised already, by {kept}",
                path="model.quantization",
                hint="leave it out, or name the model's whole weights",
            )
        )
    if spec.model.dtype == "auto" and stored is not None:
        decide("model.dtype", stored, "config.json of the model", "machine")
    if held.type == "int8":
        decide("model.quantization.double", False, "int8 has one constant per row")
        return
    arithmetic = ARITHMETIC[spec.precision.compute]
    decide("derived.unpacked_dtype", arithmetic, "precision.compute: 4-bit weights calculate in it")
    if values["model.quantization.storage"].value is None:
        decide("model.quantization.storage", arithmetic, "the type of the arithmetic")


def _copy(spec: Spec, decide: Any) -> None:
    """The copy of the result in few bits: the type it calculates in, and whether it was trained for."""
    kind = spec.output.quantization
    if kind == "qat" and spec.train.qat is None:
        message = "nothing is trained for a rounding, so it cannot be the one of the copy"
        hint = "train.qat: int4, or output.quantization: nf4"
        raise SpecError(Problem(message, path="output.quantization", hint=hint))
    if kind in ("nf4", "fp4"):
        arithmetic = ARITHMETIC[spec.precision.compute]
        decide(
            "derived.copy_arithmetic", arithmetic, "precision.compute: the copy calculates in it"
        )
