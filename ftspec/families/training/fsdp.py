"""FSDP, as accelerate reads it from the environment: what `accelerate launch` would set.

Names and defaults: accelerate 1.11, FullyShardedDataParallelPlugin of utils/dataclasses.py; that trainers
take it from there: transformers 5.6, trainer.py, create_accelerator_and_postprocess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ftspec.mapping import MISSING, Flat, Refuse, Row, Support, identity, unsupported
from ftspec.spec.hardware import FSDP

PATH = "hardware.fsdp."
KEY = "launch.fsdp."
"""Beginning of native pseudo-keys, one for each field: they become variables."""
STRATEGY = f"{PATH}sharding_strategy"
FIELDS = tuple(f"{PATH}{name}" for name in FSDP.model_fields if f"{PATH}{name}" != STRATEGY)
RECOMPUTES = f"{KEY}activation_checkpointing"
SWITCH = "ACCELERATE_USE_FSDP"
MOVED: Mapping[str, str] = {
    "FSDP_SYNC_MODULE_STATES": "true",
    "FSDP_FORWARD_PREFETCH": "false",
    "FSDP_BACKWARD_PREFETCH": "BACKWARD_PRE",
}
"""Of version 1: how it moves data, not what it computes. Version 2 has none of them."""
MOVING = ("pissa", "olora", "eva", "loftq")
"""Beginnings of adapters that calculate with whole weights."""
TYPES = {"fp32": "float32", "bf16": "bfloat16"}
USES = (
    *FIELDS,
    "train.gradient_checkpointing",
    "hardware.device",
    "hardware.devices",
    "hardware.nodes",
    "method.objective.type",
    "method.tuner.type",
    "method.tuner.dropout",
    "method.tuner.dora",
    "method.tuner.init.type",
    "method.tuner.parameters",
    "method.tuner.plus_ratio",
    "method.tuner.trainable_tokens",
    "method.tuner.modules_to_save",
    "method.tuner.bias",
    "model.new_tokens.tokens",
    "model.dtype",
    "derived.stored_dtype",
    "model.quantization.type",
    "model.quantization.storage",
    "precision.compute",
    "train.optimizer.type",
    "train.keep",
    "train.qat.weights",
    "output.quantization",
)
Values = Mapping[str, Any]


class Case(NamedTuple):
    """Values that do not go together with FSDP, and why."""

    holds: Callable[[Values], Any]
    reason: str
    support: Support = "notimpl"
    hint: str = ""


def _held(values: Values) -> Any:
    """The type of the model's weights."""
    dtype = values["model.dtype"]
    return values["derived.stored_dtype"] if dtype == "auto" else dtype


def _packed_otherwise(values: Values) -> bool:
    needed = TYPES.get(values["precision.compute"])
    storage = values["model.quantization.storage"] or needed
    return values["model.quantization.type"] is not None and not storage == needed == _held(values)


