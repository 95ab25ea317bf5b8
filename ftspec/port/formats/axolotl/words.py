"""Rules that axolotl's tables share."""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule
from ftspec.spec.scalars import TOO_LARGE

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


def not_of_rl(rule: Rule) -> Rule:
    """Read by the builder of supervised training alone (core/builders/causal.py; rl.py has none of it)."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if context.get("rl"):
            return Outcome("inert", why="with `rl` nothing reads it (core/builders/rl.py)")
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


BITS_OF = {"load_in_4bit": "qlora", "load_in_8bit": "lora"}
"""The one adapter whose base each of them holds in few bits (loaders/model.py, _set_quantization_config)."""


def is_quantised(context: Context, *keys: str) -> bool:
    """Whether the base is held in few bits."""
    return any(
        context.get(key) and context.get("adapter") == BITS_OF[key] for key in keys or BITS_OF
    )


def evaluates(context: Context) -> bool:
    """Whether there are rows to evaluate on."""
    return bool(context.get("test_datasets") or context.get("val_set_size"))


def compute(context: Context, eight: bool = True) -> str:
    """The arithmetic (utils/config, resolve_dtype): `bf16: auto` is on where the GPU has it.

    A missing `bf16` is `auto`, which `fp16: true` switches off; null is off (utils/schemas/config.py). Not
    ``eight``: that beside float8, in whose type the weights are held.
    """
    if eight and context.get("fp8"):
        return "fp8"
    half, word = switched(context.get("fp16")), switched(context.get("bf16", "auto"))
    if word == "full":
        return "bf16-pure"
    if (word == "auto" and not half) or word is True or switched(context.get("bfloat16")):
        return "bf16"
    return "fp16" if half else "fp32"


def switched(value: Any) -> Any:
    """A switch as pydantic takes it: `"false"` is off, and so are `"n"` and 0."""
    text = value.lower() if isinstance(value, str) else str(value)
    if text in ("true", "yes", "on", "t", "y", "1"):
        return True
    return False if text in ("false", "no", "off", "f", "n", "0") else value


def held_out(context: Context) -> float | None:
    """The rows that are held out (utils/data/sft.py): beyond 1 it is a count, else a share."""
    size = context.get("val_set_size")
    if not isinstance(size, int | float) or isinstance(size, bool) or not 0 < size < TOO_LARGE:
        return None
    return float(int(size)) if size > 1 else float(size)
