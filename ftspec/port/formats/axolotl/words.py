"""Rules that axolotl's tables share."""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule

CONFIG = "SFTConfig."
BITS = "BitsAndBytesConfig."
LORA = "LoraConfig."
EMPTY = "nothing is said: the default holds"
SHOWN = "what is shown or kept, not what is trained"
FAST = "how fast, not what"
KERNEL = "the same mathematics in another kernel: results differ by rounding"


def said(rule: Rule) -> Rule:
    """Null is what a missing key is."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if setting.value is None:
            return Outcome("inert", why=EMPTY)
        return rule(setting, context)

    return chosen


def off_or(rule: Rule) -> Rule:
    """Inert where it is off."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if setting.value in (None, False, "", 0) or setting.value == []:
            return Outcome("inert", why="it is off")
        return rule(setting, context)

    return chosen


def taken(context: Context, key: str) -> Any:
    """A setting, or what axolotl assumes where it is missing or null."""
    value = context.get(key)
    return context.assumed(key) if value is None else value


def number(value: Any) -> Any:
    """`2e-5` is text to PyYAML, and a number to axolotl's schema."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def known_steps(context: Context) -> int | None:
    """How many steps it trains, where the file alone says it."""
    steps = context.get("max_steps")
    return steps if isinstance(steps, int) and steps > 0 else None


def is_quantised(context: Context) -> bool:
    """Whether the base is held in few bits."""
    return bool(context.get("adapter")) and bool(
        context.get("load_in_4bit") or context.get("load_in_8bit")
    )


def evaluates(context: Context) -> bool:
    """Whether there are rows to evaluate on."""
    return bool(context.get("test_datasets") or context.get("val_set_size"))


def compute(context: Context) -> str:
    """The arithmetic (utils/config, resolve_dtype): `bf16: auto` is on where the GPU has it."""
    if context.get("bf16") == "full":
        return "bf16-pure"
    if taken(context, "bf16") or context.get("bfloat16"):
        return "bf16"
    return "fp16" if context.get("fp16") else "fp32"
