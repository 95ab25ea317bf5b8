"""Rows of RoPE, less what its GPU path ignores (models/llama.py of unsloth 2026.10.9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ftspec.families.weights.rope import rope_rows
from ftspec.mapping import Refuse, Row


def position_rows() -> tuple[Row, ...]:
    """The rows that all scripts share, with a word where a GPU would train without them."""
    kind, *numbers = rope_rows()

    def lower(named: str | None, device: str) -> Any:
        if device == "cuda" and named in ("dynamic", "base"):
            raise Refuse("its GPU path says that it ignores this kind, and trains without it")
        return kind.lower(named)

    return (replace(kind, lower=lower, uses=("hardware.device",)), *numbers)
