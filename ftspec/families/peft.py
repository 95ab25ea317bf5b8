"""Rows for peft's LoraConfig, as scripts write it.

Names and defaults: peft 0.18.1, tuners/lora/config.py; checked against schemas/native/*.json.
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import Refuse, Row, constant, field


def _lower_targets(targets: str | tuple[str, ...]) -> Any:
    return targets if isinstance(targets, str) else list(targets)


def _lift_targets(native: Any) -> Any:
    if isinstance(native, list | tuple):
        return tuple(native)
    if native == "all-linear":
        return native
    raise Refuse(
        f"target_modules={native!r}: a pattern or peft's own choice is not in a spec", "notimpl"
    )


def lora_rows(prefix: str) -> tuple[Row, ...]:
    """LoraConfig's arguments; ``prefix`` names the call they stand in."""
    return (
        field("method.tuner.rank", f"{prefix}r", absent=8),
        field("method.tuner.alpha", f"{prefix}lora_alpha", absent=8),
        field("method.tuner.dropout", f"{prefix}lora_dropout", absent=0.0),
        Row(("method.tuner.targets",), (f"{prefix}target_modules",), _lower_targets, _lift_targets),
        field("method.tuner.bias", f"{prefix}bias", absent="none"),
        Row(
            ("method.tuner.modules_to_save",),
            (f"{prefix}modules_to_save",),
            lambda modules: list(modules) or None,
            lambda native: tuple(native or ()),
            absent=(None,),
        ),
        field("method.tuner.rslora", f"{prefix}use_rslora", absent=False),
    )


def lora_constants(prefix: str) -> tuple[Row, ...]:
    """What a spec's LoRA always means; only written where an adapter is made (MISSING for full tuning)."""
    return (
        constant(
            f"{prefix}init_lora_weights",
            True,
            "other initialisations are not in a spec yet",
            absent=True,
        ),
        constant(f"{prefix}use_dora", False, "DoRA is not in a spec yet", absent=False),
    )
