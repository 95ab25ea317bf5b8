"""Mixtures of experts: what is known of a local one, and what a model without experts cannot have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.spec.root import Spec


def decide_experts(spec: Spec, config: Mapping[str, Any] | None, decide: Any) -> None:
    """The architecture, and whether the model's own files switch a balance loss on.

    Raises:
        SpecError: a local model has no experts, and the spec speaks of them.
    """
    text = _text_part(config or {})
    why = "config.json of the model"
    decide("derived.model_type", text.get("model_type"), why, "machine")
    decide("derived.router_logits", bool(text.get("output_router_logits")), why, "machine")
    asked = spec.model.experts.model_dump(exclude_defaults=True)
    if config is None or not asked or any("expert" in str(name) for name in text):
        return
    raise SpecError(
        Problem(
            f"{spec.model.name} is no mixture of experts",
            path=f"model.experts.{next(iter(asked))}",
            hint="leave `model.experts` out",
        )
    )


def _text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's own configuration, where it stands inside that of a larger one."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config
