"""ZeRO's section: what is sharded, where it lies, and in which numbers it travels.

deepspeed 0.19.8, runtime/zero/config.py and offload_config.py, which stop at keys that they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Kind, Setting
from ftspec.port.formats.deepspeed.blocks import MOVED
from ftspec.port.formats.deepspeed.precision import NO_SECTION
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    group,
    inert,
    nearly,
    renamed,
    section,
    unknown,
    unless,
)

DS = "ds_config."
ZERO = "zero_optimization."
PLACES = {
    "offload_optimizer": "hardware.zero.offload_optimizer",
    "offload_param": "hardware.zero.offload_parameters",
}
OLDER = {
    "cpu_offload": "offload_optimizer",
    "cpu_offload_param": "offload_param",
    "cpu_offload_params": "offload_param",
}
"""Names of older versions, which know CPU memory alone."""
ZENFLOW = (
    "each step takes the columns with the largest gradients, and the rest waits for update_interval steps: "
    "that is not in a spec, and needs an optimizer in this file"
)
"""runtime/zenflow/: without the engine's own optimizer it stops."""
FRACTION = "a part that stays on the device takes the same step there"
MICS = "shards within groups of devices, in versions that had them: their sums are the same"
KNOBS = (
    "allgather_bucket_size", "allgather_partitions", "allgather_size", "contiguous_gradients",
    "cpu_offload_use_pin_memory", "elastic_checkpoint", "enable_sanity_checks", "ignore_unused_parameters",
    "legacy_stage1", "load_from_fp32_weights", "log_trace_cache_warnings", "memory_efficient_linear",
    "module_granularity_threshold", "overlap_comm", "override_module_apply", "parameter_alignment",
    "pipeline_loading_checkpoint", "reduce_bucket_size", "reduce_scatter", "round_robin_gradients",
    "save_muon_momentum_buffer_in_memory", "sub_group_size", "use_all_reduce_for_fetch_params",
    "use_multi_rank_bucket_allreduce", "zero_hpz_partition_size", "allgather_sequential",
    "gather_16bit_weights_on_model_save", "max_live_parameters", "max_reuse_distance",
    "model_persistence_threshold", "param_persistence_threshold", "prefetch_bucket_size",
)  # fmt: skip
"""Settings of speed and memory."""
ALIASES = (
    "allgather_sequential", "gather_16bit_weights_on_model_save", "max_live_parameters", "max_reuse_distance",
    "model_persistence_threshold", "module_granularity_threshold", "param_persistence_threshold",
    "prefetch_bucket_size", "use_all_reduce_for_fetch_params",
)  # fmt: skip
"""Those of them that have a name with `stage3_` before it as well: the engine stops at other such names."""
FILLED = ("reduce_bucket_size", "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold")
"""Sizes that the word `auto` takes from the model (transformers, integrations/deepspeed.py)."""
TUNED: Mapping[str, Any] = {
    "allgather_bucket_size": 500_000_000,
    "allgather_partitions": True,
    "contiguous_gradients": True,
    "memory_efficient_linear": True,
    "reduce_bucket_size": 500_000_000,
    "reduce_scatter": True,
    "round_robin_gradients": False,
    "sub_group_size": 1_000_000_000,
    "zero_hpz_partition_size": 1,
    "stage3_max_live_parameters": 1_000_000_000,
    "stage3_max_reuse_distance": 1_000_000_000,
    "stage3_module_granularity_threshold": 0,
    "stage3_param_persistence_threshold": 100_000,
    "stage3_prefetch_bucket_size": 50_000_000,
}
"""What the engine assumes of those that people tune: others are handed on to it."""
SPEED = (
    "buffer_count", "buffer_size", "max_in_cpu", "pin_memory", "pipeline_read",
    "pipeline_write", "fast_init", "cpuadam_cores_perc",
)  # fmt: skip
"""Settings of what is offloaded that say how fast it moves."""


def stage(context: Context) -> Any:
    """ZeRO's stage; 0 where none is said."""
    said = section(context, "zero_optimization").get("stage", 0)
    return filled(context, "zero_stage", 2) if said == "auto" else said


def filled(context: Context, name: str, assumed: Any) -> Any:
    """What accelerate writes for `auto`: its own setting, or what it has without one.

    accelerate 1.11, utils/dataclasses.py, DeepSpeedPlugin.
    """
    launched = context.companions.get("accelerate")
    said = launched.data.get("deepspeed_config") if launched is not None else None
    value = said.get(name) if isinstance(said, dict) else None
    return assumed if value is None else value


def device(context: Context, place: str) -> Any:
    """Where `offload_optimizer` or `offload_param` puts things."""
    there = section(context, "zero_optimization").get(place)
    said = there.get("device", "none") if isinstance(there, dict) else "none"
    return filled(context, f"{place}_device", "none") if said == "auto" else said


def _stage(setting: Setting, context: Context) -> Outcome:
    if setting.value != "auto":
        return renamed(f"{DS}{ZERO}stage")(setting, context)
    if context.main is None and "accelerate" not in context.companions:
        return Outcome(
            "unknown", why="auto: accelerate fills it in where it launches, and with 2 elsewhere"
        )
    return Outcome("derived", {f"{DS}{ZERO}stage": stage(context)}, why="as accelerate fills it in")


def _whole(setting: Setting, _context: Context) -> Outcome:
    """An older form: a switch for stage 1 (runtime/zero/config.py, read_zero_config_deprecated)."""
    if isinstance(setting.value, bool):
        return Outcome("derived", spec={"hardware.zero.stage": int(setting.value)})
    if setting.value != {}:
        return Outcome("unknown", why=NO_SECTION)
    return Outcome("inert", why="empty")


