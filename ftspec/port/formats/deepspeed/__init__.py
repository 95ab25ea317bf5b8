"""DeepSpeed's JSON: an engine's settings, beside the script or config that trains with it.

As 0.19.8 and transformers' Trainer read it: `auto` is filled in from the script (integrations/deepspeed.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ftspec.port.documents import HJSON
from ftspec.port.fates import Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.deepspeed.blocks import BLOCKS
from ftspec.port.formats.deepspeed.precision import PRECISION, by_main, on, unless_auto
from ftspec.port.formats.deepspeed.steps import STEPS, missing_steps, never_warm
from ftspec.port.formats.deepspeed.zero import DS, SHARDING
from ftspec.port.rules import Context, Outcome, says, section, unknown
from ftspec.port.shared import cut
from ftspec.read import yaml

HALVES = ("bf16", "fp16")
SIGNS = frozenset(
    (
        "zero_optimization", "train_micro_batch_size_per_gpu", "train_batch_size", "gradient_clipping",
        "steps_per_print", "zero_allow_untested_optimizer", "wall_clock_breakdown",
        "compression_training", "prescale_gradients", "activation_checkpointing",
    )
)  # fmt: skip


BATCH = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")


def _whole(value: Any) -> int | None:
    """A number of the batch; None for anything else."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and not isinstance(value, bool) else None


