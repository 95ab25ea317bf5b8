"""DeepSpeed's JSON: an engine's settings, beside the script or config that trains with it.

As 0.19.8 and transformers' Trainer read it: `auto` is filled in from the script (integrations/deepspeed.py).
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.deepspeed.precision import PRECISION, unless_auto
from ftspec.port.formats.deepspeed.steps import STEPS, missing_steps
from ftspec.port.rules import (
    Context,
    Outcome,
    group,
    inert,
    nearly,
    renamed,
    says,
    section,
    unknown,
    unless,
)
from ftspec.read import yaml

DS = "ds_config."
ZERO = "zero_optimization."
MOVED = "how the engine moves data, not what it computes"
SHOWN = "what is shown, not what is trained"
SIGNS = frozenset(
    (
        "zero_optimization", "train_micro_batch_size_per_gpu", "train_batch_size", "gradient_clipping",
        "steps_per_print", "zero_allow_untested_optimizer", "wall_clock_breakdown",
        "compression_training", "prescale_gradients", "activation_checkpointing",
    )
)  # fmt: skip


REMOVED = {
    "compression_training": "weights or layers that are cut while they train were taken out",
    "curriculum_learning": "rows that grow longer were taken out at this place",
    "progressive_layer_drop": "layers that are left out by chance were taken out",
    "eigenvalue": "rounding by curvature was taken out",
    "quantize_training": "weights that are rounded while they train were taken out",
}
"""Blocks of older versions (runtime/config.py), and what they did."""


def _offload(setting: Setting, context: Context) -> Outcome:
    """Where states or parameters lie: its other settings say how fast they move."""
    zero = context.get("zero_optimization")
    stage = zero.get("stage", 0) if isinstance(zero, dict) else 0
    root = setting.key.rpartition(".")[0]
    if stage == 0 or (stage != 3 and root.endswith("param")):
        return Outcome("inert", why=f"stage {stage} keeps them whole")
    return Outcome("exact", {f"{DS}{root}": {"device": setting.value}})


def _batch(setting: Setting, context: Context) -> Outcome:
    """Any two of the three numbers give the third (runtime/config.py, _set_batch_related_parameters)."""
    numbers = {
        name: value if isinstance(value := context.get(name), int) else None
        for name in (
            "train_batch_size",
            "train_micro_batch_size_per_gpu",
            "gradient_accumulation_steps",
        )
    }
    whole, micro, steps = numbers.values()
    devices = context.devices * context.nodes
    if micro is None and whole is not None:
        micro = whole // devices // (steps or 1)
    if whole is None and micro is not None:
        whole = micro * (steps or 1) * devices
    if whole is None or not micro:
        return Outcome("derived", why="with the script's own numbers", of=("train.batch_size",))
    spec = {"train.batch_size": whole, "train.micro_batch_size": micro}
    return Outcome("derived", spec=spec)


def _technique(setting: Setting, context: Context) -> Outcome:
    """Something that changes the training while it is on."""
    node: Any = context.document.data
    for part in setting.key.split("."):
        if not isinstance(node, dict):
            break
        shared = node.get("shared_parameters", node)
        if isinstance(shared, dict) and shared.get("enabled") is False:
            return Outcome("inert", why="it is off")
        node = node.get(part)
    root = setting.key.partition(".")[0]
    if root in REMOVED:
        return Outcome("unknown", why=f"{REMOVED[root]}, and DeepSpeed 0.19.8 stops at it")
    return Outcome("unknown", why=f"{root.replace('_', ' ')} is not in a spec")


def _complete(context: Context) -> Completion:
    spec = missing_steps(context)
    notes = []
    if "stage" not in section(context, "zero_optimization"):
        spec["hardware.zero.stage"] = 0
    if "gradient_clipping" not in context.document.data:
        spec["train.max_grad_norm"] = 1.0  # runtime/constants.py; the script's is not asked
        notes.append(
            "train.max_grad_norm: 1.0 is what DeepSpeed 0.19.8 assumes; old versions never clipped"
        )
    halves = [section(context, name).get("enabled") for name in ("bf16", "fp16")]
    if not any(halves) and context.main is None:
        spec["precision.compute"] = "fp32"
    return Completion({}, spec, notes=tuple(notes))


_POSITIVE = says("train.max_grad_norm", lambda norm: norm or None)
format = Format(
    name="deepspeed",
    title="DeepSpeed",
    backend="deepspeed",
    signs=SIGNS,
    scalar=yaml.scalar,
    otherwise=unknown("not a setting that is known"),
    complete=_complete,
    whole=False,
    part=DS,
    rules={
        "train_batch_size": unless_auto(_batch),
        "train_micro_batch_size_per_gpu": unless_auto(_batch),
        "gradient_accumulation_steps": unless_auto(_batch),
        "gradient_clipping": unless_auto(_POSITIVE),
        f"{ZERO}stage": renamed(f"{DS}{ZERO}stage"),
        f"{ZERO}offload_optimizer.device": _offload,
        f"{ZERO}offload_param.device": _offload,
        f"{ZERO}cpu_offload": says("hardware.zero.offload_optimizer"),
        f"{ZERO}zero_quantized_weights": unless((False,), "off", nearly("weights travel in 8 bits")),
        f"{ZERO}zero_quantized_gradients": unless((False,), "off", nearly("gradients travel in 4 bits")),
        f"{ZERO}zero_quantized_nontrainable_weights": unless(
            (False,), "off", nearly("frozen weights are rounded")
        ),
        f"{ZERO}zeropp_loco_param.": nearly("what 4-bit gradients lose is made up for later"),
        "gradient_allreduce_op": unless(
            ("mean",), "as everywhere", unknown("gradients that are summed over devices")
        ),
        "seq_parallel_communication_data_type": nearly("sums over a split row travel in another type"),
        "expert_parallel.": unknown("experts that are spread over devices are not in a spec yet"),
        "quantize_training.": _technique,
        "sparse_attention.": unknown("attention to a part of the row is not in a spec"),
        f"{ZERO}zenflow.": unknown("steps that only some gradients take are not in a spec"),
        ZERO: inert(MOVED),
        **PRECISION,
        "amp.": unless((False,), "off", unknown("apex is not in a spec")),
        "torch_autocast.": unless((False,), "off", unknown("its own autocast is not read yet")),
        **STEPS,
        "compression_training.": _technique,
        "data_efficiency.": _technique,
        "curriculum_learning.": _technique,
        "progressive_layer_drop.": _technique,
        "eigenvalue.": _technique,
        "tensor_parallel.": unknown("tensor parallelism is not in a spec yet"),
        "sequence_parallel_size": unless((1,), "none", unknown("sequence parallelism is not in a spec yet")),
        "compile.": nearly("the same mathematics, not compiled"),
        "autotuning.": unless((False,), "off", unknown("numbers that are found while it runs")),
        "data_types.": nearly("gradients are summed in another type"),
        "communication_data_type": nearly("gradients travel in another type"),
        **group("a comment", "_comment", "comment", "//"),
        **group(
            SHOWN, "steps_per_print", "wall_clock_breakdown", "dump_state", "tensorboard.", "wandb.",
            "csv_monitor.", "comet.", "flops_profiler.", "comms_logger.", "memory_breakdown",
            "monitor_config.",
        ),
        **group(
            MOVED, "disable_python_gc", "managed_gradient_accumulation", "nebula.", "graph_harvesting",
            "use_data_before_expert_parallelism", "prescale_gradients", "gradient_predivide_factor",
            "disable_allgather",
            "zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer", "aio.", "sparse_gradients",
            "activation_checkpointing.", "dataloader_drop_last", "cuda_visible_devices", "elasticity.",
            "checkpoint.", "zero_optimization",
        ),
    },
    accepted={"stage3_gather_16bit_weights_on_model_save": "the end result always holds all weights"},
)  # fmt: skip
