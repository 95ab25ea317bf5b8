"""Blocks of the engine's JSON that are about something beside the step: taken out, or idle by themselves.

deepspeed 0.19.8: runtime/config.py (`_reject_removed_config_keys`), runtime/engine.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    group,
    inert,
    nearly,
    one_of,
    says,
    section,
    unknown,
    unless,
)
from ftspec.port.shared import cut

MOVED = "how the engine moves data, not what it computes"
SHOWN = "what is shown, not what is trained"
STOPS = "and DeepSpeed 0.19.8 stops at it"
REMOVED = {
    "compression_training": "weights or layers that are cut while they train were taken out",
    "curriculum_learning": "rows that grow longer were taken out at this place",
    "progressive_layer_drop": "layers that are left out by chance were taken out",
    "eigenvalue": "rounding by curvature was taken out",
    "quantize_training": "weights that are rounded while they train were taken out",
    "sparse_attention": "attention to a part of the row was taken out",
    "amp": "apex was taken out",
    "elasticity": "a batch that follows the number of devices was taken out",
}
"""Blocks of older versions, and what they did to a training."""
BESIDE = {
    "quantize_verbose": SHOWN,
    "quantizer_kernel": "by which kernel weights were rounded",
}
"""Settings of these blocks that did nothing to it."""
GONE = {
    "nebula": "where checkpoints went",
    "sparse_gradients": "how gradients of embeddings travelled: their sums are the same",
    "graph_harvesting": "how the step was launched",
}
"""Settings of older versions that did nothing to it."""
OWN_LOADER = (
    "it draws rows for a loader of the engine's own (runtime/engine.py, deepspeed_io), and trainers hand "
    "it no rows"
)
CONVERTED = (
    "layers leave tokens out only where a script calls convert_to_random_ltd "
    "(runtime/data_pipeline/data_routing/helper.py)"
)
COMPILED = "nothing is compiled until a script calls engine.compile() (runtime/engine.py, forward)"
COMPILING = (
    "autoep_non_moe", "debug_log", "deepcompile", "double_buffer", "free_activation",
    "free_activation_threshold", "keep_all_input_tensors", "keep_int_input_tensors", "offload_activation",
    "offload_activation_pin_memory", "offload_opt_states", "offload_parameters", "passes",
    "symmetric_memory", "sync_after_allgather", "sync_after_reduce", "sync_before_allgather",
    "sync_before_reduce",
)  # fmt: skip
"""Settings of its section: compile/config.py, CompileConfig, which takes no others."""
NO_SETTING = "its section has no such setting, and the engine stops at it"
RECOMPUTED = (
    "it is about deepspeed.checkpointing, which a script has to call: models of transformers recompute by "
    "torch's"
)


SHARERS = ("", "trl", "trl_script", "llamafactory")
"""Formats whose batch is known to count a group of devices as one."""
LOST = (
    "trl 1.16 was seen to train another loss: over a part of the words, as the output layer is cut as well, "
    "and divided by tokens that are counted once for each device (trainer/sft_trainer.py, compute_loss)"
)
CUTTING = (
    "vocab_parallel_lm_head", "vocab_parallel_ce_backend", "tensor_parallel", "tensor_parallel.", "tp", "tp.",
    "injection_policy_tuple", "partition_config", "partition_config.", "preset_model", "keep_module_on_host",
    "replace_with_kernel_inject", "kernel_inject",
)  # fmt: skip
"""Settings of its section: runtime/tensor_parallel/config.py, TPTrainingConfig, which takes no others."""
WHICH = "which layers are cut, and how: the mathematics is that of whole ones"
SEARCH = ("results_dir", "exps_dir", "overwrite")
DRAWS = "an engine that draws completions by kernels of its own is not in a spec"


def removed(setting: Setting, context: Context) -> Outcome:
    """Something of older versions that changed the training while it was on."""
    node: Any = context.document.data
    for part in setting.key.split("."):
        if not isinstance(node, dict):
            break
        shared = node.get("shared_parameters", node)
        if isinstance(shared, dict) and shared.get("enabled") is False:
            return Outcome("inert", why="it is off")
        node = node.get(part)
    root, _, name = setting.key.partition(".")
    if why := BESIDE.get(name.rpartition(".")[2]):
        return Outcome("inert", why=why)
    return Outcome("unknown", why=f"{REMOVED[root]}, {STOPS}")


def _while_on(rule: Rule) -> Rule:
    """Settings of a block that is off where it does not say `enabled`."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if section(context, setting.key.partition(".")[0]).get("enabled", False) is False:
            return Outcome("inert", why="it is off")
        return rule(setting, context)

    return chosen


