"""Which YAML is torchtune's, and what it is for where it trains nothing (recipes/ of 0.6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRAINS = frozenset(("optimizer", "loss", "dataset", "lr_scheduler", "epochs"))
"""Sections of which each recipe that trains has several, and no other recipe one."""
PURPOSES = {
    "tasks": "`tune run eleuther_eval` measures a model by it",
    "prompt": "`tune run generate` writes an answer by it",
    "max_new_tokens": "`tune run generate` writes an answer by it",
    "quantizer": "`tune run quantize` writes a model in few bits by it",
}
OTHERWISE = "no optimizer and no data set stand in it"


def is_torchtune(data: Mapping[str, Any]) -> bool:
    """Whether a section says which class builds it, as torchtune's alone do."""
    sections = (data.get(name) for name in ("model", "tokenizer", "checkpointer"))
    return any(isinstance(one, Mapping) and "_component_" in one for one in sections)


def untrained(data: Mapping[str, Any]) -> str | None:
    """What a config is for that trains nothing; None where it trains."""
    if TRAINS & data.keys():
        return None
    purpose = next((what for key, what in PURPOSES.items() if key in data), OTHERWISE)
    return f"this file trains nothing: {purpose}"


GIVEN = ("dtype", "epochs", "batch_size", "gradient_accumulation_steps", "shuffle")
"""What its recipes for supervised tuning and for pairs take from the config, without a default."""


def missing(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Questions: settings without which no recipe begins."""
    lost = [key for key in GIVEN if key not in data]
    why = "torchtune's recipes have no default for it, and stop"
    return tuple(f"{key} is missing: {why}" for key in lost)
