"""The engine's own schedules, and the rate that holds beside them.

deepspeed 0.19.8: runtime/lr_schedules.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.deepspeed.precision import unless_auto
from ftspec.port.rules import Context, Outcome, Rule, inert, says, section, unknown, unless

KINDS = {"WarmupLR": "constant", "WarmupDecayLR": "linear", "WarmupCosineLR": "cosine"}
AHEAD = "of its cosine the warm-up is a step late, and the wave is not: here both are"
RATE = 1e-3
"""Of its Adam, and of WarmupDecayLR."""
LOWEST = 1e-4
"""Where its cosine ends, as a share of the peak."""
WARMUP: Mapping[str, Any] = {"train.warmup_steps": 1000, "train.warmup_ratio": None}


def params(context: Context, name: str) -> Mapping[str, Any]:
    """The arguments of `optimizer` or `scheduler`."""
    found = section(context, name).get("params")
    return found if isinstance(found, dict) else {}


def rate(setting: Setting, context: Context) -> Outcome:
    """Its optimizer's: the two schedules without a cosine set the rate of their own over it."""
    said = section(context, "scheduler").get("type")
    assumed = RATE if said == "WarmupDecayLR" else None
    peak = params(context, "scheduler").get("warmup_max_lr", assumed)
    if said not in KINDS or said == "WarmupCosineLR" or peak in (None, "auto", setting.value):
        return Outcome("renamed", spec={"train.learning_rate": setting.value})
    why = f"{said} sets the rate: it goes up to warmup_max_lr, which is {peak}"
    return Outcome("inert", why=why, loud=True)


def _schedule(setting: Setting, context: Context) -> Outcome:
    """The engine's own schedules, which begin again from nothing after the first step (lr_schedules.py)."""
    if setting.value not in KINDS:
        return Outcome("unknown", why=f"the engine's own schedule {setting.value} is not in a spec")
    shape = params(context, "scheduler").get("warmup_type", "log")
    spec = {
        "train.schedule.type": KINDS[setting.value],
        "train.warmup_shape": shape if shape == "linear" else "log",
        "train.schedule_delay": 1,
    }
    lowest = params(context, "scheduler").get("warmup_min_lr")
    if setting.value == "WarmupDecayLR" and lowest not in (None, "auto", 0):
        line = {"type": "polynomial", "power": 1.0, "end_rate": float(lowest)}
        spec |= {f"train.schedule.{name}": value for name, value in line.items()}
    if setting.value == "WarmupCosineLR":
        return Outcome("approximated", spec=spec, why=AHEAD)
    return Outcome("derived", spec=spec)


def _lowest(setting: Setting, context: Context) -> Outcome:
    """Where its cosine begins, as a share of the optimizer's rate: the first step of all has none."""
    peak = params(context, "optimizer").get("lr", RATE)
    if peak == "auto":
        peak = context.trains.get("train.learning_rate")
    if not setting.value:
        return Outcome("inert", why="from nothing, as without it")
    if not isinstance(peak, int | float):
        return Outcome("unknown", why="a share of a rate that is not known")
    spec = {"train.warmup_start": setting.value * peak}
    return Outcome("approximated", spec=spec, why="its first step has a rate of nothing")


def _steps(setting: Setting, _context: Context) -> Outcome:
    spec = {"train.warmup_steps": max(2, int(setting.value)), "train.warmup_ratio": None}
    if setting.value < 1 or not isinstance(setting.value, int):
        why = "DeepSpeed 0.19.8 wants a whole number above 0, and stops; older versions made at least 2 of it"
        return Outcome("approximated", spec=spec, why=why)
    return Outcome("derived", spec=spec, why="the engine makes at least two of them")


def _of_cosine(rule: Rule) -> Rule:
    def chosen(setting: Setting, context: Context) -> Outcome:
        if section(context, "scheduler").get("type") != "WarmupCosineLR":
            return Outcome("unknown", why="a setting of the engine's cosine alone")
        return rule(setting, context)

    return chosen


def _total(setting: Setting, context: Context) -> Outcome:
    """Beside a trainer it must come to what that counts (transformers, trainer_config_finalize)."""
    if context.main is None or context.trains.get("train.steps") is not None:
        return Outcome("renamed", spec={"train.steps": setting.value})
    why = "the trainer counts its steps by itself, and transformers stops unless they come to this"
    return Outcome("inert", why=why, loud=True)


SCHEDULE: Mapping[str, Rule] = {
    "scheduler.type": _schedule,
    "scheduler.params.warmup_type": inert("it belongs to the schedule"),
    "scheduler.params.warmup_min_lr": unless_auto(says("train.warmup_start", float)),
    "scheduler.params.warmup_max_lr": unless_auto(
        unless((None,), "the optimizer's own rate", says("train.learning_rate"))
    ),
    "scheduler.params.warmup_num_steps": unless_auto(_steps),
    "scheduler.params.warmup_min_ratio": _of_cosine(_lowest),
    "scheduler.params.cos_min_ratio": _of_cosine(says("train.schedule.min_ratio")),
    "scheduler.params.total_num_steps": unless_auto(_total),
    "scheduler.params.last_batch_iteration": unless(
        (-1,), "it begins with the first step", unknown("a schedule that begins later")
    ),
    "scheduler.params.": unknown("a setting of the engine's own schedule"),
}
"""Rules of the section `scheduler`."""
