"""What accelerate's file says of the training itself, beside the trainer that it launches.

accelerate 1.11 (commands/launch.py, utils/dataclasses.py) and transformers 5.6 (training_args.py,
integrations/deepspeed.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats import fsdp
from ftspec.port.formats.deepspeed.precision import by_main
from ftspec.port.formats.switches import is_on
from ftspec.port.rules import Context, Outcome, Rule, section

COMPUTE = "precision.compute"
HALVES = ("bf16", "fp16")
STEPS = "gradient_accumulation_steps"
FILE = "deepspeed_config_file"
BY_FILE = (
    STEPS, "gradient_clipping", "zero_stage", "offload_optimizer_device", "offload_param_device",
    "offload_param_nvme_path", "offload_optimizer_nvme_path", "zero3_save_16bit_model",
)  # fmt: skip
"""What DeepSpeed's own file says where one is named: accelerate stops where its own says it as well."""
UNREAD = "accelerate reads no such setting in this section, and passes over it"
ALONE = (
    "with distributed_type NO accelerate starts one process, whatever num_processes says; a trainer in it "
    "shares its rows over all GPUs that it sees"
)
OVER = (
    "mixed_precision", "num_processes", "num_machines", "gpu_ids", "use_cpu", "dynamo_backend",
    "mpirun_hostfile", "debug",
)  # fmt: skip
"""What a section says over the top of the file: commands/launch.py copies all sections into one."""


def word(context: Context) -> str:
    """What the file asks for: `no` where it is silent. `fp16: true` is an older form."""
    said = context.get("mixed_precision")
    if said in (None, False):
        return (
            "fp16"
            if "mixed_precision" not in context.document.data and context.get("fp16")
            else "no"
        )
    return str(said).lower()


def alone(data: Mapping[str, Any]) -> bool:
    """Whether accelerate starts the script once, whatever num_processes says.

    commands/launch.py, launch_command: simple_launcher, which looks at num_processes for mpirun alone.
    """
    mpi = data.get("mpirun_config")
    by_mpi = isinstance(mpi, dict) and mpi.get("mpirun_hostfile")
    kind = data.get("distributed_type", "")
    return not by_mpi and (kind in (None, False) or str(kind).upper() == "NO")


def engine(context: Context) -> bool:
    """Whether it launches DeepSpeed."""
    return str(context.get("distributed_type")).upper() == "DEEPSPEED"


def decided(context: Context) -> bool:
    """Whether the trainer has 16 bits of its own: else accelerate's word holds, by the environment."""
    return context.main is not None and context.trains.get(COMPUTE) not in (None, "fp32")


def by_file(rule: Rule) -> Rule:
    """A setting that DeepSpeed's own file says, where one is named."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if section(context, "deepspeed_config").get(FILE) and not _left(setting, context):
            return Outcome("inert", why=f"{FILE} says it")
        return rule(setting, context)

    return chosen


LEFT: Mapping[str, str] = {
    STEPS: STEPS,
    "gradient_clipping": "gradient_clipping",
    "zero_stage": "zero_optimization.stage",
    **{
        f"offload_{what}_{name}": f"zero_optimization.offload_{what}.{name}"
        for what in ("optimizer", "param")
        for name in ("device", "nvme_path")
    },
}
"""Settings, and where DeepSpeed's own file has them (utils/dataclasses.py, plugin_to_config_mapping)."""


def _left(setting: Setting, context: Context) -> bool:
    """Whether the engine's own file leaves it to this one, by the word auto."""
    node: Any = file.data if (file := context.companions.get("deepspeed")) is not None else None
    for name in LEFT.get(setting.key.rpartition(".")[2], "").split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return bool(node == "auto")


def accumulated(setting: Setting, context: Context) -> Outcome:
    """A number that must be the trainer's."""
    if context.main is None:
        return Outcome("derived", why="with the trainer's own numbers", of=("train.batch_size",))
    return Outcome("inert", why="the trainer counts, and transformers stops at another number")


def clipped(setting: Setting, _context: Context) -> Outcome:
    """A norm of 0 never reaches the engine (utils/dataclasses.py, DeepSpeedPlugin), which takes its own."""
    if setting.value:
        return Outcome("renamed", spec={"train.max_grad_norm": setting.value})
    return Outcome(
        "derived",
        spec={"train.max_grad_norm": 1.0},
        why="accelerate hands on no 0, and DeepSpeed 0.19.8 clips at 1.0 then; old versions never did",
        loud=True,
    )


def chosen(setting: Setting, context: Context) -> Outcome:
    """Which devices take part: utils/launch.py, prepare_deepspeed_cmd_env, which drops num_processes then."""
    many = context.get("num_machines")
    said = section(context, "deepspeed_config").get("deepspeed_multinode_launcher")
    if setting.value in (None, ""):
        return Outcome("inert", why="all devices take part")
    if not isinstance(many, int) or many < 2 or said == "standard":
        return Outcome(
            "inert", why="it is read where DeepSpeed's own launcher reaches several machines"
        )
    return Outcome(
        "unknown", why="it chooses the devices, and num_processes is not asked: --devices N"
    )