CASES: Sequence[Case] = (
    Case(
        lambda v: v["hardware.device"] == "cpu",
        "accelerate shards on accelerators alone (state.py): on a CPU it would train unsharded, and say "
        "nothing",
        "notyet",
        "hardware.device: cuda, or run.backends: deepspeed with hardware.zero",
    ),
    Case(
        lambda v: v[STRATEGY] == "hybrid_shard" and v[f"{PATH}version"] == 2,
        "with version 2 it needs a mesh of devices, which is not written; without one it would be full_shard",
        hint="hardware.fsdp.version: 1",
    ),
    Case(
        lambda v: v[f"{PATH}min_num_params"] is not None and v[f"{PATH}version"] == 2,
        "torch's fully_shard stops at a list of layers, which has more parameters than any of them",
        "notyet",
        "hardware.fsdp.transformer_layer_cls_to_wrap, or version: 1",
    ),
    Case(
        lambda v: v[f"{PATH}activation_checkpointing"] and not v["train.gradient_checkpointing"],
        "the engine would recompute what train.gradient_checkpointing says is kept",
        "never",
        "train.gradient_checkpointing: true, or activation_checkpointing: false",
    ),
    Case(
        lambda v: v[f"{PATH}activation_checkpointing"] and v["method.tuner.dropout"],
        "with version 2 accelerate recomputes with other random numbers (fsdp2_apply_ac): gradients would be "
        "those of another dropout",
        "notyet",
        "hardware.fsdp.activation_checkpointing: false",
    ),
    Case(
        lambda v: (
            v[f"{PATH}version"] == 1
            and v["method.tuner.type"] != "full"
            and v["hardware.devices"] * v["hardware.nodes"] == 1
        ),
        "for one process torch cuts nothing (NO_SHARD), and what is frozen is then missing where the model "
        "is saved: it stops at the end of the training",
        "notyet",
        "hardware.devices, if there are several; else leave hardware.fsdp out",
    ),
    Case(
        lambda v: v["method.objective.type"] not in ("sft", "cpt"),
        "of all objectives only sft and cpt were seen to train under FSDP",
    ),
    Case(
        lambda v: v["method.tuner.type"] not in ("full", "partial", "lora"),
        "of all adapters only LoRA was seen to train under FSDP",
    ),
    Case(
        lambda v: v["method.tuner.init.type"] in MOVING,
        "this beginning of adapters calculates with whole weights, and was not seen under FSDP",
        hint="method.tuner.init: default",
    ),
    Case(
        lambda v: v["method.tuner.parameters"] or v["method.tuner.trainable_tokens"],
        "peft asks weights for their shape and rows, and FSDP has cut them into pieces",
        hint="leave method.tuner.parameters and trainable_tokens out",
    ),
    Case(
        lambda v: v["model.new_tokens.tokens"],
        "tokens beyond the model's own were not seen under FSDP",
        hint="leave model.new_tokens out",
    ),
    Case(
        lambda v: v["method.tuner.dora"],
        "DoRA was not seen to train under FSDP",
        hint="method.tuner.dora: false",
    ),
    Case(
        lambda v: v["method.tuner.plus_ratio"] is not None,
        "LoRA+ makes its optimizer itself, and was not seen under FSDP",
        hint="method.tuner.plus_ratio: null",
    ),
    Case(
        lambda v: v["precision.compute"] not in ("fp32", "bf16", "bf16-pure"),
        "of mixed precisions only bf16 was seen to train under FSDP",
        hint="precision: bf16",
    ),
    Case(
        lambda v: (
            v["method.tuner.type"] == "full"
            and v["precision.compute"] == "bf16"
            and _held(v) != "float32"
        ),
        "under mixed precision accelerate turns weights that train into float32 (utils/fsdp_utils.py)",
        "notyet",
        "model.dtype: float32, or precision: bf16-pure",
    ),
    Case(
        lambda v: (
            v["method.tuner.type"] == "partial"
            and (_held(v) != "float32" or not v[f"{PATH}use_orig_params"])
        ),
        "where a part trains, FSDP needs one type for all weights, and parameters of their own",
        "notyet",
        "model.dtype: float32, and use_orig_params: true",
    ),
    Case(
        lambda v: v["model.quantization.type"] is not None and v[f"{PATH}version"] == 2,
        "torch's fully_shard makes plain numbers of packed weights; axolotl patches it for that "
        "(monkeypatch/fsdp2_qlora.py)",
        "notyet",
        "hardware.fsdp.version: 1, or run.backends: deepspeed with hardware.zero: 2",
    ),
    Case(
        lambda v: v["model.quantization.type"] == "int8",
        "weights of 8 bits are whole numbers, and a flat row of numbers has one type",
        "notyet",
        "model.quantization: nf4",
    ),
    Case(
        _packed_otherwise,
        "a flat row of numbers has one type: packed weights must be stored in that of the arithmetic, and "
        "the other weights in the same",
        "notyet",
        "model.quantization.storage: bfloat16, model.dtype: bfloat16, precision: bf16",
    ),
    Case(
        lambda v: v["train.optimizer.type"] not in ("adamw", "sgd", "adagrad", "rmsprop"),
        "this optimizer was not seen to step on pieces of weights",
        hint="train.optimizer: adamw",
    ),
    Case(
        lambda v: v["train.keep"] == "best",
        "loading the best checkpoint back was not seen under FSDP",
        hint="train.keep: last",
    ),
    Case(
        lambda v: v["train.qat.weights"] is not None or v["output.quantization"] is not None,
        "torchao's copies of layers and copies in few bits were not seen under FSDP",
        hint="leave them out",
    ),
)


