"""Rows for rotary positions, as transformers' configurations have them: `rope_parameters`.

Names and formulas: transformers 5.6.0, modeling_rope_utils.py. Given to from_pretrained, the mapping
replaces the model's own as a whole, base included, so everything in it is written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.mapping import MISSING, Flat, Refuse, Row

KEY = "model.rope_parameters."
"""Native pseudo-keys: the entries of the mapping, whatever call it stands in."""
TYPES = {**{kind: kind for kind in ("linear", "dynamic", "yarn", "llama3")}, "base": "default"}
NUMBERS = {
    "factor": "factor",
    "theta": "rope_theta",
    "original_length": "original_max_position_embeddings",
    "beta_fast": "beta_fast",
    "beta_slow": "beta_slow",
    "attention_factor": "attention_factor",
    "low_freq_factor": "low_freq_factor",
    "high_freq_factor": "high_freq_factor",
}
"""Our names of the numbers -> transformers'."""


def rope_rows() -> tuple[Row, ...]:
    """One row for each entry; none is written where the spec leaves positions as they are."""
    return (
        Row(
            ("model.rope.type",),
            (f"{KEY}rope_type",),
            lambda kind: MISSING if kind is None else TYPES[kind],
            _lift_type,
            absent=(None,),
        ),
        *(
            Row(
                (f"model.rope.{ours}",),
                (f"{KEY}{theirs}",),
                lambda number: MISSING if number is None else number,
                lambda number: MISSING if number is None else number,
                absent=(None,),
            )
            for ours, theirs in NUMBERS.items()
        ),
    )


def rope_parameters(native: Flat) -> dict[str, Any]:
    """The mapping that a call takes; empty where nothing is to be changed."""
    return {key.removeprefix(KEY): value for key, value in native.items() if key.startswith(KEY)}


def rope_keys(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The way back: native keys of a mapping that was read from a call."""
    return {f"{KEY}{name}": value for name, value in (parameters or {}).items()}


def _lift_type(native: str | None) -> Any:
    if native is None:
        return MISSING
    for ours, theirs in TYPES.items():
        if theirs == native:
            return ours
    raise Refuse(f"rope_type={native!r} is not in a spec yet", "notimpl")
