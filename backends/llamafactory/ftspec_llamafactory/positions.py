"""Rows of RoPE. It has no argument that works: a copy of the model's folder says it in its config.json.

Its own `rope_scaling` assigns a mapping without `rope_theta` to the configuration, on which
transformers 5 fails, and picks the factor itself (model/model_utils/rope.py of llamafactory 0.9.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.families.weights.rope import rope_parameters, rope_rows
from ftspec.mapping import Flat, Refuse, Row


def position_rows() -> tuple[Row, ...]:
    """The rows that all backends share, for a model whose config.json can be changed."""
    kind, *numbers = rope_rows()

    def lower(named: str | None, local: bool) -> Any:
        if named is not None and not local:
            raise Refuse(
                "its own rope_scaling loses the model's rope_theta and fails; a local model it gets with "
                "another config.json, a hub model it loads as it is",
                "notyet",
                "download the model, and name its folder",
            )
        return kind.lower(named)

    return (replace(kind, lower=lower, uses=("derived.local_model",)), *numbers)


def model_files(native: Flat) -> Mapping[str, Mapping[str, Any]]:
    """What the config.json of the model's copy says of positions."""
    stretched = rope_parameters(native)
    return {"config.json": {"rope_parameters": stretched}} if stretched else {}