def fsdp_rows(*own: Case) -> tuple[Row, ...]:
    """One row for each field, as a native pseudo-key; ``own`` are a backend's own refusals."""

    def lower(strategy: str | None, *uses: Any) -> Any:
        values = {STRATEGY: strategy, **dict(zip(USES, uses, strict=True))}
        for case in (*own, *CASES) if strategy is not None else ():
            if case.holds(values):
                raise Refuse(case.reason, case.support, case.hint)
        return MISSING if strategy is None else strategy

    first = Row((STRATEGY,), (_key(STRATEGY),), lower, identity, uses=USES, absent=(None,))
    return (
        first,
        *(Row((path,), (_key(path),), _kept, identity, absent=(None,)) for path in FIELDS),
    )


def no_fsdp(
    reason: str, support: Support = "never", hint: str = "run.backends: trl"
) -> tuple[Row, ...]:
    """Refusal of a backend that does not shard so; it stands at the first field, for all."""
    rest = (Row((path,), (), lambda _value: (), lambda: None) for path in FIELDS)
    return (unsupported(STRATEGY, reason, support, hint=hint), *rest)


def sharded(native: Flat) -> bool:
    """Whether the run is under FSDP."""
    return _key(STRATEGY) in native


def in_pieces(native: Flat) -> bool:
    """Whether checkpoints are saved in pieces, as the end result must not be."""
    return bool(native.get(f"{KEY}state_dict_type") == "sharded")


def environment(native: Flat) -> dict[str, str]:
    """What accelerate reads; nothing where nothing is sharded by it."""
    if not sharded(native):
        return {}
    given = {key.removeprefix(KEY): value for key, value in native.items() if key.startswith(KEY)}
    strategy, layers = given["sharding_strategy"], given.get("transformer_layer_cls_to_wrap")
    least = given.get("min_num_params")
    variables = {
        SWITCH: "true",
        "FSDP_VERSION": str(given["version"]),
        "FSDP_OFFLOAD_PARAMS": _word(given["offload_parameters"]),
        "FSDP_AUTO_WRAP_POLICY": "SIZE_BASED_WRAP" if least else "TRANSFORMER_BASED_WRAP",
        "FSDP_STATE_DICT_TYPE": f"{given['state_dict_type'].upper()}_STATE_DICT",
        "FSDP_ACTIVATION_CHECKPOINTING": _word(given["activation_checkpointing"]),
        "FSDP_CPU_RAM_EFFICIENT_LOADING": _word(given["cpu_ram_efficient_loading"]),
    }
    if layers:
        variables["FSDP_TRANSFORMER_CLS_TO_WRAP"] = ",".join(layers)
    if least:
        variables["FSDP_MIN_NUM_PARAMS"] = str(least)
    if given["version"] == 2:
        return variables | {"FSDP_RESHARD_AFTER_FORWARD": _word(strategy == "full_shard")}
    own = {"FSDP_USE_ORIG_PARAMS": _word(given["use_orig_params"]), **MOVED}
    return variables | {"FSDP_SHARDING_STRATEGY": strategy.upper(), **own}


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Native values of what `environment` wrote."""
    if environ.get(SWITCH) != "true":
        return {}
    version = int(environ["FSDP_VERSION"])
    reshard = environ.get("FSDP_RESHARD_AFTER_FORWARD")
    again = "full_shard" if reshard == "true" else "shard_grad_op"
    found: dict[str, Any] = {
        "sharding_strategy": environ.get("FSDP_SHARDING_STRATEGY", again).lower(),
        "version": version,
        "offload_parameters": environ["FSDP_OFFLOAD_PARAMS"] == "true",
        "state_dict_type": environ["FSDP_STATE_DICT_TYPE"].partition("_")[0].lower(),
        "activation_checkpointing": environ["FSDP_ACTIVATION_CHECKPOINTING"] == "true",
        "cpu_ram_efficient_loading": environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] == "true",
        "use_orig_params": environ.get("FSDP_USE_ORIG_PARAMS", "true") == "true",
    }
    if layers := environ.get("FSDP_TRANSFORMER_CLS_TO_WRAP"):
        found["transformer_layer_cls_to_wrap"] = tuple(layers.split(","))
    if least := environ.get("FSDP_MIN_NUM_PARAMS"):
        found["min_num_params"] = int(least)
    return {KEY + name: value for name, value in found.items()}


def _key(path: str) -> str:
    return path.replace(PATH, KEY)


def _kept(value: Any) -> Any:
    return MISSING if value is None else value


def _word(on: bool) -> str:
    return str(on).lower()
