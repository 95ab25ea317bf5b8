"""Oumi's section `deepspeed`, as it hands it to the trainer (core/configs/params/deepspeed_params.py).

0.9 writes the engine's JSON itself (`to_deepspeed`), with the word `auto` for what the trainer says.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.deepspeed.blocks import MOVED, RECOMPUTED, SHOWN
from ftspec.port.formats.oumi.sharding import enabled, member
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    derived,
    engine_file,
    inert,
    says,
    section,
    unknown,
    unless,
)

ZERO = "hardware.zero."
PLACES = {
    "offload_optimizer": f"{ZERO}offload_optimizer",
    "offload_param": f"{ZERO}offload_parameters",
}
STAGES = ("ZERO_0", "ZERO_1", "ZERO_2", "ZERO_3")
AUTO = "the trainer says it"
NO_FOLDER = "Oumi hands the engine no folder for a disk, and settings that it has not: it stops"
OTHERWISE = "the engine and the trainer say different things, and one of them stops"


def _here(rule: Rule) -> Rule:
    """Settings of the section, which no file stands in for."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if section(context, "deepspeed").get("deepspeed_config_path") is not None:
            return Outcome("inert", why="deepspeed_config_path stands in its place")
        return rule(setting, context)

    return enabled("deepspeed", chosen)


def _stage(context: Context) -> int | None:
    word = member(section(context, "deepspeed").get("zero_stage", "ZERO_0"))
    return STAGES.index(word) if word in STAGES else None


def _staged(setting: Setting, context: Context) -> Outcome:
    if (stage := _stage(context)) is None:
        return Outcome("unknown", why=f"Oumi knows {', '.join(STAGES)}")
    return Outcome("renamed", spec={f"{ZERO}stage": stage})


def _device(setting: Setting, _context: Context) -> Outcome:
    if member(setting.value).upper() != "CPU":
        return Outcome("unknown", why=NO_FOLDER)
    return Outcome("derived", of=(PLACES[setting.key.split(".")[1]],))


def _precision(setting: Setting, context: Context) -> Outcome:
    """`auto` again: the trainer's own word, which has to be the same or none."""
    said = member(section(context, "training").get("mixed_precision_dtype", "NONE"))
    if setting.value is None or said in ("NONE", member(setting.value).upper()):
        return Outcome("inert", why=AUTO)
    return Outcome("unknown", why=OTHERWISE)


def engine(context: Context) -> dict[str, Any]:
    """What holds where the section is on: its stage is 0 unless it says one."""
    said = section(context, "deepspeed")
    if said.get("enable_deepspeed") is not True or said.get("deepspeed_config_path") is not None:
        return {}
    stage = _stage(context)
    spec: dict[str, Any] = {} if stage is None else {f"{ZERO}stage": stage}
    for name, path in PLACES.items():
        place = said.get(name)
        spec[path] = isinstance(place, dict) and member(place.get("device", "CPU")).upper() == "CPU"
    return spec


ENGINE_RULES: dict[str, Rule] = {
    "deepspeed.enable_deepspeed": enabled(
        "deepspeed", derived(f"{ZERO}stage")
    ),
    "deepspeed.deepspeed_config_path": enabled(
        "deepspeed", unless((None,), "the section says it", engine_file)
    ),
    "deepspeed.zero_stage": _here(_staged),
    **{f"deepspeed.{name}": _here(
        lambda setting, _context: Outcome("derived", of=(PLACES[setting.key.split(".")[1]],))
        if setting.value == {} else Outcome("inert", why="it is off")
    ) for name in PLACES},
    **{f"deepspeed.{name}.": _here(inert(MOVED)) for name in PLACES},
    **{f"deepspeed.{name}.device": _here(_device) for name in PLACES},
    "deepspeed.precision": _here(_precision),
    "deepspeed.gradient_clipping": _here(
        unless(("auto",), AUTO, says("train.max_grad_norm", lambda norm: norm or None))
    ),
    **{f"deepspeed.{name}": _here(unless(("auto",), AUTO, unknown(OTHERWISE))) for name in (
        "train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")},
    **{f"deepspeed.{name}": _here(inert(MOVED)) for name in (
        "overlap_comm", "contiguous_gradients", "reduce_bucket_size", "allgather_bucket_size",
        "allgather_partitions", "reduce_scatter", "round_robin_gradients",
        "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold",
        "stage3_max_live_parameters", "stage3_max_reuse_distance", "sub_group_size",
        "memory_efficient_linear")},
    **{f"deepspeed.{name}": _here(inert("which optimizers it agrees to step")) for name in (
        "zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer")},
    "deepspeed.stage3_gather_16bit_weights_on_model_save": _here(
        inert("the end result always holds all weights")
    ),
    "deepspeed.activation_checkpointing": _here(inert(RECOMPUTED)),
    "deepspeed.activation_checkpointing.": _here(inert(RECOMPUTED)),
    "deepspeed.steps_per_print": _here(inert(SHOWN)),
    "deepspeed.wall_clock_breakdown": _here(inert(SHOWN)),
    "deepspeed.": unknown("Oumi has no such setting"),
}  # fmt: skip
