"""accelerate's YAML: how a script is launched, written by `accelerate config`.

As accelerate 1.11 reads it (commands/config/config_args.py), for a script around transformers' Trainer.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats import fsdp
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    engine_file,
    group,
    inert,
    nearly,
    one_of,
    renamed,
    says,
    section,
    unknown,
    unless,
)
from ftspec.read import pyyaml

ZERO = "ds_config.zero_optimization."
SIGNS = frozenset(
    (
        "compute_environment", "distributed_type", "num_processes", "num_machines", "machine_rank",
        "mixed_precision", "downcast_bf16", "deepspeed_config", "main_training_function",
        "rdzv_backend", "same_network", "tpu_use_cluster", "gpu_ids", "use_cpu",
    )
)  # fmt: skip


FLOAT8 = "float8 by TransformerEngine or MS-AMP scales otherwise than torchao's, which a spec has"
OTHERS = {
    **dict.fromkeys(
        ("margin", "interval", "format", "amax_history_len", "amax_compute_algo"), "TE"
    ),
    **dict.fromkeys(("override_linear_precision", "use_mxfp8_block_scaling"), "TE"),
    "opt_level": "MSAMP",
}
"""Settings of the other backends of float8, and whose they are."""


STOPS = (
    "accelerate has no such key, and stops at it (commands/config/config_args.py, from_yaml_file)"
)


def _otherwise(setting: Setting, _context: Context) -> Outcome:
    """Its classes take no other keys; what stands in a section of theirs is another matter."""
    inside = "." in setting.key
    return Outcome("unknown", why="not a setting that is known" if inside else STOPS)


def machines(document: Any) -> tuple[int, int]:
    """Devices of each machine, and machines: num_processes counts those of all machines."""
    nodes = document.data.get("num_machines")
    processes = document.data.get("num_processes")
    nodes = nodes if isinstance(nodes, int) and nodes > 0 else 1
    processes = processes if isinstance(processes, int) and processes > 0 else 1
    return max(processes // nodes, 1), nodes


def _devices(_setting: Setting, context: Context) -> Outcome:
    devices, nodes = machines(context.document)
    return Outcome("derived", spec={"hardware.devices": devices, "hardware.nodes": nodes})


def _precision(setting: Setting, context: Context) -> Outcome:
    word = {False: "no", None: "no"}.get(setting.value, setting.value)
    if context.main is not None:
        return Outcome("inert", why="the trainer's own bf16 and fp16 decide")
    if word == "fp8":
        backend = str(section(context, "fp8_config").get("backend", "AUTO")).upper()
        if backend not in ("AO", "TORCHAO"):
            return Outcome("unknown", why=FLOAT8)
        return Outcome("renamed", spec={"precision.compute": "fp8"})
    if word not in ("no", "bf16", "fp16"):
        return Outcome("unknown", why=f"{word} is not in a spec")
    return Outcome("renamed", spec={"precision.compute": "fp32" if word == "no" else word})


def _is(context: Context, kind: str) -> bool:
    return str(context.get("distributed_type")).upper() == kind


def _engine(rule: Rule, kind: str = "DEEPSPEED") -> Rule:
    """Settings that count for one kind of launch alone."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if not _is(context, kind):
            return Outcome("inert", why=f"distributed_type is not {kind}")
        return rule(setting, context)

    return chosen


def _offload(setting: Setting, context: Context) -> Outcome:
    engine = context.get("deepspeed_config")
    stage = engine.get("zero_stage", 2) if isinstance(engine, dict) else 2
    what = "parameters" if "param" in setting.key else "optimizer"
    if stage == 0 or (stage != 3 and what == "parameters"):
        return Outcome("inert", why=f"stage {stage} keeps them whole")
    if setting.value not in ("none", "cpu", None):
        return Outcome("unknown", why=f"offloading to {setting.value} is not in a spec")
    return Outcome("renamed", spec={f"hardware.zero.offload_{what}": setting.value == "cpu"})


def _shards(context: Context) -> bool:
    whole = (
        fsdp.version(context) == 1 and str(fsdp.said(context, "sharding_strategy")) in fsdp.WHOLE
    )
    return _is(context, "FSDP") and not whole


FSDP = fsdp.Tool(_shards, "nothing is sharded by FSDP", fsdp.named)


