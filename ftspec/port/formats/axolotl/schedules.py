"""axolotl's schedules of the rate, and its warm-up."""

from __future__ import annotations

from math import isfinite
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.words import CONFIG, known_steps, not_of_rl, off_or, said, taken
from ftspec.port.formats.hf_arguments import CONSTANT, NO_WARMUP
from ftspec.port.rules import Context, Outcome, Rule, unknown

OWN = ("one_cycle", "rex")
"""Schedules of axolotl's, which it hands to transformers as a cosine (core/builders/base.py)."""
NEGATIVE = "of fewer than no steps, as max_steps says, the share is none: axolotl does not warm up"
CAPPED = (
    "train.warmup_ratio: axolotl warms up for 3 % of the steps, but for 100 at most: of a run of more than "
    "3,333 steps say train.warmup_steps: 100"
)
ROUNDED = "a share of the steps is rounded down there, up here: at most one step more"


def _schedule(setting: Setting, context: Context) -> Outcome:
    if setting.value in OWN:
        native = {f"{CONFIG}lr_scheduler_type": setting.value}  # which no row lifts
        return Outcome("unknown", native, why=f"the schedule {setting.value!r} is not in a spec")
    floor = context.get("cosine_min_lr_ratio")
    if floor and (spec := _minimum(setting._replace(value=floor), context).spec):
        kind = {"train.schedule.type": spec.get("train.schedule.type", "cosine")}
        return Outcome("derived", spec=kind, why="cosine_min_lr_ratio says where it ends")
    return Outcome("exact", {f"{CONFIG}lr_scheduler_type": setting.value})


def _minimum(setting: Setting, context: Context) -> Outcome:
    """core/trainers/mixins/scheduler.py: not asked where it is zero, or where the schedule is no cosine."""
    if idle := _idle(setting, context):
        return Outcome("inert", why=idle)
    if lost := _no_curve(setting, context):
        return Outcome("unknown", why=lost)
    if setting.value == 1:
        spec = {"train.schedule.type": "constant"}
        return Outcome("derived", spec=spec, why="a cosine from the peak to the peak is constant")
    return Outcome("renamed", spec={"train.schedule.min_ratio": setting.value})


def _idle(setting: Setting, context: Context) -> str:
    """Why a lowest rate is not read; empty where it is."""
    if not setting.value:
        return "the cosine goes to zero anyway"
    if taken(context, "lr_scheduler") not in ("cosine", "rex"):
        return "it is read with `lr_scheduler: cosine` alone"
    if context.get("lr_quadratic_warmup") and taken(context, "lr_scheduler") == "cosine":
        return "lr_quadratic_warmup has a cosine of its own, to zero"
    return ""


def _no_curve(setting: Setting, context: Context) -> str:
    """Why a spec has no such curve; empty where it has."""
    if taken(context, "lr_scheduler") == "rex":
        return "it is the lowest rate of rex, which is not in a spec"
    if context.get("cosine_constant_lr_ratio"):
        return "a cosine that stays low before the end is not in a spec"
    return "axolotl stops at more than 1" if setting.value > 1 else ""


def _parabola(_setting: Setting, context: Context) -> Outcome:
    """core/trainers/mixins/scheduler.py: before a cosine, which then goes to zero."""
    if taken(context, "lr_scheduler") != "cosine":
        return Outcome("inert", why="it comes before a cosine alone")
    return Outcome("renamed", spec={"train.warmup_shape": "quadratic"})


def warmup(context: Context) -> dict[str, Any]:
    """The warm-up (core/builders/base.py, _configure_warmup_and_logging)."""
    if is_flat(context):
        return {"train.warmup_steps": 0, "train.warmup_ratio": None}
    steps, ratio, total = (
        context.get("warmup_steps"),
        context.get("warmup_ratio"),
        known_steps(context),
    )
    steps, ratio = figure(steps), figure(ratio)
    if steps is None and (figure(context.get("max_steps")) or 0) < 0:
        # utils/data/sft.py: the smaller of its steps and all of them, which is a share of less than none
        return {"train.warmup_steps": 0, "train.warmup_ratio": None}
    if steps is None and total and ratio is not None:
        steps = int(ratio * total)
    elif steps is None and total:
        steps = min(int(0.03 * total), 100)
    if steps is None:
        share = 0.03 if ratio is None else ratio
        return {"train.warmup_steps": None, "train.warmup_ratio": share}
    return {"train.warmup_steps": 2 if steps == 1 else int(steps), "train.warmup_ratio": None}


def is_flat(context: Context) -> bool:
    """Whether its schedule has no warm-up, whatever is said of one."""
    return bool(context.get("lr_scheduler") == CONSTANT)


def figure(value: Any) -> float | int | None:
    """A number that counts; null of any other value, whose own fate tells."""
    counts = isinstance(value, int) or (isinstance(value, float) and isfinite(value))
    return value if counts else None


def _warmup_ratio(setting: Setting, context: Context) -> Outcome:
    if is_flat(context):
        return Outcome("inert", why=NO_WARMUP)
    if context.get("warmup_steps") is not None:
        return Outcome("inert", why="warmup_steps stands in its place")
    if (figure(context.get("max_steps")) or 0) < 0:
        return Outcome("derived", spec=warmup(context), why=NEGATIVE)
    why = "" if known_steps(context) or not setting.value else ROUNDED
    return Outcome("derived", spec=warmup(context), why=why)


def _warmup_steps(setting: Setting, context: Context) -> Outcome:
    if setting.value is not None and figure(setting.value) != int(setting.value):
        return Outcome("unknown", why="axolotl takes whole numbers of steps")
    if is_flat(context):
        return Outcome("inert", why=NO_WARMUP)
    return Outcome("derived", spec=warmup(context), why="where it says 1, axolotl makes it 2")


SCHEDULE_RULES: dict[str, Rule] = {
    "lr_scheduler": said(_schedule),
    "lr_scheduler_kwargs.": unknown("further arguments of the schedule are not read"),
    "cosine_min_lr_ratio": said(_minimum),
    "cosine_constant_lr_ratio": off_or(_minimum),
    "lr_quadratic_warmup": off_or(not_of_rl(_parabola)),
    "warmup_ratio": said(_warmup_ratio),
    "warmup_steps": said(_warmup_steps),
}