def _offload(setting: Setting, context: Context) -> Outcome:
    """Where states or parameters lie: its other settings say how fast they move."""
    root = setting.key.removeprefix(ZERO).partition(".")[0]
    place = OLDER.get(root, root)
    if stage(context) == 0 or (stage(context) != 3 and place == "offload_param"):
        return Outcome("inert", why=f"stage {stage(context)} keeps them whole")
    if root in OLDER:
        return Outcome("renamed", spec={PLACES[place]: setting.value})
    where = device(context, place)
    if where == "nvme" and stage(context) != 3:
        why = "stages 1 and 2 know CPU memory alone"  # runtime/zero/stage_1_and_2.py, cpu_offload
        return Outcome("derived", {f"{DS}{ZERO}{place}": {"device": "cpu"}}, why=why)
    if where == "nvme":
        path = section(context, "zero_optimization")[place].get("nvme_path")
        on_disk = {
            "device": where,
            "nvme_path": path.rstrip("/") if isinstance(path, str) else path,
        }
        return Outcome("exact", {f"{DS}{ZERO}{place}": on_disk})
    kind: Kind = "exact" if where == setting.value else "derived"
    return Outcome(kind, {f"{DS}{ZERO}{place}": {"device": where}})


def _folder(setting: Setting, context: Context) -> Outcome:
    if device(context, setting.key.split(".")[1]) != "nvme" or stage(context) != 3:
        return Outcome("inert", why="nothing lies on a disk")
    if not (isinstance(setting.value, str) and setting.value.startswith("/")):
        return Outcome(
            "unknown", why="a folder that is not named by its whole path is not in a spec"
        )
    return Outcome("derived", of=("hardware.zero.offload_folder",))


def _tuned(setting: Setting, context: Context) -> Outcome:
    """Speed and memory: a spec has no word for it, and the engine gets it as it was."""
    name, value = setting.key.removeprefix(ZERO), setting.value
    usual = stage(context) == 3 if name == "overlap_comm" else TUNED.get(name)
    idle = not stage(context) or (name.startswith("stage3_") and stage(context) != 3)
    whole = isinstance(value, float) and value.is_integer()
    if idle or value in (usual, None) or (value == "auto" and name not in FILLED):
        return Outcome("inert", why=MOVED)
    passed = {f"{DS}{setting.key}": int(value) if whole else value}
    return Outcome("inert", why=MOVED, passed=passed)


def _at_stage_3(rule: Rule) -> Rule:
    """Of weights that are sharded."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if stage(context) != 3:
            return Outcome("inert", why=f"stage {stage(context)} shards no weights")
        return rule(setting, context)

    return chosen


def _few_bits(why: str) -> Rule:
    """ZeRO++: only the engine has it, which gets it as it was."""

    def kept(setting: Setting, _context: Context) -> Outcome:
        return Outcome("kept", why=why, passed={f"{DS}{setting.key}": setting.value})

    return _at_stage_3(unless((False,), "off", kept))


SHARDING: Mapping[str, Rule] = {
    "zero_optimization": _whole,
    **{
        f"{ZERO}{name}": unless((None, {}), "nothing is moved", unknown(NO_SECTION))
        for name in PLACES
    },
    f"{ZERO}zenflow": unless((None,), "it is off", unknown(ZENFLOW)),
    f"{ZERO}stage": _stage,
    **{f"{ZERO}{name}.device": _offload for name in PLACES},
    **{f"{ZERO}{name}": _offload for name in OLDER},
    **group(MOVED, *(f"{ZERO}{place}.{name}" for place in PLACES for name in SPEED)),
    **{f"{ZERO}{place}.nvme_path": _folder for place in PLACES},
    f"{ZERO}offload_optimizer.ratio": inert(FRACTION),
    f"{ZERO}offload_optimizer.super_offload": inert(
        "its Adam takes the same steps in a process of its own"
    ),
    **group(
        MOVED, *(f"{ZERO}{name}" for name in KNOBS), *(f"{ZERO}stage3_{name}" for name in ALIASES)
    ),
    **dict.fromkeys((f"{ZERO}{name}" for name in (*TUNED, "overlap_comm")), _tuned),
    f"{ZERO}stage3_gather_fp16_weights_on_model_save": inert(
        "the end result always holds all weights"
    ),
    f"{ZERO}compute_grad_norm": inert("it may be off only where nothing is clipped"),
    f"{ZERO}leaf_module.classes": _at_stage_3(
        lambda setting, _context: Outcome(
            "exact", {f"{DS}{ZERO}leaf_module": {"classes": setting.value}}
        )
    ),
    f"{ZERO}leaf_module.": _at_stage_3(unknown("leaf modules by names are not in a spec")),
    f"{ZERO}zero_quantized_weights": _few_bits("weights travel in 8 bits"),
    f"{ZERO}zero_quantized_gradients": _few_bits("gradients travel in 4 bits"),
    f"{ZERO}zero_quantized_nontrainable_weights": _few_bits("frozen weights are rounded"),
    f"{ZERO}zeropp_loco_param.": nearly("what 4-bit gradients lose is made up for later"),
    **group(MICS, f"{ZERO}mics_shard_size", f"{ZERO}mics_hierarchical_params_gather"),
    f"{ZERO}zenflow.": unknown(ZENFLOW),
    # runtime/config_utils.py: its models take no other keys
    ZERO: unknown("ZeRO has no such setting, and DeepSpeed 0.19.8 stops at it"),
}
"""Rules of the section."""