def _compiles(setting: Setting, context: Context) -> Outcome:
    """accelerate calls engine.compile() where its own file asks for a compiler (_prepare_deepspeed)."""
    if setting.key.split(".")[1] not in COMPILING:
        return Outcome("unknown", why=NO_SETTING)  # as `backend` and `disable` of older versions
    launched = context.companions.get("accelerate")
    asked = launched.data if launched is not None else {}
    dynamo = asked.get("dynamo_config", {})
    words = (asked.get("dynamo_backend"), isinstance(dynamo, dict) and dynamo.get("dynamo_backend"))
    if any(word and str(word).lower() != "no" for word in words):
        return Outcome("approximated", why="the same mathematics, not compiled")
    return Outcome("inert", why=COMPILED)


def _cut(rule: Rule) -> Rule:
    """Settings of layers that are cut over devices, which are none where the size is none."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        return (
            rule(setting, context)
            if cut(context.document.data) > 1
            else Outcome("inert", why="none")
        )

    return chosen


def _group(setting: Setting, context: Context) -> Outcome:
    """How many devices share each layer."""
    if context.main_format not in SHARERS:
        return Outcome("unknown", why="how its batch counts devices that share layers is not known")
    if setting.value not in (2, 4, 8):
        return Outcome("unknown", why="layers that are cut over so many devices are not in a spec")
    spec = {"hardware.tensor_parallel": setting.value}
    if context.main_format.startswith("trl"):
        return Outcome("approximated", spec=spec, why=f"what it says; {LOST}")
    return Outcome("renamed", spec=spec)


BLOCKS: Mapping[str, Rule] = {
    **{f"{name}.": removed for name in REMOVED},
    **{name: unless((False, None), "it is off", removed) for name in REMOVED},
    **{f"{name}.": inert(f"{what}, in versions that had it") for name, what in GONE.items()},
    **{name: inert(f"{what}, in versions that had it") for name, what in GONE.items()},
    "data_efficiency": unless(({}, None), "empty", unknown("no section")),
    "data_efficiency.": inert("of what is below it"),
    "data_efficiency.data_sampling.": inert(OWN_LOADER),
    "data_efficiency.data_routing.": inert(CONVERTED),
    "dataloader_drop_last": inert(OWN_LOADER),
    "activation_checkpointing.": inert(RECOMPUTED),
    "compile.": _compiles,
    "hybrid_engine.": _while_on(unknown(DRAWS)),
    "autotuning.": _while_on(unknown("numbers that are found while it runs")),
    **group("where its search writes", *(f"autotuning.{name}" for name in SEARCH)),
    "pipeline.": inert("for models that are made of its own pipeline's modules alone"),
    "expert_parallel.": unknown("experts that are spread over devices are not in a spec yet"),
    **{f"tensor_parallel.{name}": _cut(inert(WHICH)) for name in CUTTING},
    "tensor_parallel.": unknown(NO_SETTING),
    "weight_quantization.": unknown("weights that are made in few bits are not in a spec"),
    "tensor_parallel.tp_overlap_comm": inert(MOVED),
    "tensor_parallel.dtype": inert("it is read where models are made for inference alone"),
    "tensor_parallel.autotp_size": unless((0, 1, None), "none", _cut(_group)),
    "sequence_parallel_size": one_of(
        **dict.fromkeys(("1", "2", "4", "8"), says("hardware.sequence_parallel")),
        otherwise=unknown("rows that are split over so many devices are not in a spec"),
    ),
    "gradient_allreduce_op": unless(
        ("mean",), "as everywhere", unknown("gradients that are summed over devices are not in a spec")
    ),
    **group(
        "by which number gradients are divided before they are summed, and by which after",
        "prescale_gradients", "gradient_predivide_factor",
    ),
    **group("a comment", "_comment", "comment", "//"),
    **group(
        SHOWN, "steps_per_print", "wall_clock_breakdown", "dump_state", "tensorboard.", "wandb.",
        "csv_monitor.", "comet.", "flops_profiler.", "comms_logger.", "memory_breakdown",
        "monitor_config.", "log_level", "timers.", "vocabulary_size", "comms_config.", "logging.",
    ),
    **group("how and where checkpoints are written", "checkpoint.", "datastates.", "datastates_ckpt."),
    **group(
        "which optimizers it agrees to step", "zero_allow_untested_optimizer",
        "zero_force_ds_cpu_optimizer",
    ),
    **group(
        MOVED, "disable_python_gc", "use_data_before_expert_parallelism", "disable_allgather", "aio.",
        "cuda_visible_devices",
    ),
    "managed_gradient_accumulation": unless(
        (True,), "as everywhere", unknown("steps that are made when a script's own loop says so")
    ),
    "seq_parallel_communication_data_type": nearly("sums over a split row travel in another type"),
}  # fmt: skip
"""Rules of these."""
