"""Rows of ZeRO, as the engine's JSON says it, and that JSON itself.

Keys and defaults: deepspeed 0.19.8, runtime/config.py and runtime/zero/config.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.emit import json
from ftspec.families.training.optimizers import TYPE, lower_type, no_torchao
from ftspec.families.training.schedules import TYPE as SCHEDULE
from ftspec.mapping import MISSING, Flat, Refuse, Row
from ftspec.read import json as read_json
from ftspec.spec.method import TUNERS
from ftspec.spec.precision import WEIGHTS

ENGINE = "ds_config.json"
DS = "ds_config."
"""Beginning of native keys, one for each setting of the engine."""
ZERO = f"{DS}zero_optimization."
STAGE = "hardware.zero.stage"
STAGE_USES = (
    "method.tuner.type",
    "model.dtype",
    "derived.stored_dtype",
    "model.quantization.type",
    "precision.compute",
    "hardware.tensor_parallel",
)
UNSEEN = frozenset(TUNERS) - {"full", "partial", "lora"}
"""Tuners that were not seen to train under stage 3."""
CPU = {"device": "cpu", "pin_memory": True}
OFFLOADS = {
    "hardware.zero.offload_optimizer": f"{ZERO}offload_optimizer",
    "hardware.zero.offload_parameters": f"{ZERO}offload_param",
}
FOLDER = "hardware.zero.offload_folder"


def _lower_stage(
    stage: int | None,
    tuner: str,
    dtype: str,
    stored: str | None,
    quantised: str | None,
    compute: str,
    cut: int | None,
) -> tuple[Any, Any]:
    if stage is None:
        return MISSING, MISSING
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
    return stage, True if stage == 3 or (cut or 1) > 1 else MISSING


def _place(on: bool | None, folder: str | None) -> Any:
    """Where states or parameters lie."""
    if not on:
        return MISSING if on is None else {"device": "none"}
    return CPU if folder is None else {**CPU, "device": "nvme", "nvme_path": folder}


def _lift_places(*natives: Any, held: bool | None) -> tuple[Any, ...]:
    """Whether each is moved, and the folder, which is the same for both."""
    said = [native or {} for native in natives]
    places = {one["device"] for one in said if one.get("device", "none") != "none"}
    if more := sorted(places - {"cpu", "nvme"}):
        raise Refuse(f"offloading to {more[0]} is not in a spec", "notimpl")
    if len(places) > 1:
        raise Refuse("one of them on disk, the other in CPU memory, is not in a spec", "notimpl")
    folders = {one.get("nvme_path") for one in said if one.get("device") == "nvme"}
    if len(folders) > 1:
        raise Refuse("one folder for states and another for parameters is not in a spec", "notimpl")
    (folder,) = folders or {None}
    if folders and not (isinstance(folder, str) and folder.startswith("/")):
        raise Refuse("a disk without the whole path of a folder is not in a spec", "notimpl")
    moved = (held if not one else one.get("device", "none") != "none" for one in said)
    return (*moved, folder)


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
        # what is moved away has to be sharded
        whole = "" if offload else "hardware.zero.stage: 0; or "
        raise Refuse(UNSHARDED[kind], "notyet", f"{whole}train.optimizer: adamw")
    refuse_offloaded(kind, offload)
    no_torchao(kind)
    return lower_type(kind, device, tuner)


def _scheduled(row: Row) -> Row:
    def lower(*values: Any) -> Any:
        *own, stage = values
        if own[0] == "polynomial" and stage:
            raise Refuse(
                "transformers asks the optimizer for its first rate, which ZeRO's does not have, and stops "
                "(optimization.py)",
                "notyet",
                "hardware.zero.stage: 0, or train.schedule: linear",
            )
        return row.lower(*own)

    return replace(row, lower=lower, uses=(*row.uses, STAGE))


def refuse_offloaded(kind: str, offload: bool | None) -> None:
    """What becomes of an optimizer whose states lie in CPU memory.

    Raises:
        Refuse: it is another than the engine puts there.
    """
    if offload and kind != "adamw":
        raise Refuse(
            "an optimizer in CPU memory is replaced by DeepSpeed's own Adam, whatever it was "
            "(accelerate, utils/deepspeed.py)",
            "notyet",
            "train.optimizer: adamw, or hardware.zero.offload_optimizer: false",
        )


def sharded(row: Row) -> Row:
    """The rows of the optimizer and the schedule with what sharding does to some; others as they are."""
    if row.paths[:1] == (SCHEDULE,):
        return _scheduled(row)
    if row.paths != (TYPE,):
        return row
    uses = (*row.uses, "hardware.zero.stage", "hardware.zero.offload_optimizer")
    return replace(row, lower=_lower_optimizer, uses=uses)


def zero_rows(silent: int | None, least: int = 0) -> tuple[Row, ...]:
    """Stage, offloading and leaves.

    ``silent`` is the stage where no key says one; below ``least`` no engine is needed, and none is asked.
    """
    held = False if silent is not None else None

    def asked(stage: int | None) -> bool:
        return stage is not None and stage >= least

    return (
        Row(
            (STAGE,),
            (f"{ZERO}stage", f"{ZERO}stage3_gather_16bit_weights_on_model_save"),
            lambda stage, *uses: _lower_stage(stage if asked(stage) else None, *uses),
            lambda stage, _gather: stage,
            uses=STAGE_USES,
            absent=(silent, False),
        ),
        Row(
            (*OFFLOADS, FOLDER),
            (*OFFLOADS.values(),),
            lambda optimizer, parameters, folder, stage: (
                (_place(optimizer, folder), _place(parameters, folder))
                if asked(stage)
                else (MISSING, MISSING)
            ),
            lambda *natives: _lift_places(*natives, held=held),
            uses=(STAGE,),
            absent=(None, None),
        ),
        Row(
            ("hardware.zero.leaf_modules",),
            (f"{ZERO}leaf_module",),
            lambda names, stage: {"classes": list(names or LEAVES)} if stage == 3 else MISSING,
            _lift_leaves,
            uses=(STAGE,),
        ),
        # The word auto: transformers fills it in from the trainer's arguments (integrations/deepspeed.py),
        # so that each number is said once. An optimizer or scheduler section is left out on purpose:
        # with one, weight decay would fall on every weight (docs/hazards.md#weight-decay).
        # train_batch_size is left out too: under stage 3 the engine reads it, still "auto", before
        # anything has filled it in.
        *(
            Row(
                (),
                (f"{DS}{key}",),
                lambda stage: "auto" if asked(stage) else MISSING,
                lambda _word: (),
                uses=(STAGE,),
                reason="the trainer's arguments say it",
            )
            for key in (
                "train_micro_batch_size_per_gpu",
                "gradient_accumulation_steps",
                "gradient_clipping",
            )
        ),
    )


def engine_text(native: Flat) -> str:
    """ds_config.json: `ds_config.a.b` keys as nested mappings."""
    tree: dict[str, Any] = {}
    for key, value in native.items():
        if not key.startswith(DS):
            continue
        *sections, name = key.removeprefix(DS).split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value
    return json.dump(tree)


def read_engine(text: str) -> Mapping[str, Any]:
    """The engine's settings by their native keys."""
    native: dict[str, Any] = {}
    for key, value in read_json.read(text).items():
        if key == "zero_optimization":
            native |= {f"{DS}{key}.{name}": inner for name, inner in value.items()}
        else:
            native[f"{DS}{key}"] = value
    return native
