"""Which model Oumi trains, how its weights are held, and what becomes of them (builders/models.py of 0.9)."""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, section

DTYPES = {
    **dict.fromkeys(("float32", "f32", "float"), "float32"),
    **dict.fromkeys(("float16", "f16", "half"), "float16"),
    **dict.fromkeys(("bfloat16", "bf16"), "bfloat16"),
    "auto": "auto",
}
STORED = "in the type of the stored weights, whichever it is: name it in model.dtype"
ROUNDED = tuple(
    f"tiiuae/Falcon-E-{size}-{kind}" for size in ("1B", "3B") for kind in ("Base", "Instruct")
)
BITNET = (
    "Oumi makes layers of this model ones of BitNet, which round their weights while they train"
)


YES = ("true", "yes", "y", "on", "1")
"""What OmegaConf takes for true, in a text as well."""


def _is_on(value: Any) -> bool:
    return str(value).lower() in YES


def adapted(context: Context) -> bool:
    """Whether an adapter trains, and not all weights."""
    return _is_on(section(context, "training").get("use_peft"))


def few_bits(context: Context) -> bool:
    """Whether the base is loaded in few bits."""
    return adapted(context) and _is_on(section(context, "peft").get("q_lora"))


def model(setting: Setting, _context: Context) -> Outcome:
    """The model, by its name."""
    if str(setting.value) in ROUNDED:
        return Outcome("unknown", {"model.name": setting.value}, why=BITNET)
    return Outcome("renamed", {"model.name": setting.value})


def stored(setting: Setting, context: Context) -> Outcome:
    """Turned back into whole weights (builders/models.py); what else the mapping says is not read."""
    said = section(context, "model").get("model_kwargs", {}).get("quantization_config", {})
    if setting.value != "mxfp4" or set(said) != {"quant_method"} or few_bits(context):
        return Outcome("unknown", why="of stored weights Oumi reads mxfp4 alone")
    spec = {"model.stored.type": "mxfp4", "model.stored.dequantize": True}
    return Outcome("derived", spec=spec)


def dtype(setting: Setting, context: Context) -> Outcome:
    """The type of the weights."""
    found = DTYPES.get(str(setting.value).lower())
    if found is None:
        return Outcome("unknown", why=f"{setting.value} is not in a spec, or no type to Oumi")
    if found == "auto" and not adapted(context):
        return Outcome("unknown", why=STORED)
    return Outcome("renamed", {"model.dtype": found})
