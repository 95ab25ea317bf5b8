"""The engine's number formats: weights that it casts itself, and the factor on a float16 loss.

Names and what is assumed: deepspeed 0.19.8, runtime/precision_config.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.switches import is_on
from ftspec.port.rules import Context, Outcome, Rule, inert, nearly, section, unknown, unless

AUTO = "the script says it"
PLAIN_CLASSES = ("TrainingArguments", "UnslothTrainingArguments")
SCALE = {
    "fp16.loss_scale": "fixed",
    "fp16.initial_scale_power": "start_power",
    "fp16.loss_scale_window": "window",
    "fp16.hysteresis": "hysteresis",
    "fp16.consecutive_hysteresis": "refill",
    "fp16.min_loss_scale": "minimum",
}
"""Fields of precision.loss_scale."""
NO_SECTION = "a section stands there, and the engine stops at anything else"
COPIES = unknown("copies of 16-bit weights that are not float32 are not in a spec")


def unless_auto(rule: Rule) -> Rule:
    """`auto` takes the value from elsewhere."""
    return unless(("auto",), AUTO, rule)


def by_main(context: Context, name: str) -> Any:
    """What the file that says the training has under this name, at its top or in a section of it."""
    main = context.main.data if context.main else {}
    parts = (part for part in (main, *main.values()) if isinstance(part, dict))
    return next((part[name] for part in parts if name in part), None)


def switched(context: Context, name: str) -> bool:
    """Whether the trainer has the number format on: trl's `bf16` is, unless it or `fp16` is said.

    trl 1.16, trainer/base_config.py. TrainingArguments have both off.
    """
    said = by_main(context, name)
    if said is not None or name != "bf16" or context.main_format not in ("trl", "trl_script"):
        return said is True
    plain = context.main and context.main.data.get("config_class") in PLAIN_CLASSES
    return not plain and by_main(context, "fp16") is not True


def on(context: Context, name: str) -> bool:
    """Whether weights have this type: by the engine's own word, or by that of the file it leaves it to."""
    said = section(context, name).get("enabled")
    if said != "auto":
        return is_on(said)
    if context.main is None:
        launched = context.companions.get("accelerate")
        return launched is not None and launched.data.get("mixed_precision") == name
    return switched(context, name)


def _half(setting: Setting, _context: Context) -> Outcome:
    name = setting.key.partition(".")[0]
    if not is_on(setting.value):
        return Outcome("inert", why="it is off")
    return Outcome("renamed", spec={"precision.compute": f"{name}-weights"})


def _while_on(rule: Rule) -> Rule:
    """Settings that count while weights have the type of their section."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        name = setting.key.partition(".")[0]
        if not on(context, name):
            return Outcome("inert", why=f"{name} is off")
        return rule(setting, context)

    return chosen


def _scaling(setting: Setting, context: Context) -> Outcome:
    """The factor on a float16 loss; 0 for one that is looked for."""
    name = SCALE[setting.key]
    value = setting.value
    if name == "fixed":
        value = float(value) if value else None
    elif section(context, "fp16").get("loss_scale"):
        return Outcome("inert", why="loss_scale is a number: it is not looked for")
    return Outcome("renamed", spec={f"precision.loss_scale.{name}": value})


def _of_float16(_setting: Setting, _context: Context) -> Outcome:
    """DeepSpeedBF16Config takes no more than its own; before it was a model, the rest was passed over."""
    why = (
        "bfloat16 has no such setting: older versions passed over it, DeepSpeed 0.19.8 stops at it"
    )
    return Outcome("inert", why=why, loud=True)


def _autocast(setting: Setting, context: Context) -> Outcome:
    """Weights stay as they are, and the engine multiplies in 16 bits: a spec's `bf16`."""
    said = section(context, "torch_autocast")
    if not said.get("enabled"):
        return Outcome("inert", why="it is off")
    name = setting.key.rpartition(".")[2]
    casts = str(said.get("dtype")).removeprefix("torch.") in ("bfloat16", "bf16")
    why = (
        "a word that nobody fills in"
        if said["enabled"] is not True
        else "autocast over weights in 16 bits is not in a spec"
        if any(on(context, half) or switched(context, half) for half in ("bf16", "fp16"))
        else "gradients of chosen modules travel in 16 bits"
        if name == "lower_precision_safe_modules"
        else ""
        if casts
        else "its own autocast to another type is not in a spec"
    )
    if why:
        return Outcome("unknown", why=why)
    if name == "dtype":
        return Outcome("derived", of=("precision.compute",))
    return Outcome("renamed", spec={"precision.compute": "bf16"})


