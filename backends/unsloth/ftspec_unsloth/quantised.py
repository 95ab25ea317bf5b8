"""A quantised base, by the two switches that Unsloth's loader has.

Its settings are fixed: unsloth_zoo 2026.10.9, cpu/loader.py; unsloth 2026.10.9, models/llama.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.weights.packed_experts import no_packing
from ftspec.families.weights.quantised import FOUR_BITS, UNPACKED
from ftspec.mapping import Lossy, Refuse, Row
from ftspec.spec.model import UNPACKED as UNPACKED_KINDS

LOAD = "from_pretrained."


def other_kernels(kind: str) -> Refuse:
    """Of a checkpoint that is quantised already."""
    return Refuse(
        f"on a GPU it trains over weights in {kind} with kernels of its own, on a CPU it unpacks them; "
        "neither is compiled for yet"
        if kind in UNPACKED_KINDS
        else f"what it makes of weights in {kind} was not seen",
        "notimpl",
        "run.backends: trl",
    )


def quantisation_rows() -> tuple[Row, ...]:
    """load_in_4bit and load_in_8bit, and what they always mean."""
    return (
        Row(
            ("model.quantization.type",),
            (f"{LOAD}load_in_4bit", f"{LOAD}load_in_8bit"),
            _lower_type,
            lambda four_bits, eight_bits: "nf4" if four_bits else "int8" if eight_bits else None,
            uses=("hardware.device",),
            absent=(True, False),
        ),
        Row(
            ("model.quantization.double",),
            (),
            _lower_double,
            lambda four_bits, eight_bits: True if four_bits else False if eight_bits else None,
            uses=("model.quantization.type",),
            reads=(f"{LOAD}load_in_4bit", f"{LOAD}load_in_8bit"),
            reason="its 4 bits always quantise the constants too",
        ),
        no_packing(
            "its loader packs linear layers alone",
            (f"{LOAD}load_in_4bit", f"{LOAD}load_in_8bit"),
            lambda four_bits, eight_bits: bool(four_bits or eight_bits),
            "notimpl",
        ),
        Row(
            ("model.quantization.storage",),
            (),
            _lower_storage,
            lambda four_bits: "uint8" if four_bits else None,
            reads=(f"{LOAD}load_in_4bit",),
            reason="its loader has no setting for the container of packed weights",
        ),
    )


def dtype_row() -> Row:
    """The type of other weights, in which its 4-bit layers also calculate."""
    return Row(
        ("model.dtype",),
        ("model.dtype",),
        _lower_dtype,
        lambda dtype: dtype,
        uses=(UNPACKED,),
        absent=(None,),
    )


def _lower_type(kind: str | None, device: str) -> tuple[bool, bool]:
    if kind == "fp4":
        raise Refuse("its 4 bits are always nf4", "notyet", "model.quantization: nf4")
    if kind == "int8" and device == "cpu":
        raise Refuse(
            "on a CPU its loader takes the weights as they are, with a word in the log", "notyet"
        )
    return kind == "nf4", kind == "int8"


def _lower_double(double: bool | None, kind: str | None) -> tuple[()]:
    if kind in FOUR_BITS and not double:
        raise Refuse("its 4 bits always quantise the constants too", "notyet")
    return ()


def _lower_storage(storage: str | None) -> Any:
    if storage not in (None, "uint8"):
        return Lossy(
            (),
            "it always packs weights into bytes: the first values of a new adapter are not rounded to "
            f"{storage}",
        )
    return ()


def _lower_dtype(dtype: str, unpacked: str | None) -> Any:
    if unpacked not in (None, dtype):
        raise Refuse(
            "its 4-bit layers calculate in the type that the other weights are held in, and that must "
            "be the one of precision.compute",
            "notyet",
            f"model.dtype: {unpacked}",
        )
    return dtype
