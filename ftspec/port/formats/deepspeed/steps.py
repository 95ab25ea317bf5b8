"""The engine's own optimizer and schedule, and what it assumes where they say little.

deepspeed 0.19.8: ops/adam/fused_adam.py and cpu_adam.py, runtime/lr_schedules.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.deepspeed.precision import by_main, unless_auto
from ftspec.port.rules import Context, Outcome, Rule, inert, says, section, unknown, unless

KINDS = {"WarmupLR": "constant", "WarmupDecayLR": "linear"}
GONE = ("onebitadam", "zerooneadam", "onebitlamb")
"""Optimizers that were taken out: the engine looks for them in torch.optim, and stops."""
RATE = 1e-3
"""Of its Adam, and of WarmupDecayLR."""
ADAM: Mapping[str, Mapping[str, Any]] = {
    "lr": {"train.learning_rate": RATE},
    "betas": {"train.optimizer.beta1": 0.9, "train.optimizer.beta2": 0.999},
    "eps": {"train.optimizer.eps": 1e-8},
    "weight_decay": {"train.weight_decay": 0.0},
}
"""What its Adam assumes without these settings: the trainer's own are not asked."""
TORCH_DECAY = 0.01
"""Of torch.optim.AdamW, which `torch_adam` asks for."""
WARMUP: Mapping[str, Any] = {"train.warmup_steps": 1000, "train.warmup_ratio": None}


def missing_steps(context: Context) -> dict[str, Any]:
    """Values of what a section leaves out."""
    spec: dict[str, Any] = {}
    if _is_adam(section(context, "optimizer").get("type")):
        params = _params(context, "optimizer")
        for name, values in ADAM.items():
            spec |= {} if name in params else values
        if params.get("torch_adam") and "weight_decay" not in params and _decays_apart(context):
            spec |= {"train.weight_decay": TORCH_DECAY, "train.weight_decay_on": "all"}
        if params.get("weight_decay") == "auto" and by_main(context, "weight_decay"):
            spec |= {} if _adapts(context) else {"train.weight_decay_on": "all"}
    if (kind := str(section(context, "scheduler").get("type"))) in KINDS:
        params = _params(context, "scheduler")
        spec |= {} if "warmup_num_steps" in params else WARMUP
        if kind == "WarmupDecayLR" and "warmup_max_lr" not in params:
            spec["train.learning_rate"] = RATE
        elif "warmup_max_lr" in params:
            spec.pop("train.learning_rate", None)  # it sets the optimizer's
    return spec


def _params(context: Context, name: str) -> Mapping[str, Any]:
    found = section(context, name).get("params")
    return found if isinstance(found, dict) else {}


def _is_adam(name: Any) -> bool:
    return str(name).lower() in ("adam", "adamw")


def _optimizer(setting: Setting, _context: Context) -> Outcome:
    if _is_adam(setting.value):
        return Outcome(
            "renamed", spec={"train.optimizer.type": "adamw"}, why="its Adam decays weights apart"
        )
    if str(setting.value).lower() in GONE:
        return Outcome(
            "unknown", why=f"{setting.value} was taken out, and DeepSpeed 0.19.8 stops at it"
        )
    return Outcome("unknown", why=f"the engine's own optimizer {setting.value} is not in a spec")


def _decays_apart(context: Context) -> bool:
    """Whether its Adam is AdamW: the name decides, or else adam_w_mode.

    runtime/engine.py, _configure_basic_optimizer.
    """
    named = str(section(context, "optimizer").get("type")).lower() == "adamw"
    return named or _params(context, "optimizer").get("adam_w_mode", True) is not False


def _apart(_setting: Setting, context: Context) -> Outcome:
    if _decays_apart(context):
        return Outcome("inert", why="as a spec's AdamW does")
    if not _params(context, "optimizer").get("weight_decay"):
        return Outcome("inert", why="nothing decays")
    return Outcome("unknown", why="decay through the gradient is not in a spec")


def _states(setting: Setting, context: Context) -> Outcome:
    """The type of the states of its Adam in CPU memory: no other has such a setting."""
    place = section(context, "zero_optimization").get("offload_optimizer")
    moved = isinstance(place, dict) and place.get("device", "none") != "none"
    if setting.value is True or not moved or _params(context, "optimizer").get("torch_adam"):
        return Outcome("inert", why="states of float32")
    return Outcome("unknown", why="states in the type of the weights are not in a spec")


