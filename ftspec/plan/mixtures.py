"""Mixtures of experts: what is known of a local one, and what a model without experts cannot have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.spec.root import Spec

FUSED = ("mixtral", "qwen3_moe", "olmoe", "gpt_oss")
"""Mixtures whose layers hold, beside the attention, nothing but a router and experts in two tensors each."""
INSIDE = ("gate_proj", "up_proj", "down_proj", "w1", "w2", "w3")
"""What an expert's matrices were called while they were modules."""


def decide_experts(spec: Spec, config: Mapping[str, Any] | None, decide: Any) -> None:
    """The architecture, and whether the model's own files switch a balance loss on.

    Raises:
        SpecError: a local model has no experts, and the spec speaks of them; adapters are asked for on
            parts of experts that are no modules.
    """
    text = _text_part(config or {})
    why = "config.json of the model"
    decide("derived.model_type", text.get("model_type"), why, "machine")
    decide("derived.router_logits", bool(text.get("output_router_logits")), why, "machine")
    _targets(spec, text)
    if config is not None and spec.model.experts.balance_loss == "model":
        _balance(spec, text, decide)
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


def _balance(spec: Spec, config: Mapping[str, Any], decide: Any) -> None:
    """The weight that the model's own files say."""
    weight = config.get("router_aux_loss_coef")
    if not isinstance(weight, int | float):
        raise SpecError(
            Problem(
                f"config.json of {spec.model.name} says no router_aux_loss_coef",
                path="model.experts.balance_loss",
                hint="give the weight as a number",
            )
        )
    decide("model.experts.balance_loss", float(weight), "router_aux_loss_coef of its config.json")


def _targets(spec: Spec, config: Mapping[str, Any]) -> None:
    """What is no module: peft 0.18 leaves it out in silence, and 0.21 adapts the whole tensor."""
    targets = getattr(spec.method.tuner, "targets", ())
    dense = config.get("mlp_only_layers") or config.get("decoder_sparse_step", 1) != 1
    if config.get("model_type") not in FUSED or dense or not isinstance(targets, tuple):
        return
    inside = [name for name in targets if name.rpartition(".")[2] in INSIDE]
    if inside:
        raise SpecError(
            Problem(
                f"the experts of {spec.model.name} are tensors without modules, so there is no "
                f"`{inside[0]}`: it would be left out without a word, or mean the whole tensor in newer "
                "versions of peft",
                path="method.tuner.targets",
                hint="parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj], of `lora`",
            )
        )


def _text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's own configuration, where it stands inside that of a larger one."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config
