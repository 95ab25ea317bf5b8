"""How long a row a model's positions reach, and what stretches them: from its config.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from ftspec.errors import Problem, SpecError
from ftspec.plan.values import Value
from ftspec.spec.root import Spec
from ftspec.spec.rope import Llama3RoPE, RoPE, YarnRoPE

SAID = frozenset(
    {
        *("rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings"),
        *("beta_fast", "beta_slow", "attention_factor", "low_freq_factor", "high_freq_factor"),
    }
)
"""Entries of a model's own `rope_parameters` that a spec can say. Others would be lost."""


def model_config(folder: Path, name: str = "config.json") -> dict[str, Any] | None:
    """config.json of a local model, or another such file; None for a hub model, or if it cannot be read."""
    try:
        config = json.loads((folder / name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) else None


def decide_positions(
    spec: Spec, config: Mapping[str, Any] | None, values: Mapping[str, Value], decide: Any
) -> None:
    """What the RoPE section leaves open, and a default length that the model's positions reach.

    Raises:
        SpecError: something is open and cannot be read, or rows may be longer than the positions.
    """
    rope = spec.model.rope
    own = _own(config)
    if rope is not None:
        _decide_rope(rope, spec.model.name, config, own, decide)
    reach = _reach(values, config, own)
    length = spec.data.max_length
    if reach is None or length is None or length <= reach:
        return  # without a limit it is the rows that decide
    if "max_length" not in spec.data.model_fields_set:
        decide("data.max_length", reach, "the model's positions reach no further", "machine")
        return
    raise SpecError(
        Problem(
            f"the positions of {spec.model.name} reach {reach} tokens: a longer row would be trained "
            "at positions that the model has never seen",
            path="data.max_length",
            hint=f"{_longer(spec, length, reach)}; or data.max_length: {reach}",
        )
    )


def _longer(spec: Spec, length: int, reach: int) -> str:
    factor = getattr(spec.model.rope, "factor", 1.0)
    needed = math.ceil(factor * length / reach)
    if spec.model.rope is None:
        return f"stretch them with model.rope: {{type: yarn, factor: {needed}}}"
    return f"model.rope.factor: {needed}"


def _decide_rope(
    rope: RoPE, name: str, config: Mapping[str, Any] | None, own: Mapping[str, Any], decide: Any
) -> None:
    if lost := sorted(map(str, set(own) - SAID)):
        raise SpecError(
            Problem(
                f"the RoPE of {name} has {', '.join(lost)}, which a spec cannot say and would lose",
                path="model.rope",
                hint="change `rope_parameters` in a copy of its config.json instead",
            )
        )

    def read(field: str, found: Any, native: str) -> None:
        if found is None:
            raise SpecError(
                Problem(
                    f"`{field}` is left out, and {name} has no config.json here that says it",
                    path=f"model.rope.{field}",
                    hint=f"write down what `{native}` is in the model's config.json",
                )
            )
        decide(f"model.rope.{field}", found, f"{native} of the model's config.json", "machine")

    if rope.theta is None:
        found = own.get("rope_theta", (config or {}).get("rope_theta"))
        read("theta", float(found) if _number(found) else None, "rope_theta")
    if isinstance(rope, YarnRoPE | Llama3RoPE) and rope.original_length is None:
        read("original_length", _original(config, own), "max_position_embeddings")
    if isinstance(rope, YarnRoPE) and rope.attention_factor is None:
        decide("model.rope.attention_factor", 0.1 * math.log(rope.factor) + 1, "0.1 ln(factor) + 1")


def _own(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The model's own RoPE, by whichever name its release of transformers wrote."""
    config = config or {}
    for name in ("rope_parameters", "rope_scaling"):
        if isinstance(config.get(name), dict):
            return dict(config[name])
    return {}


def _original(config: Mapping[str, Any] | None, own: Mapping[str, Any]) -> int | None:
    """Positions of the pre-training."""
    config = config or {}
    for place in (own, config):
        if _number(found := place.get("original_max_position_embeddings")):
            return int(found)
    found = config.get("max_position_embeddings")
    return int(found) if _number(found) else None


def _reach(
    values: Mapping[str, Value], config: Mapping[str, Any] | None, own: Mapping[str, Any]
) -> int | None:
    """The longest row that positions were made for; None where that cannot be known."""
    kind, factor, length = (
        values[path].value if path in values else None
        for path in ("model.rope.type", "model.rope.factor", "model.rope.original_length")
    )
    most: Any = (config or {}).get("max_position_embeddings")
    if kind is not None:
        start = most if length is None else length
        # with another base nothing is stretched, and no number says how far it reaches
        return int(start * factor) if factor is not None and _number(start) else None
    if not _number(most):
        return None
    factor = own.get("factor")
    stretched = (_original(config, own) or 0) * float(factor) if _number(factor) else 0.0
    return int(max(float(most), stretched))


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
