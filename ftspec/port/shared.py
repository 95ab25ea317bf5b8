"""How many devices share rows or layers, and so count as one in the batch."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

PREFIX = "parallelism_config_"
KINDS = (
    ("tp_size", ("tensor_parallel", "autotp_size")),
    ("sp_size", ("sequence_parallel_size",)),
    ("cp_size", ()),
)
"""Sizes of groups: as accelerate's grid names them (1.13, parallelism_config.py), and as DeepSpeed does."""


def sharing(documents: Mapping[str, Any]) -> int:
    """By the files that a training is launched with; both may say the same group."""
    engine, launched = (
        one.data if (one := documents.get(name)) is not None else {}
        for name in ("deepspeed", "accelerate")
    )
    grid = launched.get("parallelism_config")
    grid = grid if isinstance(grid, dict) else {}
    return prod(
        max(_size(grid.get(f"{PREFIX}{name}", grid.get(name))), _size(_below(engine, path)))
        for name, path in KINDS
    )


def cut(data: Mapping[str, Any]) -> int:
    """How many devices share each layer, by DeepSpeed's JSON."""
    return _size(_below(data, ("tensor_parallel", "autotp_size")))


def together(spec: Mapping[str, Any]) -> int:
    """The same by a spec's values."""
    return prod(_size(spec.get(f"hardware.{name}_parallel")) for name in ("sequence", "tensor"))


def _below(data: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data if path else None


def _size(value: Any) -> int:
    """A size that makes a group; anything else makes none."""
    return value if isinstance(value, int) and value > 1 else 1
