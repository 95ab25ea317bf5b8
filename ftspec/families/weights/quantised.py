"""Rows for transformers' BitsAndBytesConfig, as scripts write it.

Names and defaults: transformers 5.6.0, utils/quantization_config.py; checked against schemas/native.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from ftspec.families.scripts.sft_script import CONFIG
from ftspec.families.weights.packed_experts import packing_row
from ftspec.mapping import MISSING, Refuse, Row

CALL = "BitsAndBytesConfig."
TEMPLATE = files("ftspec.families") / "templates" / "quantised.py.j2"
NEEDS = {f"{CALL}{name}": "bitsandbytes" for name in ("load_in_4bit", "load_in_8bit")}
FOUR_BITS = ("nf4", "fp4")
UNPACKED = "derived.unpacked_dtype"


def template() -> str:
    """The statements that load the base in few bits and put a new or a saved adapter over it."""
    return TEMPLATE.read_text("utf-8")


def quantisation_rows(bf16: str = f"{CONFIG}bf16", absent: bool = True) -> tuple[Row, ...]:
    """A base that is quantised while it is loaded, for scripts that load it by transformers.

    ``bf16`` is the native key that says whether layers calculate in bfloat16.
    """

    def lift_compute(native: Any, half: Any, fp16: Any, four_bits: Any) -> tuple[()]:
        half = absent if half is MISSING else half
        meant = "bfloat16" if half else "float16" if fp16 is True else "float32"
        if four_bits is True and (native or "float32") != meant:
            raise Refuse(f"4-bit layers that calculate in {native}, the others in {meant}")
        return ()

    return (
        Row(
            ("model.quantization.type",),
            (f"{CALL}load_in_4bit", f"{CALL}load_in_8bit", f"{CALL}bnb_4bit_quant_type"),
            _lower_type,
            _lift_type,
            uses=("hardware.device", "train.eval_steps"),
            absent=(False, False, "fp4"),
        ),
        Row(
            ("model.quantization.double",),
            (f"{CALL}bnb_4bit_use_double_quant",),
            _if_four_bits,
            _lift_double,
            uses=("model.quantization.type",),
            reads=(f"{CALL}load_in_4bit", f"{CALL}load_in_8bit"),
            absent=(False,),
        ),
        packing_row(f"{CALL}load_in_4bit", f"{CALL}load_in_8bit"),
        Row(
            ("model.quantization.storage",),
            (f"{CALL}bnb_4bit_quant_storage",),
            _if_four_bits,
            lambda storage, four_bits: (storage or "uint8") if four_bits is True else None,
            uses=("model.quantization.type",),
            reads=(f"{CALL}load_in_4bit",),
            absent=(None,),
        ),
        Row(
            (),
            (f"{CALL}bnb_4bit_compute_dtype",),
            lambda dtype: MISSING if dtype is None else dtype,
            lift_compute,
            uses=(UNPACKED,),
            reads=(bf16, f"{CONFIG}fp16", f"{CALL}load_in_4bit"),
            absent=(None,),
        ),
        Row(
            (),
            (f"{CALL}llm_int8_threshold", f"{CALL}llm_int8_has_fp16_weight"),
            lambda kind: (6.0, False) if kind == "int8" else (MISSING, MISSING),
            _lift_int8,
            uses=("model.quantization.type",),
            absent=(6.0, False),
            reason="the outliers of LLM.int8() and weights without a second copy",
        ),
    )


def refuse_evaluation(kind: str | None, device: str, steps: Any) -> None:
    """4-bit weights do not survive an evaluation between two steps on every CPU."""
    if kind in FOUR_BITS and device == "cpu" and steps is not None:
        raise Refuse(
            "with AVX512-BF16, bitsandbytes repacks 4-bit weights at the first evaluation, and no "
            "gradient passes through them any more",
            "notyet",
            "leave data.eval out, or model.quantization: int8",
        )


def _lower_type(kind: str | None, device: str, steps: Any) -> Any:
    refuse_evaluation(kind, device, steps)
    if kind is None:
        return MISSING, MISSING, MISSING
    if kind == "int8":
        return MISSING, True, MISSING
    return True, MISSING, kind


def _lift_type(four_bits: bool, eight_bits: bool, kind: str) -> str | None:
    return kind if four_bits else "int8" if eight_bits else None


def _if_four_bits(value: Any, kind: str | None) -> Any:
    return value if kind in FOUR_BITS else MISSING


def _lift_double(double: bool, four_bits: Any, eight_bits: Any) -> bool | None:
    return bool(double) if four_bits is True else False if eight_bits is True else None


def _lift_int8(threshold: float, _has_fp16: bool) -> tuple[()]:
    if threshold != 6.0:
        raise Refuse(f"llm_int8_threshold={threshold!r} is not in a spec: it is always 6")
    return ()