def _complete(context: Context) -> Completion:
    if not _shards(context):
        return Completion()
    # commands/launch.py: what it takes where the file is silent
    return Completion(spec=fsdp.assumed(context, cpu_ram_efficient_loading=True))


def _float8(setting: Setting, context: Context) -> Outcome:
    """Of its three backends of float8, torchao is what a spec's fp8 is."""
    backend = str(section(context, "fp8_config").get("backend", "AUTO")).upper()
    name = setting.key.rpartition(".")[2].removeprefix("fp8_")
    if context.get("mixed_precision") != "fp8":
        return Outcome("inert", why="mixed_precision is not fp8")
    if name == "backend" and backend in ("AO", "TORCHAO"):
        return Outcome("derived", of=("precision.compute",))
    if name == "use_autocast_during_eval":
        return Outcome("inert", why="how it evaluates, not what it trains")
    if name in OTHERS and backend not in ("AUTO", OTHERS[name]):
        return Outcome("inert", why=f"it belongs to {OTHERS[name]}, and the backend is {backend}")
    if name == "enable_fsdp_float8_all_gather" and not setting.value:
        return Outcome("inert", why="it is off")
    return Outcome("unknown", why=FLOAT8)


_LAUNCH = "how processes find each other"
_MOVED = "how the engine moves data, not what it computes"

format = Format(
    name="accelerate",
    title="accelerate",
    backend="deepspeed",
    signs=SIGNS,
    scalar=pyyaml.scalar,
    last_wins=True,
    whole=False,
    mentions={"deepspeed_config.deepspeed_config_file": "deepspeed"},
    part="ds_config.",
    otherwise=_otherwise,
    complete=_complete,
    rules={
        "num_processes": _devices,
        "num_machines": _devices,
        "distributed_type": one_of(
            no=inert("one process, or as many as num_processes says"),
            multi_gpu=inert("one process for each device"),
            multi_cpu=inert("one process for each device"),
            fsdp=inert("fsdp_config says how"),
            deepspeed=inert("deepspeed_config says how"),
            otherwise=unknown("this kind of device or of sharding is not in a spec"),
        ),
        "compute_environment": one_of(
            local_machine=inert("this machine"), otherwise=unknown("a service that runs it elsewhere")
        ),
        "mixed_precision": _precision,
        "use_cpu": says("hardware.device", lambda cpu: "cpu" if cpu else "auto"),
        "deepspeed_config": inert("empty"),
        "deepspeed_config.zero_stage": _engine(renamed(f"{ZERO}stage")),
        "deepspeed_config.offload_optimizer_device": _engine(_offload),
        "deepspeed_config.offload_param_device": _engine(_offload),
        "deepspeed_config.deepspeed_config_file": _engine(engine_file),
        "deepspeed_config.gradient_accumulation_steps": inert("the trainer's own number decides"),
        "deepspeed_config.gradient_clipping": _engine(
            unless(("auto",), "the script says it", says("train.max_grad_norm", lambda norm: norm or None))
        ),
        "deepspeed_config.": inert(_MOVED),
        "fsdp_config": inert("empty"),
        **fsdp.section_rules(FSDP),
        "fsdp_config.": inert(_MOVED),
        "fp8_config.": _float8,
        "megatron_lm_config": inert("empty"),
        "megatron_lm_config.": unknown("Megatron is not in a spec"),
        "parallelism_config.": unknown("other ways of parallel work are not in a spec yet"),
        "dynamo_backend": one_of(no=inert("nothing is compiled"), otherwise=nearly("not compiled")),
        "dynamo_config.": nearly("the same mathematics, not compiled"),
        **group(
            _LAUNCH, "machine_rank", "main_process_ip", "main_process_port", "rdzv_backend", "same_network",
            "main_training_function", "gpu_ids", "mpirun_config.", "enable_cpu_affinity", "commands",
            "command_file", "num_cpu_threads_per_process", "ipex_config.",
        ),
        **group("for TPUs alone", "downcast_bf16", "tpu_env", "tpu_use_cluster", "tpu_use_sudo", "tpu_name",
                "tpu_zone", "tpu_vm"),
        **group("what is shown, not what is trained", "debug"),
    },
)  # fmt: skip
