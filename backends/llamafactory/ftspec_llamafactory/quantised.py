"""A quantised base, by LLaMA-Factory's keys.

Names: llamafactory 0.9.5, hparams/model_args.py; what they do: model/model_utils/quantization.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.weights.packed_experts import no_packing
from ftspec.families.weights.quantised import FOUR_BITS, UNPACKED, refuse_evaluation
from ftspec.families.weights.stored import DTYPE, refuse_other_type, stored_row
from ftspec.mapping import MISSING, Lossy, Refuse, Row

TUNER = "method.tuner.type"

READERS = {"gptq": "gptqmodel and optimum", "awq": "autoawq, and transformers for gptqmodel"}
"""What it asks for beside transformers, by the kind of a checkpoint that is quantised already."""
BITS = {"nf4": 4, "fp4": 4, "int8": 8}


def quantisation_rows() -> tuple[Row, ...]:
    """Quantised while it is loaded; the type of the arithmetic and of the container follow from bf16."""
    return (
        Row(
            ("model.quantization.type",),
            ("quantization_method", "quantization_bit", "quantization_type", "upcast_layernorm"),
            _lower_type,
            _lift_type,
            uses=("hardware.device", "train.eval_steps", "precision.compute"),
            absent=("bnb", None, "nf4", False),
        ),
        Row(
            ("model.quantization.double",),
            ("double_quantization",),
            lambda double, kind: double if kind in FOUR_BITS else MISSING,
            lambda double, bits: double if bits == 4 else False if bits == 8 else None,
            uses=("model.quantization.type",),
            reads=("quantization_bit",),
            absent=(True,),
        ),
        no_packing(
            "it packs linear layers alone",
            ("quantization_bit",),
            lambda bits: bits in (4, 8),
            "notyet",
        ),
        Row(
            ("model.quantization.storage",),
            (),
            _lower_storage,
            _lift_storage,
            uses=(UNPACKED,),
            reads=("quantization_bit", "bf16", "fp16"),
            reason="packed weights always lie in the type of the arithmetic",
        ),
    )


def unpacking_row() -> Row:
    """A checkpoint that is quantised already: it always unpacks fp8, without a key."""
    uses = (DTYPE, TUNER, "derived.stored_dtype", "hardware.zero.stage", "model.new_tokens.tokens")
    return stored_row((), _lower_stored, lambda: (MISSING, MISSING), uses)


def _lower_stored(
    kind: str,
    _whole: bool,
    unpacked: str | None,
    tuner: str,
    stored: str | None,
    stage: int | None,
    added: Any,
) -> tuple[()]:
    if kind in READERS:
        raise Refuse(
            f"it asks for what unpacks {kind} ({READERS[kind]}), which is not in its lock, and leaves the "
            "kernel to the machine",
            "notimpl",
            "run.backends: trl",
        )
    if kind == "mxfp4":
        raise Refuse(
            "only gpt-oss is in mxfp4, and for gpt-oss it asks transformers for a function that is not there "
            "any more, and stops (model/model_utils/attention.py)",
            "notyet",
            "run.backends: trl",
        )
    if stage is not None or added:
        raise Refuse(
            "under ZeRO, or beside new tokens, a checkpoint that is quantised already was not seen",
            "notimpl",
            "run.backends: trl",
        )
    if tuner != "full":  # all that trains is lifted to float32
        refuse_other_type(unpacked, stored)
    return ()


def _lower_type(kind: str | None, device: str, steps: Any, compute: str) -> tuple[Any, ...]:
    refuse_evaluation(kind, device, steps)
    if kind in FOUR_BITS and device == "cuda" and compute == "fp32":
        raise Refuse(
            "without mixed precision its 4-bit layers calculate in what the GPU can do best: bfloat16 or "
            "float16 (extras/misc.py)",
            "notyet",
            "precision.compute: bf16",
        )
    if kind is None:
        return MISSING, MISSING, MISSING, MISSING
    return "bnb", BITS[kind], kind if kind in FOUR_BITS else MISSING, False


def _lift_type(method: str, bits: int | None, kind: str, upcast: bool) -> str | None:
    if upcast:
        raise Refuse("norms in float32 beside weights in 16 bits are not in a spec yet", "notimpl")
    if bits is None:
        return None
    if method != "bnb" or bits not in (4, 8):
        raise Refuse(f"{bits} bits by {method} are not in a spec yet", "notimpl")
    return kind if bits == 4 else "int8"


def _lower_storage(storage: str | None, unpacked: str | None) -> Any:
    if storage != unpacked:
        return Lossy(
            (),
            f"packed weights always lie in the type of the arithmetic, {unpacked}: the first values of a new "
            "adapter are rounded to that",
        )
    return ()


def _lift_storage(bits: Any, bf16: Any, fp16: Any) -> str | None:
    if bits != 4:
        return None
    return "bfloat16" if bf16 is True else "float16" if fp16 is True else "float32"
