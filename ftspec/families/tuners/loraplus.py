"""Rows for peft's create_loraplus_optimizer, as scripts call it.

Names and defaults: peft 0.18.1, optimizers/loraplus.py, and torch's AdamW, which gets the rest.
"""

from __future__ import annotations

import ast
from typing import Any

from ftspec.families.objectives.supervised import WEIGHERS
from ftspec.families.scripts.unify import match
from ftspec.families.trainers import TRAINERS
from ftspec.mapping import MISSING, Refuse, Row

CALL = "create_loraplus_optimizer"
CLASS = """\
class LoRAPlusTrainer(BASE):
    def create_optimizer(self, model=None):
        self.optimizer = create_loraplus_optimizer(
            self.model, AdamW,
ARGUMENTS
        )  # fmt: skip
        return self.optimizer
"""
"""Not an attribute: with DeepSpeed, transformers (`deepspeed_init`) throws away an optimizer that is set."""
TEMPLATE = """\
{% if plus %}

{% if not weigher and not pairs and not longest %}

{% endif %}
CLASS
{% endif %}
"""
BASES = (
    *(trainer.name for trainer in TRAINERS),
    *WEIGHERS.values(),
    "PairsTrainer",
    "CutPromptsTrainer",
)
_USES = (
    "train.learning_rate",
    "train.weight_decay",
    "train.optimizer.beta1",
    "train.optimizer.beta2",
    "train.optimizer.eps",
)
_SAID = ("learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon")
_ARGUMENTS = {
    "lr": MISSING,
    "loraplus_lr_ratio": MISSING,
    "loraplus_lr_embedding": 1e-6,
    "loraplus_weight_decay": 0.0,
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "fused": None,
}
"""In the order of the call, with what a missing one means."""


def template() -> str:
    """The Jinja text of the class, which stands behind any other trainer of the script's own."""
    base = (
        "{% if weigher %}{{ weigher|code }}{% elif longest %}CutPromptsTrainer"
        "{% elif pairs %}PairsTrainer"
        "{% else %}{{ trainer|code }}{% endif %}"
    )
    arguments = "{{ plus|groups(indent=12) }}"
    return TEMPLATE.replace("CLASS", CLASS.replace("BASE", base).replace("ARGUMENTS", arguments))


def read_plus(tree: ast.Module) -> dict[str, Any]:
    """The arguments of a script that has this class, by their native keys."""
    holes = ", ".join(f"{name}='@{name}'" for name in _ARGUMENTS)
    patterns = [CLASS.replace("BASE", base).replace("ARGUMENTS", holes) for base in BASES]
    for found in (match(pattern, node) for pattern in patterns for node in tree.body):
        if found:
            return {f"{CALL}.{name}": value for name, value in found.items()}
    return {}


def plus_rows(config: str) -> tuple[Row, ...]:
    """LoRA+: an optimizer that the script makes itself, of values that stand in ``config`` as well."""
    return (
        Row(
            ("method.tuner.plus_ratio", "method.tuner.plus_embedding_rate"),
            tuple(f"{CALL}.{name}" for name in _ARGUMENTS),
            _lower,
            _lift,
            uses=(*_USES, "train.optimizer.type"),
            reads=tuple(config + name for name in _SAID),
            absent=tuple(_ARGUMENTS.values()),
        ),
    )


def _lower(ratio: float | None, embedding: float | None, *uses: Any) -> tuple[Any, ...]:
    rate, decay, beta1, beta2, eps, optimizer = uses
    if ratio is None:
        return (MISSING,) * len(_ARGUMENTS)
    if optimizer != "adamw":
        raise Refuse(f"LoRA+ is written for adamw, not for {optimizer}", "notimpl")
    return rate, ratio, embedding, decay, (beta1, beta2), eps, True


def _lift(
    rate: Any, ratio: Any, embedding: Any, decay: Any, betas: Any, eps: Any, _fused: Any, *said: Any
) -> tuple[float | None, float | None]:
    if ratio is MISSING:
        return None, None
    if (rate, decay, *betas, eps) != said:
        raise Refuse("the optimizer is made with other values than the trainer's arguments have")
    return ratio, embedding
