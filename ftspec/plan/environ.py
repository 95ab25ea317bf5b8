"""Environment variables around a training: what would override a setting, and what is private.

A variable exported years ago in a shell profile can change a training without a trace in any file.
Each row names one, with the place upstream that reads it (paths inside the released packages).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple


class Variable(NamedTuple):
    """One environment variable, or all that match a pattern with `*`."""

    name: str
    why: str
    value: str = ""
    """What it is set to; rows of CLEARED have none."""


CLEARED = (
    # accelerate and transformers: precision, device, sharding and accumulation.
    # transformers 5.6 training_args.py:1580 (..MIXED_PRECISION), :1672 (..USE_DEEPSPEED) and :1832
    # (..USE_CPU); accelerate 1.11 accelerator.py:380 (..USE_FSDP) and :546
    # (..GRADIENT_ACCUMULATION_STEPS), state.py:183 (..TORCH_DEVICE)
    Variable("ACCELERATE_*", "overrides precision, device, sharding and accumulation"),
    # accelerate utils/dataclasses.py:1775ff; transformers integrations/fsdp.py:52
    Variable("FSDP_*", "overrides how parameters are sharded"),
    Variable(
        "PARALLELISM_CONFIG_*", "splits the model over devices"
    ),  # accelerate accelerator.py:457
    Variable("XLA_USE_BF16", "overrides the precision"),  # transformers modeling_utils.py:154
    Variable("XLA_DOWNCAST_BF16", "overrides the precision"),  # transformers modeling_utils.py:155
    Variable("NVIDIA_TF32_OVERRIDE", "overrides precision.tf32"),  # CUDA libraries
    Variable(
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "overrides precision.tf32"
    ),  # torch ATen/Context.cpp
    # torchrun takes every option from PET_<option>: torch distributed/argparse_util.py:45
    Variable("PET_*", "overrides torchrun's options"),
    Variable("TORCHELASTIC_*", "makes the process a worker of another torchrun"),
    Variable("PYTHON_EXEC", "another interpreter for the workers"),  # torch distributed/run.py:929
    # torch.distributed's env:// contract, and accelerate state.py:203 and utils/environment.py:219
    *(
        Variable(name, "makes the process one rank of another run")
        for name in (
            "RANK",
            "LOCAL_RANK",
            "GROUP_RANK",
            "ROLE_RANK",
            "WORLD_SIZE",
            "LOCAL_WORLD_SIZE",
            "GROUP_WORLD_SIZE",
            "ROLE_WORLD_SIZE",
            "ROLE_NAME",
            "NODE_RANK",
            "MASTER_ADDR",
            "MASTER_PORT",
            "OMPI_COMM_WORLD_*",
            "PMI_*",
            "MV2_COMM_WORLD_*",
        )
    ),
    # LLaMA-Factory launcher.py:57-77 and extras/misc.py:332-344
    *(
        Variable(name, "changes how many processes LLaMA-Factory starts, and how")
        for name in (
            "FORCE_TORCHRUN",
            "NNODES",
            "NPROC_PER_NODE",
            "MIN_NNODES",
            "MAX_NNODES",
            "MAX_RESTARTS",
            "RDZV_ID",
            "USE_RAY",
        )
    ),
    Variable("USE_MCA", "another trainer in LLaMA-Factory"),  # hparams/training_args.py:26
    Variable("USE_KT", "another trainer in LLaMA-Factory"),  # extras/misc.py:344
    Variable("USE_V1", "another LLaMA-Factory"),  # cli.py:19
    Variable("USE_MODELSCOPE_HUB", "models from another hub"),  # extras/misc.py:332
    Variable("USE_OPENMIND_HUB", "models from another hub"),  # extras/misc.py:336
    Variable("ALLOW_EXTRA_ARGS", "misspelt settings pass unnoticed"),  # hparams/parser.py:261
    Variable("DISABLE_VERSION_CHECK", "untested versions pass unnoticed"),  # extras/misc.py:78
    Variable("LLAMABOARD_*", "LLaMA-Factory's web interface takes over"),  # train/callbacks.py:189
    Variable("IMAGE_PLACEHOLDER", "changes the text that is trained on"),  # extras/constants.py:52
    Variable("VIDEO_PLACEHOLDER", "changes the text that is trained on"),  # extras/constants.py:123
    Variable("AUDIO_PLACEHOLDER", "changes the text that is trained on"),  # extras/constants.py:24
    # unsloth and unsloth_zoo read some 150: kernels, float32, logits, compilation
    Variable("UNSLOTH_*", "switches kernels, precision and losses in Unsloth"),
    # DeepSpeed accelerator/real_accelerator.py:59, cuda_accelerator.py:214, cpu_accelerator.py:71
    Variable("DS_ACCELERATOR", "overrides the device"),
    Variable("DS_ALLOW_DEPRECATED_FP16", "fp16 where the device cannot"),
    Variable("DS_ENV_FILE", "more variables from a file"),  # DeepSpeed launcher/runner.py:37
    Variable("LOCAL_SIZE", "changes how many processes DeepSpeed starts"),
    # The interpreter itself: packages from elsewhere would shadow the environment's.
    Variable("PYTHONPATH", "shadows the environment's packages"),
    Variable("PYTHONHOME", "replaces the environment's standard library"),
    Variable("PYTHONSTARTUP", "runs somebody's code first"),
    Variable("PYTHONOPTIMIZE", "switches assertions off"),
)

ALWAYS = (
    # Standard output is a pipe, so Python would hold the loss lines back until the end.
    Variable("PYTHONUNBUFFERED", "loss lines appear when they happen", "1"),
)

PRIVATE = (
    # huggingface_hub constants.py:245-247; trl trainer/base_trainer.py:82 reports through it
    Variable("HF_HUB_DISABLE_TELEMETRY", "TRL and transformers report nothing", "1"),
    Variable("DO_NOT_TRACK", "the common word for it (donottrack.sh)", "1"),
    # unsloth models/_utils.py:4890 looks only whether it is there
    Variable("UNSLOTH_DISABLE_STATISTICS", "Unsloth reports no hardware", "1"),
    # datasets config.py:179 and load.py:191: a request per data set loaded
    Variable("HF_UPDATE_DOWNLOAD_COUNTS", "datasets counts no downloads", "0"),
    # gradio analytics.py:46 compares with "True"; LLaMA-Factory installs gradio
    Variable("GRADIO_ANALYTICS_ENABLED", "gradio reports nothing", "False"),
)

ON_CPU = (
    # Asked for a CPU, LLaMA-Factory still starts a process for each GPU it sees (launcher.py:61).
    Variable("CUDA_VISIBLE_DEVICES", "hardware.device is cpu", ""),
    Variable("DS_ACCELERATOR", "hardware.device is cpu", "cpu"),
)


def clean(
    telemetry: bool,
    device: str,
    environ: Mapping[str, str] | None = None,
    threads: int | None = None,
    keep: Collection[str] = (),
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What a launch sets, and what it removes from its caller's environment.

    Args:
        telemetry: let the frameworks report usage.
        device: `cpu` or `cuda`.
        environ: the caller's environment. With it, the names that are really there are returned;
            without, the patterns, so that a plan does not depend on whose shell made it.
        threads: CPU threads per process. More than one changes the order of sums, so a proof of
            equality fixes it; a plain run leaves it to the frameworks.
        keep: names that stay although they are in the table. A run over several machines is told
            by its caller which of them this is: MASTER_ADDR, MASTER_PORT, NODE_RANK.
    """
    rows = [*ALWAYS, *(() if telemetry else PRIVATE), *(ON_CPU if device == "cpu" else ())]
    setting = {row.name: row.value for row in rows}
    if threads is not None:
        setting |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    patterns = tuple(row.name for row in CLEARED if row.name not in keep)
    return setting, patterns if environ is None else matching(environ, patterns)


def matching(environ: Mapping[str, str], cleared: Collection[str]) -> tuple[str, ...]:
    """The variables that the names and patterns of ``cleared`` speak of, sorted.

    Never one that keeps a framework quiet: who has opted out by hand stays so.
    """
    private = {row.name for row in PRIVATE}
    found = (name for name in environ if any(fnmatchcase(name, row) for row in cleared))
    return tuple(sorted(name for name in found if name not in private))


def reason(name: str) -> str:
    """Why a variable is cleared."""
    return next((row.why for row in CLEARED if fnmatchcase(name, row.name)), "")
