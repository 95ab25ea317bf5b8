"""What a config of LLaMA-Factory says and today's release does not do, with the transformers 5 it installs.

0.9.5 takes transformers 4.55 to 5.6, 0.9.4 and older take 4 alone: there, schedules reach layerwise GaLore.
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.hf_arguments import plain
from ftspec.port.formats.llamafactory import aged
from ftspec.port.rules import Context, Outcome, Rule

PLAIN = plain()
PEAK = (
    "with transformers 5 no schedule reaches the steps of layerwise GaLore: each is made at the peak rate, "
    "whatever the log says (train/trainer_utils.py, create_custom_scheduler: it is handed no optimizer)"
)
WITHOUT = (
    "with transformers 5 it trains without float8 for all that: accelerate is asked by an environment "
    "variable, and the trainer's arguments have named another precision"
)
"""train/fp8_utils.py; seen with 0.9.5 and transformers 5.6: the same losses with and without."""
WITH = (
    "with transformers 4 it multiplies in float8: `precision: {compute: fp8, fp8_recipe: rowwise}`"
)
ENGINE = "Transformer Engine, whose recipe it hands to accelerate itself: a spec has torchao's float8 alone"
NAMELESS = (
    "with transformers 5 it stops here: the optimizer that nobody names is `adamw_torch_fused` there, "
    "which its GaLore does not know; `optim: adamw_torch` is what it was"
)
"""train/trainer_utils.py, _create_galore_optimizer; seen with 0.9.5 and transformers 5.6."""
FLOAT8 = ("fp8", "fp8_backend", "fp8_enable_fsdp_float8_all_gather")
SCHEDULES = ("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_ratio", "warmup_steps")


def is_new(context: Context) -> bool:
    """Whether the release may have transformers 5, and has it where it is installed today."""
    return not aged.on_fourth(context)


def at_the_peak(context: Context) -> bool:
    """Whether steps are made weight by weight, which no schedule reaches."""
    layerwise = context.get("use_galore") is True and context.get("galore_layerwise") is True
    return layerwise and is_new(context)


def scheduled(rule: Rule) -> Rule:
    """A rule of the schedule, which has no say in layerwise GaLore."""

    def reached(setting: Setting, context: Context) -> Outcome:
        return Outcome("inert", why=PEAK) if at_the_peak(context) else rule(setting, context)

    return reached


def layerwise(setting: Setting, context: Context) -> Outcome:
    """`galore_layerwise`: of older releases a spec says it, and today's follows no schedule there."""
    if not context.get("use_galore"):
        return Outcome("inert", why="nothing reads it without use_galore")
    if setting.value is True and not is_new(context):
        return Outcome("exact", spec={"train.optimizer.layerwise": True})
    return PLAIN(setting, context)


def float8(setting: Setting, context: Context) -> Outcome:
    """`fp8`."""
    if setting.value is not True:
        return Outcome("inert", why="no") if setting.value is False else PLAIN(setting, context)
    if context.get("fp8_backend") == "te":
        return Outcome("unknown", why=ENGINE)
    if not is_new(context):
        return Outcome("approximated", why=WITH)
    return Outcome("inert", why=f"{WITHOUT}. {WITH[0].upper()}{WITH[1:]}")


def unheard(context: Context) -> tuple[str, ...]:
    """What a person should know of such a config."""
    found = []
    if at_the_peak(context):
        found.append(f"the spec's rate is constant: {PEAK}")
    if context.get("fp8") is True and context.get("fp8_backend") != "te" and is_new(context):
        found.append(f"the spec has no float8: {WITHOUT}; {WITH}")
    if context.get("use_galore") is True and not context.get("optim") and is_new(context):
        found.append(NAMELESS)
    return tuple(found)
