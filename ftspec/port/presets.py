"""Settings of DeepSpeed and accelerate that come with a tool, by the names by which its configs ask for them.

axolotl 0.19.0, deepspeed_configs/ of its source distribution; LLaMA-Factory 0.9.5, examples/deepspeed/. Left
out is what says how data moves, not what it computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ftspec.port.documents import Document
from ftspec.read.placed import Placed

CPU = {"device": "cpu"}
AUTO = dict.fromkeys(
    ("gradient_accumulation_steps", "gradient_clipping", "train_batch_size",
     "train_micro_batch_size_per_gpu"), "auto"
)  # fmt: skip


def _scaled(power: int) -> dict[str, Any]:
    """Half precision as the training says it, and how float16's gradients are kept from underflow."""
    scale = {"loss_scale": 0, "initial_scale_power": power, "loss_scale_window": 1000}
    more = {"hysteresis": 2, "min_loss_scale": 1}
    return {"bf16": {"enabled": "auto"}, "fp16": {"enabled": "auto", **scale, **more}}


def _engine(half: Mapping[str, Any], stage: int, *offloaded: str) -> dict[str, Any]:
    places = {f"offload_{what}": CPU for what in offloaded}
    return {"zero_optimization": {"stage": stage, **places}, **half, **AUTO}


BF16 = {"bf16": {"enabled": True}}
AUTO_BF16 = {"bf16": {"enabled": "auto"}, "fp16": {"enabled": False}}
PRESETS: Mapping[str, tuple[str, Mapping[str, Mapping[str, Any]]]] = {
    "axolotl": (
        "deepspeed_configs",
        {
            "zero1.json": _engine(_scaled(32), 1),
            "zero2.json": _engine(_scaled(32), 2, "optimizer"),
            "zero3.json": _engine(_scaled(32), 3),
            "zero3_bf16.json": _engine(BF16, 3),
            "zero3_bf16_cpuoffload_all.json": _engine(BF16, 3, "optimizer", "param"),
            "zero3_bf16_cpuoffload_params.json": _engine(BF16, 3, "param"),
        },
    ),
    "llamafactory": (
        "examples/deepspeed",
        {
            "ds_z0_config.json": _engine(_scaled(16), 0),
            "ds_z2_config.json": _engine(_scaled(16), 2),
            "ds_z2_offload_config.json": _engine(_scaled(16), 2, "optimizer"),
            "ds_z3_config.json": _engine(_scaled(16), 3),
            "ds_z3_offload_config.json": _engine(_scaled(16), 3, "optimizer", "param"),
            "ds_z3_fp8_config.json": _engine(AUTO_BF16, 3, "optimizer"),
        },
    ),
}
"""By format: the folder in the tool's own repository, and its files."""


def preset(value: str, tool: str, title: str) -> Document | None:
    """The settings of a tool's own file; None for another one."""
    folder, files = PRESETS.get(tool, ("", {}))
    place = PurePosixPath(value.replace("\\", "/"))
    if place.name not in files or not f"/{place.parent}".endswith(f"/{folder}"):
        return None
    whose = f"{title}'s own {place.name}"
    return Document(Path(value), Placed(dict(files[place.name]), {}), whose=whose)


SPREAD = {"num_machines": 1, "num_processes": 8, "mixed_precision": "bf16"}
WHOLE = {"distributed_type": "FSDP", **SPREAD}
PIECES = {
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_cpu_ram_efficient_loading": True,
    "fsdp_state_dict_type": "FULL_STATE_DICT",
}


def _zero(stage: int) -> dict[str, Any]:
    engine = {"gradient_accumulation_steps": 1} if stage == 1 else {}
    return {
        "distributed_type": "DEEPSPEED",
        **SPREAD,
        "deepspeed_config": {"zero_stage": stage, **engine},
    }


LAUNCHES: Mapping[str, Mapping[str, Any]] = {
    "single_gpu": {"distributed_type": "NO", **SPREAD},
    "multi_gpu": {"distributed_type": "MULTI_GPU", **SPREAD},
    "fsdp1": {**WHOLE, "fsdp_config": {**PIECES, "fsdp_version": 1}},
    "fsdp2": {**WHOLE, "fsdp_config": {**PIECES, "fsdp_version": 2}},
    **{f"zero{stage}": _zero(stage) for stage in (1, 2, 3)},
}
"""accelerate's settings that come with trl 1.16, trl/accelerate_configs/."""


def launch_preset(name: str) -> Document | None:
    """How trl's own file of this name launches; None for another one."""
    said = LAUNCHES.get(name)
    if said is None:
        return None
    return Document(Path(name), Placed(dict(said), {}), whose=f"trl's own {name}.yaml")
