"""One file or folder per format: how it is recognised, and what each of its keys means."""

from __future__ import annotations

import importlib
from functools import cache

from ftspec.port.format import Format

NAMES = (
    *(
        "llamafactory",
        "trl",
        "axolotl",
        "torchtune",
        "oumi",
        "deepspeed",
        "accelerate",
        "dataset_info",
    ),
    *("unsloth_script", "trl_script"),
)
"""In the order in which they are told to people."""
BESIDE = {"trl_script": "trl.script", "unsloth_script": "unsloth.script"}
"""Formats that are a file in the folder of their framework."""


@cache
def load(name: str) -> Format:
    """The format of that name, one of `NAMES`."""
    found: Format = importlib.import_module(f"{__name__}.{BESIDE.get(name, name)}").format
    return found


def formats() -> tuple[Format, ...]:
    """All of them."""
    return tuple(map(load, NAMES))