def unread(setting: Setting, context: Context) -> Outcome:
    """A key of a section that nothing looks at: a slip, or a key of DeepSpeed's own file."""
    name = setting.key.partition(".")[2]
    if setting.key.startswith("deepspeed_config.") and name in OVER:
        if setting.value == context.get(name):
            return Outcome("inert", why="as at the top of the file")
        why = f"accelerate takes it over {name} at the top of the file: it belongs there"
        return Outcome("unknown", why=why)
    return Outcome("inert", why=UNREAD, loud=True)


def missing(context: Context) -> dict[str, Any]:
    """Values that hold where the file does not say them."""
    said = section(context, "deepspeed_config")
    if engine(context) and said.get(FILE):
        return {}
    silent = context.main is None and not {"mixed_precision", "fp16"} & context.document.data.keys()
    spec = {COMPUTE: "fp32"} if silent else {}
    staged = not engine(context) or said.get("zero_stage") is not None
    return spec if staged else {**spec, "hardware.zero.stage": 2}


def questions(context: Context) -> Iterable[str]:
    """Where accelerate or transformers stop: no run can have come of it."""
    said = section(context, "deepspeed_config")
    many, processes = context.get("num_machines"), context.get("num_processes")
    if isinstance(many, int) and isinstance(processes, int) and 0 < processes < many:
        yield f"num_processes: {processes} on {many} machines: it counts those of all, and is too small"
    yield from unstarted(context)
    if _recomputes_twice(context):
        yield (
            "fsdp_config.fsdp_activation_checkpointing: on here, and gradient_checkpointing by the trainer: "
            "transformers stops at both: gradient_checkpointing: false"
        )
    if not engine(context):
        return
    if said.get(FILE):
        typed = context.document.owners  # on a command line, where accelerate lets it stand
        twice = [name for name in BY_FILE if name in said and "deepspeed_config" not in typed]
        if context.get("mixed_precision") is not None and "mixed_precision" not in typed:
            twice.append("mixed_precision")
        if twice:
            yield f"{', '.join(twice)}: accelerate stops where {FILE} is said beside it; that file holds"
        return
    if context.main is None:
        return
    own, steps = by_main(context, STEPS) or 1, str(said.get(STEPS))
    if steps.isdigit() and steps != str(own):
        yield f"{STEPS}: {steps} here, but {own} by the trainer: transformers stops at that"
    if (asked := word(context)) in HALVES and not decided(context):
        yield (
            f"mixed_precision: {asked} here, but neither bf16 nor fp16 by the trainer: transformers stops at "
            "that with DeepSpeed"
        )


def _recomputes_twice(context: Context) -> bool:
    """Whether both ask for activations that are made again (transformers 5.6, trainer.py)."""
    asked = is_on(fsdp.said(context, "activation_checkpointing"))
    divides = str(context.get("distributed_type")).upper() == "FSDP"
    trainer = context.main_format in ("trl", "trl_script")
    return (
        asked and divides and trainer and bool(context.trains.get("train.gradient_checkpointing"))
    )


GRID = ("dp_replicate_size", "dp_shard_size", "tp_size", "cp_size")
"""Its sizes; where rows are split by heads (`sp_size`) DeepSpeed makes the groups, and none is counted."""


def unstarted(context: Context) -> Iterable[str]:
    """Where accelerate starts nothing (commands/launch.py; parallelism_config.py, _validate_accelerator)."""
    data, typed = context.document.data, context.document.owners
    if "distributed_type" not in data and any(key not in typed for key in data):
        yield "distributed_type: accelerate stops at a file that does not say it: which one?"
    ids = None if "gpu_ids" in typed else data.get("gpu_ids")
    several = str(data.get("distributed_type")).upper() == "MULTI_GPU"
    if ids is not None and not isinstance(ids, str):
        yield f"gpu_ids: {ids}: a text stands there, and accelerate stops at anything else: in quotes?"
    elif (
        several
        and ids not in (None, "all")
        and "," not in ids
        and data.get("num_machines") in (None, 1)
    ):
        yield f"gpu_ids: {ids}: accelerate stops at a single one with MULTI_GPU: which devices?"
    processes = data.get("num_processes")
    grid = section(context, "parallelism_config")
    sizes = [grid.get(f"parallelism_config_{name}", grid.get(name)) for name in (*GRID, "sp_size")]
    *counted, split = (size if isinstance(size, int) and size > 0 else 1 for size in sizes)
    total = 1 if split > 1 else prod(counted)
    if total > 1 and isinstance(processes, int) and processes > 0 and total != processes:
        yield (
            f"parallelism_config: its sizes make {total} devices, and num_processes is {processes}: "
            "accelerate stops at that"
        )


def notes(context: Context) -> Iterable[str]:
    """What a person should know."""
    processes = context.get("num_processes")
    if alone(context.document.data) and isinstance(processes, int) and processes > 1:
        yield f"num_processes: {processes}: {ALONE}: --devices N"
    if str(context.get("distributed_type")).upper() == "MULTI_CPU" and not section(
        context, "mpirun_config"
    ):
        yield "num_processes: on CPUs accelerate starts one process, unless mpirun starts more"
    known = isinstance(context.get("num_processes"), int) or context.devices > 1
    if not known and str(context.get("distributed_type")).upper() not in ("NO", "FALSE"):
        yield "the global batch counts one device, since accelerate's num_processes is not said: --devices N"
