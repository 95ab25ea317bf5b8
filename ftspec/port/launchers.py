"""What a launcher's own options say of devices and machines, in the names of accelerate's config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ftspec.read.words import Word

KINDS = {
    "multi_gpu": "MULTI_GPU",
    "use_deepspeed": "DEEPSPEED",
    "use_fsdp": "FSDP",
    "use_megatron_lm": "MEGATRON_LM",
    "tpu": "XLA",
    "cpu": "NO",
}
"""Flags of `accelerate launch` that its config has as kinds of launch."""
ENGINE = (
    "deepspeed_",
    "zero_stage",
    "zero3_",
    "offload_",
    "gradient_clipping",
    "gradient_accumulation_steps",
)
SECTIONS = {
    **dict.fromkeys(ENGINE, "deepspeed_config"),
    "fsdp_": "fsdp_config",
    "dynamo_": "dynamo_config",
    "fp8_": "fp8_config",
    "megatron_lm_": "megatron_lm_config",
    "parallelism_config_": "parallelism_config",
    "mpirun_": "mpirun_config",
}
"""Beginnings of its other options, and the sections that have them in its config."""
CONFIG = "accelerate_config"
"""What trl's command line calls the file of its launch (cli/accelerate_config.py)."""
HANDED_ON = (CONFIG, "config_file", "num_processes", "num_machines", "machine_rank", "mixed_precision",
             "gpu_ids", "main_process_ip", "main_process_port", "rdzv_backend", "rdzv_conf", "same_network",
             "num_cpu_threads_per_process", "max_restarts", "quiet", *KINDS)  # fmt: skip
"""Options of `accelerate launch` that `trl sft` hands on, from its words and from its file of settings."""


def is_handed_on(name: str) -> bool:
    """Whether trl's command line hands an option of this name to accelerate: it has none of its own."""
    starts = tuple(
        start for start in SECTIONS if start not in ("fp8_", "gradient_accumulation_steps")
    )
    return name in HANDED_ON or (name.startswith(starts) and name not in TRLS)


TRLS = ("fsdp_config", "fsdp_transformer_layer_cls_to_wrap", "fsdp_min_num_params")
"""Arguments of transformers, now or before, which trl takes itself."""
COUNTED = re.compile(r"--(nproc[-_]per[-_]node|num[-_]processes|num[-_]gpus)\b")
"""Options of launchers that say how many devices there are on a machine, or on all of them."""
SHORT = {"-i": "--include", "-e": "--exclude", "-H": "--hostfile"}
"""Short options of the deepspeed launcher."""


def machine(options: Mapping[str, Any], launcher: str, visible: Sequence[str]) -> dict[str, Any]:
    """A launcher's options under the names that accelerate's config has for them."""
    if launcher == "accelerate":
        return _accelerate(options)
    if launcher == "torchrun":
        nodes = number(options.get("nnodes")) or 1
        each = number(options.get("nproc_per_node") or options.get("nproc-per-node"))
        return {"num_processes": each * nodes, "num_machines": nodes} if each else {}
    if launcher == "deepspeed":
        if options.get("hostfile") and not (options.get("num_nodes") or options.get("include")):
            return {}  # that file says which machines there are, and CUDA_VISIBLE_DEVICES is not read
        slots = _slots(options.get("include"))
        nodes = number(options.get("num_nodes")) or len(slots) or 1
        each = number(options.get("num_gpus")) or (slots[0] if slots else len(visible))
        return {"num_processes": each * nodes, "num_machines": nodes} if each else {}
    return {}


def of_axolotl(words: Sequence[Word]) -> tuple[list[Word], list[Word], str]:
    """Words of `axolotl train` that are its own, those that its launcher gets, and which launcher that is.

    axolotl 0.19.0, cli/main.py and cli/utils/train.py: those behind `--`, and how many processes there are.
    """
    texts = [word.text for word in words]
    end = texts.index("--") if "--" in texts else len(texts)
    own: list[Word] = []
    taken, chosen, place = [*words[end + 1 :]], "accelerate", 0
    while place < end:
        name, sign, value = texts[place].partition("=")
        option = words[place : min(place + (1 if sign else 2), end)]
        if name == "--launcher":
            chosen = value or option[-1].text
        elif name.replace("-", "_") in ("__num_processes", "__main_process_port", "__sweep"):
            taken += option
        else:
            option = option[:1]
            own += option
        place += len(option)
    return own, taken, chosen


def _slots(included: Any) -> list[int]:
    """Devices of each machine that `deepspeed --include host:0,1@other:0,1` takes; none where they differ.

    deepspeed 0.19.8, launcher/runner.py, parse_resource_filter.
    """
    machines = [host.partition(":")[2] for host in str(included or "").split("@")]
    slots = [len(devices.split(",")) if devices else 0 for devices in machines]
    return slots if slots[0] and len(set(slots)) == 1 else []


def left_open(options: Mapping[str, Any], line: int) -> list[tuple[int, str]]:
    """Options of the deepspeed launcher that choose devices in a way that only its hosts tell."""
    taken = options.get("include")
    named = [f"--include {taken}"] if taken and not _slots(taken) else []
    left = options.get("exclude")
    return [(line, text) for text in [*named, *([f"--exclude {left}"] if left else [])]]


def _accelerate(options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in options.items():
        section = next((name for start, name in SECTIONS.items() if key.startswith(start)), "")
        if key in KINDS:
            found["distributed_type"] = KINDS[key]
            found |= {"use_cpu": True} if key == "cpu" else {}
        elif section:
            found.setdefault(section, {})[key] = value
        else:
            found[key] = value
    return found


def number(value: Any) -> int:
    text = str(value or "")
    return int(text) if text.isdigit() else 0
