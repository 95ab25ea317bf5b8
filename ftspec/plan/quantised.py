"""What follows from a quantised base: the types of its parts, and which tuners can train over it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.plan.values import Value
from ftspec.spec.root import Spec

ARITHMETIC = {
    "fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "bf16-weights": "bfloat16",
    "fp16-weights": "float16", "bf16-pure": "bfloat16", "fp8": "bfloat16",
}  # fmt: skip
"""By `precision.compute`: the type that 4-bit weights are unpacked into, to be multiplied."""
DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""safetensors' names of types -> torch's."""
LARGEST_HEADER = 100_000_000
"""Bytes; what safetensors itself takes for a header."""


def stored_quantisation(config: Mapping[str, Any] | None) -> str | None:
    """How a local checkpoint's weights are quantised, by transformers' name; None if they are not."""
    found = (config or {}).get("quantization_config")
    if not isinstance(found, dict):
        return None
    # files of the time before the name had only bitsandbytes' switches
    return str(found.get("quant_method") or "bitsandbytes")


def decide_quantisation(
    spec: Spec,
    folder: Path,
    config: Mapping[str, Any] | None,
    values: Mapping[str, Value],
    decide: Any,
) -> None:
    """The open values of `model.quantization` and `model.stored`.

    ``config`` is the config.json in ``folder``, where the model is a local one.

    Raises:
        SpecError: the tuner trains weights of the base; the base is quantised already, or in another way
            than the spec says; the copy of the result is rounded as nothing was trained for.
    """
    _copy(spec, decide)
    held = spec.model.quantization
    kept, whole = _stored(spec, folder, config, decide)
    stored = values["derived.stored_dtype"].value
    if held is None or held.type == "int8":
        decide("model.quantization.storage", None, "", "default")  # no backend's choice to make
    tuner = spec.method.tuner.type
    if tuner in ("full", "partial") and (held or (kept and not whole)):
        raise SpecError(
            Problem(
                f"the weights of a quantised base cannot train, and `{tuner}` trains weights of the base",
                path="method.tuner",
                hint="method: lora; or a base that is not quantised, or is unpacked: model.stored.dequantize",
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


def _stored(
    spec: Spec, folder: Path, config: Mapping[str, Any] | None, decide: Any
) -> tuple[str | None, bool]:
    """How the checkpoint is quantised, and whether its weights are made whole while they are loaded."""
    said, found = spec.model.stored, stored_quantisation(config)
    if said is not None and config is not None and said.type != found:
        raise SpecError(
            Problem(
                f"config.json of {spec.model.name} says "
                + (f"{found}, not {said.type}" if found else "nothing of quantised weights"),
                path="model.stored",
                hint=f"model.stored: {found}" if found else "leave it out",
            )
        )
    if said is None and found is not None:
        decide("model.stored.type", found, "config.json of the model", "machine")
        decide("model.stored.dequantize", False, "nothing asks for it")
    whole = said is not None and said.dequantize
    if said is not None and whole:
        dtype = "bfloat16" if said.type == "mxfp4" else scales_dtype(folder)
        why = "what transformers unpacks into" if said.type == "mxfp4" else "the type of the scales"
        decide("derived.dequantized_dtype", dtype, why, "machine")
    return (said.type if said else found), whole


def scales_dtype(folder: Path) -> str | None:
    """The type of an fp8 checkpoint's scales, by the headers of its files; None where there are none."""
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as content:
            (length,) = struct.unpack("<Q", content.read(8).ljust(8, b"\0"))
            header = content.read(min(length, LARGEST_HEADER))
        try:
            tensors = json.loads(header)
        except (ValueError, RecursionError):
            continue
        for name, tensor in tensors.items() if isinstance(tensors, dict) else ():
            if name.endswith("weight_scale_inv") and isinstance(tensor, dict):
                return DTYPES.get(str(tensor.get("dtype")))
    return None


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