def _travel(setting: Setting, context: Context) -> Outcome:
    """The type in which gradients travel: that of the weights where nothing is said."""
    held = next((name for name in ("bf16", "fp16") if on(context, name)), "fp32")
    if setting.value is None or str(setting.value).lower() == held:
        return Outcome("inert", why="the type of the weights")
    if str(setting.value).lower() not in ("fp32", "fp16", "bf16"):
        return Outcome(
            "unknown", why="DeepSpeed knows fp32, fp16 and bf16 here, and stops at others"
        )
    passed = {f"ds_config.{setting.key}": str(setting.value).lower()}
    return Outcome("kept", why="gradients travel in another type", passed=passed)


TYPES = {
    "fp32": ("fp32", "float32", "float", "torch.float32"),
    "fp16": ("fp16", "float16", "half", "torch.float16"),
    "bf16": ("bf16", "bfloat16", "torch.bfloat16"),
}
"""Words for each type (runtime/config.py, DtypeEnum)."""


def _sums(setting: Setting, context: Context) -> Outcome:
    """The type in which gradients are summed: that of the weights where nothing is said."""
    held = next((name for name in ("bf16", "fp16") if on(context, name)), "fp32")
    if setting.value is None or setting.value in TYPES[held]:
        return Outcome("inert", why="the type of the weights")
    if setting.key.endswith("param_dtype"):
        return Outcome(
            "unknown", why=f"weights are in {held}, and DeepSpeed stops at another type here"
        )
    return Outcome("approximated", why="gradients are summed in another type")


PRECISION: Mapping[str, Rule] = {
    **dict.fromkeys(("fp16", "bf16"), unless(({},), "empty", unknown(NO_SECTION))),
    "fp16.enabled": unless_auto(_half),
    "bf16.enabled": unless_auto(_half),
    **dict.fromkeys(SCALE, _while_on(_scaling)),
    "fp16.auto_cast": inert("token ids are whole numbers, which are not cast"),
    "fp16.fp16_master_weights_and_grads": unless((False,), "float32 copies", _while_on(COPIES)),
    "fp16.": _while_on(unknown("a setting of float16 that is not known")),
    "bf16.bf16_master_weights_and_grads": unless((False,), "float32 copies", _while_on(COPIES)),
    "bf16.bf16_optimizer_states": unless((False,), "float32 states", _while_on(COPIES)),
    "bf16.check_grad_overflow": unless(
        (True,), "steps that overflow are left out", _while_on(nearly("no step is left out"))
    ),
    "bf16.immediate_grad_update": inert("when bfloat16's gradients are summed"),
    "bf16.": _of_float16,
    "bfloat16.": unless(
        (False,),
        "it is off",
        unknown(
            "an old name of bf16: under accelerate, which writes a bf16 of its own, nothing reads it"
        ),
    ),
    "torch_autocast.": _autocast,
    "communication_data_type": _travel,
    **dict.fromkeys(("data_types.grad_accum_dtype", "data_types.param_dtype"), _sums),
    "data_types.keep_in_fp32_modules": unless(
        ("auto",),
        "those that the model names",
        unknown("buffers of another type are not in a spec"),
    ),
    "data_types.": unless(
        (None,), "as they are", unknown("weights of another type are not in a spec")
    ),
}
"""Rules of the sections `fp16`, `bf16`, `torch_autocast` and `data_types`."""