def _decay(setting: Setting, context: Context) -> Outcome:
    spec = {"train.weight_decay": setting.value}
    if not setting.value:
        return Outcome("renamed", spec=spec)
    if _adapts(context):
        why = "of an adapter all weights decay here as well: it has no biases and norms"
        return Outcome("renamed", spec=spec, why=why)
    why = "the engine's optimizer decays biases and norms too"
    return Outcome("derived", spec=spec | {"train.weight_decay_on": "all"}, why=why)


def _adapts(context: Context) -> bool:
    """Whether the file that says the training tunes an adapter and nothing else."""
    said = context.main.data if context.main else {}
    factory = "stage" in said and said.get("finetuning_type", "lora") == "lora"
    whole = said.get("additional_target") or said.get("lora_modules_to_save")
    return (factory or said.get("use_peft") is True) and not whole


def _betas(setting: Setting, _context: Context) -> Outcome:
    if not isinstance(setting.value, list) or len(setting.value) != 2:
        return Outcome("unknown", why="betas are two numbers")
    first, second = setting.value
    return Outcome(
        "renamed", spec={"train.optimizer.beta1": first, "train.optimizer.beta2": second}
    )


def _schedule(setting: Setting, context: Context) -> Outcome:
    """The engine's own schedules, which begin again from nothing after the first step (lr_schedules.py)."""
    if setting.value not in KINDS:
        return Outcome("unknown", why=f"the engine's own schedule {setting.value} is not in a spec")
    shape = _params(context, "scheduler").get("warmup_type", "log")
    spec = {
        "train.schedule.type": KINDS[setting.value],
        "train.warmup_shape": shape if shape == "linear" else "log",
        "train.schedule_delay": 1,
    }
    lowest = _params(context, "scheduler").get("warmup_min_lr")
    if setting.value == "WarmupDecayLR" and lowest not in (None, "auto", 0):
        line = {"type": "polynomial", "power": 1.0, "end_rate": float(lowest)}
        spec |= {f"train.schedule.{name}": value for name, value in line.items()}
    return Outcome("derived", spec=spec)


def _steps(setting: Setting, _context: Context) -> Outcome:
    spec = {"train.warmup_steps": max(2, setting.value), "train.warmup_ratio": None}
    return Outcome("derived", spec=spec, why="the engine makes at least two of them")


STEPS: Mapping[str, Rule] = {
    "optimizer.type": _optimizer,
    "optimizer.params.lr": unless_auto(says("train.learning_rate")),
    "optimizer.params.betas": unless_auto(_betas),
    "optimizer.params.eps": unless_auto(says("train.optimizer.eps")),
    "optimizer.params.weight_decay": unless_auto(_decay),
    "optimizer.params.torch_adam": inert("which implementation of the same Adam"),
    "optimizer.params.adam_w_mode": _apart,
    "optimizer.params.fp32_optimizer_states": _states,
    "optimizer.params.amsgrad": unless(
        (False,), "off", unknown("its Adam has no amsgrad, and stops")
    ),
    "optimizer.params.max_grad_norm": unknown(
        "DeepSpeed 0.19.8 stops at it here: gradient_clipping says it"
    ),
    "optimizer.params.bias_correction": unless(
        (True,), "as a spec's AdamW does", unknown("Adam without its correction is not in a spec")
    ),
    "optimizer.params.": unknown("a setting of the engine's own optimizer"),
    "scheduler.type": _schedule,
    "scheduler.params.warmup_type": inert("it belongs to the schedule"),
    "scheduler.params.warmup_min_lr": unless_auto(says("train.warmup_start", float)),
    "scheduler.params.warmup_max_lr": unless_auto(says("train.learning_rate")),
    "scheduler.params.warmup_num_steps": unless_auto(_steps),
    "scheduler.params.total_num_steps": unless_auto(says("train.steps")),
    "scheduler.params.": unknown("a setting of the engine's own schedule"),
}
"""Rules of the sections `optimizer` and `scheduler`."""