def _batch(setting: Setting, context: Context) -> Outcome:
    """Any two of the three numbers give the third (runtime/config.py, _set_batch_related_parameters)."""
    if setting.value is not None and (_whole(setting.value) or 0) < 1:
        return Outcome("unknown", why="DeepSpeed stops at anything but a number above 0 here")
    whole, micro, steps = (_whole(context.get(name)) for name in BATCH)
    asked = by_main(context, "gradient_accumulation_steps")
    if steps is None and isinstance(asked, int):
        steps = asked  # the trainer counts by itself, where the engine is not told either
    devices, group = context.devices * context.nodes, cut(context.document.data)
    # the engine counts devices that share layers one by one, and those that share rows as one; transformers
    # fills in the batch before the groups are made (integrations/deepspeed.py)
    counted = max(devices * group // context.sharing, 1)
    if micro is None and whole is not None:
        micro = whole // counted // (steps or 1)
    if whole is None and micro is not None:
        whole = micro * (steps or 1) * counted
    if whole is None or not micro:
        return Outcome("derived", why="with the script's own numbers", of=("train.batch_size",))
    spec = {"train.batch_size": whole // group, "train.micro_batch_size": micro}
    return Outcome("derived", spec=spec)


def _open(context: Context, half: str) -> bool:
    """Whether a number format is on, or left to a script that is not here."""
    left = (
        section(context, half).get("enabled") == "auto" and "accelerate" not in context.companions
    )
    return left or on(context, half)


def _complete(context: Context) -> Completion:
    spec = missing_steps(context)
    notes = []
    known = _world(context.document.data) is not None or context.sharing > 1
    if known and "accelerate" not in context.companions:
        spec["hardware.devices"] = context.devices
    if "stage" not in section(context, "zero_optimization"):
        spec["hardware.zero.stage"] = 0
    if "gradient_clipping" not in context.document.data:
        spec["train.max_grad_norm"] = 1.0  # runtime/constants.py; the script's is not asked
        notes.append(
            "train.max_grad_norm: 1.0 is what DeepSpeed 0.19.8 assumes; old versions never clipped"
        )
    if context.main is None and not any(map(partial(_open, context), HALVES)):
        spec["precision.compute"] = "fp32"
    asked = (*_counted_twice(context), *_stops(context))
    return Completion({}, spec, asked, tuple(notes))


FILLED = frozenset(
    (
        *BATCH, "gradient_clipping", "steps_per_print", "fp16.enabled", "bf16.enabled",
        *(f"optimizer.params.{name}" for name in ("lr", "betas", "eps", "weight_decay")),
        *(f"scheduler.params.{name}" for name in (
            "warmup_min_lr", "warmup_max_lr", "warmup_num_steps", "total_num_steps")),
        *(f"zero_optimization.{name}" for name in (
            "stage", "offload_optimizer.device", "offload_optimizer.nvme_path", "offload_param.device",
            "offload_param.nvme_path", "stage3_gather_16bit_weights_on_model_save", "reduce_bucket_size",
            "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold")),
    )
)  # fmt: skip
"""Where `auto` is filled in: transformers 5.6, integrations/deepspeed.py; accelerate 1.11, accelerator.py."""


def _stops(context: Context) -> Iterator[str]:
    """Where a trainer's run ends before it begins."""
    if context.main is not None and "zero_optimization" not in context.document.data:
        yield "zero_optimization: accelerate stops at a file without this section: which stage?"
    if context.main is not None and HJSON in context.document.notes:
        yield f"{context.document.path.name}: {HJSON}"
    whole, micro = (_whole(context.get(name)) or 0 for name in BATCH[:2])
    if micro > 0 and whole % micro:
        yield f"train_batch_size: {whole} is no multiple of the {micro} of each device, and DeepSpeed stops"
    if all(section(context, half).get("enabled") is True for half in HALVES):
        yield "fp16.enabled and bf16.enabled: DeepSpeed stops where both are on: which of them?"
    compute = str(context.trains.get("precision.compute") or "")
    for half in HALVES if compute else ():
        said, own = section(context, half).get("enabled"), compute.startswith(half)
        if isinstance(said, bool) and said != own:
            words = ("off", "on")
            yield (
                f"{half}.enabled: {words[said]} here, but {words[own]} by the trainer: transformers stops at "
                "that"
            )
    left = [one.key for one in context.document.settings() if one.value == "auto"]
    if context.main is not None and (left := [key for key in left if key not in FILLED]):
        yield f"{', '.join(left)}: auto, which nobody fills in, and accelerate stops at that"
    if never_warm(context):
        yield (
            "scheduler.params.warmup_num_steps: auto, and the trainer's warm-up is 0 steps: DeepSpeed "
            "0.19.8 stops at that, older versions made two of them"
        )
    needed, devices = _world(context.document.data), context.devices * context.nodes
    if needed is not None and needed != devices:
        yield (
            f"train_batch_size: by the other two numbers it is that of {needed:g} devices, and there are "
            f"{devices}: DeepSpeed stops at that"
        )


def _world(data: Mapping[str, Any]) -> float | None:
    """Devices that the three numbers of a batch are for."""
    said = [number for name in BATCH if (number := _whole(data.get(name)) or 0) > 0]
    if len(said) != len(BATCH):
        return None
    whole, micro, steps = said
    return float(whole / (micro * steps))


def _devices(data: Mapping[str, Any]) -> int | None:
    world = _world(data)
    return int(world) if world is not None and world.is_integer() else None


def _counted_twice(context: Context) -> tuple[str, ...]:
    """transformers stops where the engine counts otherwise (integrations/deepspeed.py, fill_match)."""
    name = "gradient_accumulation_steps"
    steps, own = context.get(name), by_main(context, name) or 1
    data = context.document.data
    told = all(data.get(other) is not None for other in BATCH[:2])
    if context.main is not None and name not in data and own != 1 and told:
        # accelerate 1.11, utils/dataclasses.py; runtime/config.py, _batch_assertion
        return (
            f"{name}: none here, which accelerate makes 1, but {own} by the trainer: DeepSpeed stops at "
            "that where train_batch_size is said too",
        )
    if (
        context.main is None
        or not isinstance(steps, int)
        or not isinstance(own, int)
        or steps == own
    ):
        return ()
    return (f"{name}: {steps} here, but {own} by the trainer: transformers stops at that",)


_POSITIVE = says("train.max_grad_norm", lambda norm: norm or None)
format = Format(
    name="deepspeed",
    title="DeepSpeed",
    backend="deepspeed",
    signs=SIGNS,
    scalar=yaml.scalar,
    # runtime/config.py asks for its blocks by name, and looks at nothing else
    otherwise=unknown("DeepSpeed 0.19.8 has no such setting, and passes over it"),
    complete=_complete,
    devices=_devices,
    whole=False,
    part=DS,
    rules={
        "train_batch_size": unless_auto(_batch),
        "train_micro_batch_size_per_gpu": unless_auto(_batch),
        "gradient_accumulation_steps": unless_auto(_batch),
        "gradient_clipping": unless_auto(_POSITIVE),
        **SHARDING,
        **PRECISION,
        **STEPS,
        **BLOCKS,
    },
    accepted={"stage3_gather_16bit_weights_on_model_save": "the end result always holds all weights"},
)  # fmt: skip
