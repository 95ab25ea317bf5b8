"""accelerate's YAML: how a script is launched, written by `accelerate config`.

As accelerate 1.11 reads it (commands/config/config_args.py), for a script around transformers' Trainer.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Kind, Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats import fsdp, launched
from ftspec.port.formats.switches import is_on
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    engine_file,
    group,
    inert,
    one_of,
    renamed,
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
HOST = (
    "ec2_instance_type", "iam_role_name", "image_uri", "profile", "region", "base_job_name",
    "pytorch_version", "transformers_version", "py_version", "sagemaker_inputs_file",
    "sagemaker_metrics_file", "additional_args", "additional_args.",
)  # fmt: skip
"""Settings of Amazon SageMaker."""


TYPED = (
    "quiet", "rdzv_conf", "max_restarts", "monitor_interval", "log_dir", "role", "tee", "use_xpu",
    "use_parallelism_config",
)  # fmt: skip
STOPS = (
    "accelerate has no such key, and stops at it (commands/config/config_args.py, from_yaml_file)"
)


def _otherwise(setting: Setting, context: Context) -> Outcome:
    """Its classes take no other keys; what stands in a section of theirs is another matter."""
    if setting.key in context.document.owners:
        return Outcome("unknown", why="not an option of the launcher that is known")
    inside = "." in setting.key
    return Outcome("unknown", why="not a setting that is known" if inside else STOPS)


def _typed(setting: Setting, context: Context) -> Outcome:
    """Options of the command line, which no file has (commands/launch.py)."""
    if setting.key in context.document.owners:
        return Outcome("inert", why=_LAUNCH)
    return _otherwise(setting, context)


def machines(document: Any) -> tuple[int, int]:
    """Devices of each machine, and machines: num_processes counts those of all machines."""
    if launched.alone(document.data):
        return 1, 1
    nodes = document.data.get("num_machines")
    processes = document.data.get("num_processes")
    nodes = nodes if isinstance(nodes, int) and nodes > 0 else 1
    processes = processes if isinstance(processes, int) and processes > 0 else 1
    return max(processes // nodes, 1), nodes


def _devices(setting: Setting, context: Context) -> Outcome:
    value = setting.value
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        return Outcome("unknown", why=f"{value} is not a number, and accelerate stops at it")
    if value is not None and value < 1 and context.devices == 1:
        return Outcome("unknown", why="accelerate wants it on its command line: --devices N")
    spec = {"hardware.devices": context.devices, "hardware.nodes": context.nodes}
    if launched.alone(context.document.data) and setting.value not in (None, 1):
        return Outcome("derived", spec=spec, why=launched.ALONE)
    return Outcome("derived", spec=spec)


def _precision(setting: Setting, context: Context) -> Outcome:
    word = launched.word(context)
    if launched.decided(context) or (context.main is not None and word == "no"):
        return Outcome("inert", why="the trainer's own bf16 and fp16 decide")
    if word == "fp8":
        backend = str(section(context, "fp8_config").get("backend", "AUTO")).upper()
        if backend not in ("AO", "TORCHAO"):
            return Outcome("unknown", why=FLOAT8)
        return Outcome("renamed", spec={"precision.compute": "fp8"})
    if word not in ("no", "bf16", "fp16"):
        return Outcome("unknown", why=f"{word} is not in a spec")
    why = "the trainer says neither bf16 nor fp16: this holds" if context.main is not None else ""
    return Outcome("renamed", spec={"precision.compute": "fp32" if word == "no" else word}, why=why)


def _older_precision(setting: Setting, context: Context) -> Outcome:
    """`fp16: true`, as files before mixed_precision say it (commands/config/config_args.py)."""
    if "mixed_precision" in context.document.data:
        return Outcome("inert", why="mixed_precision says it")
    return _precision(setting, context)


def _on_cpu(setting: Setting, context: Context) -> Outcome:
    """Two of its launchers hand it on: prepare_simple_launcher_cmd_env (utils/launch.py)."""
    wanted = is_on(setting.value)
    simple = str(context.get("distributed_type")).upper() in ("NO", "NONE", "FALSE", "MULTI_CPU")
    if wanted and not simple and setting.key not in context.document.owners:
        why = "accelerate hands it on with distributed_type NO and MULTI_CPU alone: GPUs are used"
        return Outcome("inert", why=why, loud=True)
    return Outcome("derived", spec={"hardware.device": "cpu" if wanted else "auto"})


def _section(setting: Setting, context: Context) -> Outcome:
    """A section that stands as one value: empty, or a text such as the name of a file."""
    if setting.value in (None, {}):
        return Outcome("inert", why="empty")
    if setting.key == "deepspeed_config" and not _is(context, "DEEPSPEED"):
        why = "nothing reads it: distributed_type is not DEEPSPEED"
        return Outcome("inert", why=why, loud=True)
    return Outcome("unknown", why=NO_TEXT.get(setting.key, "a section stands there, not a value"))


NO_TEXT = {
    "deepspeed_config": "a section stands there, and accelerate stops at anything else: in it, "
    "deepspeed_config_file names a file",
}


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
    place = "offload_param" if what == "parameters" else "offload_optimizer"
    word = "none" if setting.value is None else str(setting.value).lower()  # utils/launch.py
    if word == "nvme" and stage == 3:
        path = section(context, "deepspeed_config").get(f"{place}_nvme_path")
        path = path.rstrip("/") if isinstance(path, str) else path
        return Outcome("renamed", {f"{ZERO}{place}": {"device": "nvme", "nvme_path": path}})
    if word not in ("none", "cpu", "nvme"):
        return Outcome("unknown", why=f"offloading to {setting.value} is not in a spec")
    device = "none" if word == "none" else "cpu"
    kind: Kind = "derived" if word == "nvme" else "renamed"
    why = "stages 1 and 2 know CPU memory alone" if kind == "derived" else ""
    return Outcome(kind, {f"{ZERO}{place}": {"device": device}}, why=why)


def _folder(setting: Setting, context: Context) -> Outcome:
    engine = section(context, "deepspeed_config")
    device = engine.get(setting.key.rpartition(".")[2].replace("nvme_path", "device"))
    if device != "nvme" or engine.get("zero_stage", 2) != 3:
        return Outcome("inert", why="nothing lies on a disk")
    return Outcome("derived", of=("hardware.zero.offload_folder",))


def _leaves(setting: Setting, context: Context) -> Outcome:
    if section(context, "deepspeed_config").get("zero_stage", 2) != 3:
        return Outcome("inert", why="it is about stage 3 alone")
    names = [name.strip() for name in str(setting.value).split(",") if name.strip()]
    return Outcome("derived", spec={"hardware.zero.leaf_modules": tuple(names) or None})


def _hosted(context: Context) -> bool:
    return str(context.get("compute_environment")).upper() == "AMAZON_SAGEMAKER"


def _whose(setting: Setting, context: Context) -> Outcome:
    if str(setting.value).upper() == "LOCAL_MACHINE":
        return Outcome("inert", why="this machine")
    if _hosted(context):
        return Outcome("inert", why="where it runs, not what is trained: Amazon SageMaker")
    return Outcome("unknown", why="accelerate knows no such place, and stops at it: LOCAL_MACHINE?")


def _of_host(setting: Setting, context: Context) -> Outcome:
    """accelerate 1.11, commands/config/config_args.py (SageMakerConfig)."""
    if not _hosted(context):
        return Outcome("unknown", why="not a setting of a machine of one's own")
    if setting.key.startswith("additional_args"):
        return Outcome("unknown", why="whatever the service makes of it")
    return Outcome("inert", why="where it runs, not what is trained")


GROUPS = {
    "tp_size": "accelerate stops unless the model was loaded with a plan that cuts its layers "
    "(accelerator.py, prepare_model), which a spec does not ask for",
    "cp_size": "rows that are cut by ring attention, within FSDP 2, are not in a spec: in "
    "hardware.sequence_parallel each device has some of the heads",
}
"""Groups of devices that a spec has not, and why."""
HELD = "which devices hold which weights: gradients are averaged over all of them"
"""accelerate 1.11, parallelism_config.py: `dp_replicate` and `dp_shard` are both data parallel."""


def _shared_sizes(setting: Setting, context: Context) -> Outcome:
    """Sizes of a grid of devices, which accelerate takes with FSDP 2 alone (commands/launch.py)."""
    name = setting.key.rpartition(".")[2].removeprefix("parallelism_config_")
    if name.endswith("_size") and setting.value in (None, 1):
        return Outcome("inert", why="no such group of devices")
    if name == "sp_size":
        return Outcome("renamed", spec={"hardware.sequence_parallel": setting.value})
    if name in ("dp_shard_size", "dp_replicate_size"):
        return Outcome("inert", why=HELD)
    if name.startswith("sp_") or name == "cp_comm_strategy":
        return Outcome("inert", why="how rows that are shared travel")
    other = "other ways of parallel work are not in a spec yet"
    return Outcome("unknown", why=GROUPS.get(name, other))


def _compiled(setting: Setting, context: Context) -> Outcome:
    """Whether torch compiles the model; `NO` where nothing is said."""
    inner = section(context, "dynamo_config").get("dynamo_backend")
    words = (inner, context.get("dynamo_backend"))
    if all(word in (None, False) or str(word).upper() == "NO" for word in words):
        return Outcome("inert", why="nothing is compiled")
    if not setting.key.endswith("dynamo_backend"):
        return Outcome("inert", why="how it is compiled, not what it computes")
    return Outcome("approximated", why="the same mathematics, not compiled")


def _shards(context: Context) -> bool:
    whole = (
        fsdp.version(context) == 1 and str(fsdp.said(context, "sharding_strategy")) in fsdp.WHOLE
    )
    return _is(context, "FSDP") and not whole


FSDP = fsdp.Tool(_shards, "nothing is sharded by FSDP", fsdp.named, efficient=True)


def _complete(context: Context) -> Completion:
    if _hosted(context):
        kind = context.get("ec2_instance_type")
        return Completion(notes=(f"hardware.devices: as many as {kind} has: --devices N",))
    spec = launched.missing(context)
    if _shards(context):  # commands/launch.py: what it takes where the file is silent
        spec |= fsdp.assumed(context, cpu_ram_efficient_loading=True)
    return Completion({}, spec, tuple(launched.questions(context)), tuple(launched.notes(context)))


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


KINDS = (
    "multi_gpu", "multi_cpu", "multi_xpu", "multi_npu", "multi_mlu", "multi_sdaa", "multi_musa", "multi_hpu",
    "data_parallel",
)  # fmt: skip
"""All of them start one process for each device that the machine has (commands/launch.py)."""
SECTIONS = (
    "deepspeed_config", "fsdp_config", "parallelism_config", "megatron_lm_config", "dynamo_config",
    "mpirun_config", "ipex_config", "fp8_config",
)  # fmt: skip
_LAUNCH = "how processes find each other"
FILTERS = tuple(f"deepspeed_config.deepspeed_{word}clusion_filter" for word in ("ex", "in"))


def _own(rule: Rule) -> Rule:
    return _engine(launched.by_file(rule))


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
            **dict.fromkeys(("no", "false", "none"), inert("one process")),
            **dict.fromkeys(KINDS, inert("one process for each device")),
            fsdp=inert("fsdp_config says how"),
            deepspeed=inert("deepspeed_config says how"),
            otherwise=unknown("this kind of device or of sharding is not in a spec"),
        ),
        "compute_environment": _whose,
        **dict.fromkeys(HOST, _of_host),
        "mixed_precision": _precision,
        "fp16": _older_precision,
        "use_cpu": _on_cpu,
        **dict.fromkeys(SECTIONS, _section),
        "deepspeed_config.zero_stage": _own(renamed(f"{ZERO}stage")),
        "deepspeed_config.offload_optimizer_device": _own(_offload),
        "deepspeed_config.offload_param_device": _own(_offload),
        "deepspeed_config.deepspeed_config_file": _engine(engine_file),
        "deepspeed_config.gradient_accumulation_steps": _own(
            unless(("auto",), "the script says it", launched.accumulated)
        ),
        "deepspeed_config.gradient_clipping": _own(
            unless(("auto", None), "the script says it", launched.clipped)
        ),
        "deepspeed_config.offload_optimizer_nvme_path": _own(_folder),
        "deepspeed_config.offload_param_nvme_path": _own(_folder),
        "deepspeed_config.deepspeed_moe_layer_cls_names": _engine(_leaves),
        **group(
            _LAUNCH, "deepspeed_config.deepspeed_hostfile", "deepspeed_config.deepspeed_multinode_launcher"
        ),
        **dict.fromkeys(FILTERS, _engine(launched.chosen)),
        "deepspeed_config.zero3_init_flag": inert("when weights are cut, not what they are"),
        "deepspeed_config.zero3_save_16bit_model": inert("the end result always holds all weights"),
        "deepspeed_config.": launched.unread,
        **fsdp.section_rules(FSDP),
        "fsdp_config.": launched.unread,
        "fp8_config.": _float8,
        "megatron_lm_config.": _engine(unknown("Megatron is not in a spec"), "MEGATRON_LM"),
        "parallelism_config.": _shared_sizes,
        "dynamo_backend": _compiled,
        "dynamo_config.": _compiled,
        **group(
            _LAUNCH, "machine_rank", "main_process_ip", "main_process_port", "rdzv_backend", "same_network",
            "main_training_function", "gpu_ids", "mpirun_config.", "enable_cpu_affinity", "commands",
            "command_file", "num_cpu_threads_per_process", "ipex_config.",
        ),
        **dict.fromkeys(TYPED, _typed),
        **group("for TPUs alone", "downcast_bf16", "tpu_env", "tpu_use_cluster", "tpu_use_sudo", "tpu_name",
                "tpu_zone", "tpu_vm"),
        **group("what is shown, not what is trained", "debug"),
    },
)  # fmt: skip
