"""What follows from a quantised base: the types of its parts, and which tuners can train over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.plan.values import Value
from ftspec.spec.root import Spec

ARITHMETIC = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""By `precision.compute`: the type that 4-bit weights are unpacked into, to be multiplied."""


def decide_quantisation(
    spec: Spec, stored: str | None, values: Mapping[str, Value], decide: Any
) -> None:
    """The open values of `model.quantization`; ``stored`` is the checkpoint's dtype.

    Raises:
        SpecError: the tuner trains weights of the base.
    """
    held = spec.model.quantization
    if held is None or held.type == "int8":
        decide("model.quantization.storage", None, "", "default")  # no backend's choice to make
    if held is None:
        return
    tuner = spec.method.tuner.type
    if tuner in ("full", "partial"):
        raise SpecError(
            Problem(
                f"the weights of a quantised base cannot train, and `{tuner}` trains weights of the base",
                path="method.tuner",
                hint="method: lora; or leave model.quantization out",
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
