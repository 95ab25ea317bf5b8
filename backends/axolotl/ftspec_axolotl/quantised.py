"""Spec paths <-> axolotl's keys for a base that bitsandbytes packs (loaders/model.py of 0.19.0).

Four bits go with `adapter: qlora`, eight with `adapter: lora`. What axolotl would choose for four bits
(double quantisation, storage in bfloat16) is written out: `bnb_config_kwargs` goes over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.families.weights.packed_experts import no_packing
from ftspec.families.weights.quantised import FOUR_BITS
from ftspec.mapping import MISSING, Refuse, Row

TYPE = "model.quantization.type"
PACKED = "bnb_config_kwargs"
CHOSEN: Mapping[str, Any] = {
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_quant_storage": "bfloat16",
}
"""What it takes where nothing is said."""


def quantisation_rows() -> tuple[Row, ...]:
    """Bits, and how four of them are packed."""
    return (
        Row(
            (TYPE, "model.quantization.double", "model.quantization.storage"),
            ("load_in_4bit", "load_in_8bit", PACKED),
            _lower,
            _lift,
            uses=("precision.compute", "method.tuner.type"),
            reads=("adapter",),
            absent=(False, False, None),
        ),
        no_packing(
            "its quantize_moe_experts packs what arrives on a GPU, and is not compiled for it yet",
            ("load_in_4bit", "load_in_8bit", "adapter"),
            lambda four, eight, adapter: (
                (bool(four), bool(eight), adapter)
                in ((True, False, "qlora"), (True, True, "qlora"), (False, True, "lora"))
            ),
            "notimpl",
        ),
    )


def _lower(
    kind: str | None, double: bool | None, storage: str | None, compute: str, tuner: str
) -> tuple[Any, ...]:
    if kind is None:
        return False, False, MISSING
    if tuner != "lora":
        raise Refuse(
            "of all adapters only LoRA is compiled for it yet over a quantised base", "notimpl"
        )
    if kind in FOUR_BITS:
        kept = ("bfloat16",) if compute == "bf16" else (None, "uint8", "float32")
        if storage not in kept:
            # peft 0.20, tuners_utils.py, _get_base_layer_device_and_dtype; in 0.18 to that of the container
            raise Refuse(
                "its peft rounds a new adapter to the type of the arithmetic, others' to the container's",
                "never",
                f"model.quantization.storage: {kept[-1]}",
            )
        packed = dict(zip(CHOSEN, (kind, bool(double), storage or "uint8"), strict=True))
        return True, False, packed
    if compute != "bf16":
        raise Refuse(
            "beside weights in 8 bits it loads all others in float16, unless it calculates in bfloat16 "
            "(utils/config, resolve_dtype)",
            "notyet",
            "precision: bf16, or model.quantization: nf4",
        )
    return False, True, MISSING


def _lift(four: bool, eight: bool, packed: Any, adapter: Any) -> tuple[Any, ...]:
    if four and adapter == "qlora":
        told = {**CHOSEN, **(packed or {})}
        if more := sorted(told.keys() - CHOSEN.keys()):
            raise Refuse(f"{', '.join(more)} of bnb_config_kwargs: not in a spec")
        return tuple(told[name] for name in CHOSEN)
    if eight and adapter == "lora":
        return "int8", False, None
    return None, None, None
