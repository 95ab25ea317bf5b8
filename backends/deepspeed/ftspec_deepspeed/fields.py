"""Spec paths <-> ds_config.json, beside the arguments of the shared TRL script.

Keys and defaults: deepspeed 0.19.8, runtime/config.py and runtime/zero/config.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ftspec.families.maps import Maps, everything
from ftspec.families.objectives.preference import Bar
from ftspec.families.objectives.reward import NO_STAGE_3
from ftspec.families.scripts.sft_script import CONFIG, shared_rows
from ftspec.families.training.fsdp import no_fsdp
from ftspec.families.training.optimizers import TYPE, lower_type, no_torchao
from ftspec.families.tuners.adapters import lower_tuner
from ftspec.families.weights.float8 import no_float8
from ftspec.families.weights.qat import NO_TORCHAO, copy_row, no_qat
from ftspec.families.weights.quantised import quantisation_rows
from ftspec.mapping import MISSING, FieldMap, Refuse, Row, constant, only, replaced, unsupported
from ftspec.spec.method import TUNERS
from ftspec.spec.precision import WEIGHTS
from ftspec_deepspeed.precision import AUTOCAST, SEEN, precision_row
from ftspec_deepspeed.sequences import sequence_row

DS = "ds_config."
ZERO = f"{DS}zero_optimization."
UNSEEN = frozenset(TUNERS) - {"full", "partial", "lora"}
"""Tuners that were not seen to train under stage 3."""
CPU = {"device": "cpu", "pin_memory": True}


def _lower_stage(
    stage: int,
    tuner: str,
    dtype: str,
    stored: str | None,
    quantised: str | None,
    compute: str,
) -> tuple[int, Any]:
    if stage == 3 and quantised is not None:
        raise Refuse(
            "stage 3 cuts weights into pieces, and packed weights cannot be cut: their constants stay "
            "behind",
            "notyet",
            "hardware.zero.stage: 2",
        )
    if stage == 3 and tuner in UNSEEN:
        raise Refuse(
            "of all adapters only LoRA was seen to train under stage 3",
            "notimpl",
            "hardware.zero.stage: 2",
        )
    held = "float32" if compute in WEIGHTS else stored if dtype == "auto" else dtype
    if stage == 3 and tuner == "lora" and held != "float32":
        raise Refuse(
            "under stage 3 an adapter is held in the model's own type, not in float32",
            "notyet",
            "hardware.zero.stage: 2, or model.dtype: float32",
        )
    if stage == 3 and tuner == "partial" and dtype == "auto" and compute not in WEIGHTS:
        raise Refuse(
            "stage 3 needs one type for all weights, and only what trains is float32",
            "notyet",
            "hardware.zero.stage: 2, or model.dtype: float32",
        )
    # without it a sharded model is left in pieces that no other program loads: the end result would
    # hold no weights. The name's 16 bits are history: each weight is saved in its own type.
    return stage, True if stage == 3 else MISSING


def _lower_offload(on: bool) -> Any:
    return CPU if on else {"device": "none"}


def _lift_offload(native: Any) -> bool:
    device = (native or {}).get("device", "none")
    if device not in ("none", "cpu"):
        raise Refuse(f"offloading to {device} is not in a spec yet", "notimpl")
    return bool(device == "cpu")


LEAVES = tuple(
    f"transformers.models.{name}.modeling_{name}.{word}SparseMoeBlock"
    for name, word in (("mixtral", "Mixtral"), ("qwen2_moe", "Qwen2Moe"), ("qwen3_moe", "Qwen3Moe"))
)
"""What the engine takes for leaves by itself: runtime/zero/leaf_module_config.py."""


def _lift_leaves(native: dict[str, Any]) -> tuple[str, ...] | None:
    if more := sorted(set(native) - {"classes"}):
        raise Refuse(f"leaf modules by {' and '.join(more)} are not in a spec", "notimpl")
    names = native["classes"]
    found = (names,) if isinstance(names, str) else tuple(names)
    return None if found == LEAVES else found


FLAT = "and ZeRO hands it all weights as one flat row of numbers"
BLOCKS = f"it quantises in blocks of a weight, and spares embeddings, {FLAT}"
UNSHARDED = {
    "adamw-8bit": BLOCKS,
    "paged-adamw-8bit": BLOCKS,
    "torchao-adamw-8bit": f"it quantises in blocks, and spares small weights, {FLAT}",
    "torchao-adamw-4bit": f"it quantises in blocks, and spares small weights, {FLAT}",
    "lion-8bit": BLOCKS,
    "paged-lion-8bit": BLOCKS,
    "adafactor": f"it takes means over the rows and columns of a weight, {FLAT}",
    "galore": f"it projects matrices, {FLAT}",
    "adagrad": "ZeRO makes it anew with one group of weights, without the settings of each "
    "(runtime/zero/stage_1_and_2.py), and fails",
}
"""Optimizers that do not survive sharding, and why."""


def _lower_optimizer(kind: str, device: str, tuner: str, stage: int, offload: bool) -> str:
    if stage and kind in UNSHARDED:
        raise Refuse(UNSHARDED[kind], "notyet", "hardware.zero.stage: 0")
    if offload and kind != "adamw":
        raise Refuse(
            "an optimizer in CPU memory is replaced by DeepSpeed's own Adam, whatever it was "
            "(accelerate, utils/deepspeed.py)",
            "notyet",
            "train.optimizer: adamw, or hardware.zero.offload_optimizer: false",
        )
    no_torchao(kind)
    return lower_type(kind, device, tuner)


def sharded(row: Row) -> Row:
    """The row of the optimizer with what sharding does to some; other rows as they are."""
    if row.paths != (TYPE,):
        return row
    uses = (*row.uses, "hardware.zero.stage", "hardware.zero.offload_optimizer")
    return replace(row, lower=_lower_optimizer, uses=uses)


def _lower_tuner(tuner: str, quantised: str | None) -> str:
    if tuner == "adalora":
        raise Refuse(
            "the engine makes its step inside of the backward pass, and gradients are gone when ranks "
            "should be allotted by them",
            "notyet",
            "run.backends: trl",
        )
    return lower_tuner(tuner, quantised)


def stepped(row: Row) -> Row:
    """The row of the tuner without those that need more of a step; other rows as they are."""
    return replace(row, lower=_lower_tuner) if row.paths == ("method.tuner.type",) else row


PRECISE = {*precision_row().paths}
SFT = FieldMap(
    "deepspeed",
    (
        *replaced(
            map(
                stepped, map(sharded, (row for row in shared_rows() if not PRECISE & {*row.paths}))
            ),
            *only(
                "method.tuner.type",
                "oft",
                unsupported(
                    "method.tuner.coft",
                    "constrained OFT sets weights back within the forward pass, behind the engine's back: "
                    "it was seen to end elsewhere than TRL",
                    neutral=(False,),
                ),
            ),
        ),
        *quantisation_rows(AUTOCAST, absent=False),
        sequence_row(),
        *no_fsdp(
            "DeepSpeed is the other engine: it shards by ZeRO",
            hint="run.backends: trl; or hardware.zero",
        ),
        no_float8(),
        no_qat(NO_TORCHAO),
        copy_row(foreseen=False),
        constant(f"{CONFIG}deepspeed", "ds_config.json", "the engine's own settings"),
        Row(
            ("hardware.zero.stage",),
            (f"{ZERO}stage", f"{ZERO}stage3_gather_16bit_weights_on_model_save"),
            _lower_stage,
            lambda stage, _gather: stage,
            uses=(
                "method.tuner.type",
                "model.dtype",
                "derived.stored_dtype",
                "model.quantization.type",
                "precision.compute",
            ),
            absent=(0, False),
        ),
        Row(
            ("hardware.zero.offload_optimizer",),
            (f"{ZERO}offload_optimizer",),
            _lower_offload,
            _lift_offload,
            absent=(None,),
        ),
        Row(
            ("hardware.zero.offload_parameters",),
            (f"{ZERO}offload_param",),
            _lower_offload,
            _lift_offload,
            absent=(None,),
        ),
        Row(
            ("hardware.zero.leaf_modules",),
            (f"{ZERO}leaf_module",),
            lambda names, stage: {"classes": list(names or LEAVES)} if stage == 3 else MISSING,
            _lift_leaves,
            uses=("hardware.zero.stage",),
        ),
        # The word auto: transformers fills it in from the script's arguments (integrations/deepspeed.py),
        # so that each number is said once. An optimizer or scheduler section is left out on purpose:
        # with one, weight decay would fall on every weight (docs/hazards.md#weight-decay).
        # train_batch_size is left out too: under stage 3 the engine reads it, still "auto", before
        # anything has filled it in.
        *(
            constant(f"{DS}{key}", "auto", "the script says it")
            for key in (
                "train_micro_batch_size_per_gpu",
                "gradient_accumulation_steps",
                "gradient_clipping",
            )
        ),
        precision_row(),
    ),
)
PAIRED = {
    "precision.compute": SEEN,
    "hardware.zero.stage": Bar(
        lambda stage: stage != 3,
        "under stage 3 pairs and their reference were not seen to train",
        "notimpl",
        "hardware.zero.stage: 2",
    ),
}
SAMPLED = {
    "precision.compute": SEEN,
    "method.objective.generation.engine": Bar(
        lambda engine: engine == "transformers",
        "vLLM is in the lock of the trl backend alone",
        "notimpl",
        "run.backends: trl",
    ),
    "hardware.zero.stage": Bar(
        lambda stage: stage != 3,
        "under stage 3 completions were not seen to be drawn",
        "notimpl",
        "hardware.zero.stage: 2",
    ),
}
MAPS = Maps(everything(SFT, PAIRED, {**NO_STAGE_3, "precision.compute": SEEN}, SAMPLED))
