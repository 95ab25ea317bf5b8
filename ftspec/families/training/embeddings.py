"""A learning rate of their own for the embeddings and the head, where they train as a whole.

Unsloth 2026.10, trainer.py, _create_unsloth_optimizer, is what the statements of a script do: the same groups
as ever, with those weights apart. Rates of a schedule are shares of each group's own (torch, LambdaLR).
"""

from __future__ import annotations

import ast
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Refuse, Row

PATH = "train.embedding_learning_rate"
RATE = "train.embedding_rate"
"""Native pseudo-key: the rate, which statements give to these weights."""
NAMES = ("embed_tokens", "lm_head")
"""What most models call them, and axolotl looks for."""
USES = (
    *("method.objective.type", "method.tuner.type", "method.tuner.modules_to_save"),
    *("method.tuner.plus_ratio", "train.optimizer.type", "train.warmup_start"),
    "hardware.fsdp.version",
)
"""What `lower_rate` asks beside the field itself."""
RATED = """\
EMBEDDING_LEARNING_RATE = {{ embedding_rate|py }}
with_one_rate = trainer.create_optimizer


def create_optimizer(*model, **named):
    \"\"\"The trainer's optimizer, with a rate of their own for the embeddings and the head.\"\"\"
    if trainer.optimizer is None:
        optimizer = with_one_rate(*model, **named)
        ends = (trainer.model.get_input_embeddings(), trainer.model.get_output_embeddings())
        own = {id(end.weight) for end in ends if end is not None}
        for name, weight in trainer.model.named_parameters():
            if name.endswith("modules_to_save.default.weight"):
                own.add(id(weight))
        groups, optimizer.param_groups = optimizer.param_groups, []
        for group in groups:
            rest = [weight for weight in group["params"] if id(weight) not in own]
            apart = [weight for weight in group["params"] if id(weight) in own]
            for weights, rate in ((rest, group["lr"]), (apart, EMBEDDING_LEARNING_RATE)):
                if weights:
                    optimizer.add_param_group({**group, "params": weights, "lr": rate})
    return trainer.optimizer


trainer.create_optimizer = create_optimizer
"""
_SAID = 'EMBEDDING_LEARNING_RATE = "@rate"'


def embedding_row() -> Row:
    """The row of a script."""
    return Row((PATH,), (RATE,), lower_rate, lambda rate: rate, uses=USES, absent=(None,))


def read_rate(tree: ast.Module) -> dict[str, Any]:
    """The native value of these statements; nothing where they are missing."""
    found = (match(_SAID, node) for node in tree.body)
    return next(({RATE: one["rate"]} for one in found if one is not None), {})


def lower_rate(
    rate: float | None,
    objective: str,
    tuner: str,
    saved: tuple[str, ...] | None,
    plus_ratio: float | None,
    optimizer: str,
    start: float,
    sharded: int | None,
) -> Any:
    """The rate, or MISSING.

    Raises:
        Refuse: no embeddings train, or they were not seen to train so beside other values.
    """
    if rate is None:
        return MISSING
    if objective not in ("sft", "cpt"):
        raise Refuse("it was seen in supervised training and pre-training only", "notimpl")
    if tuner not in ("full", "lora"):
        raise Refuse("it was seen with full tuning and LoRA only", "notimpl")
    if tuner == "lora" and not saved:
        raise Refuse(
            "neither embeddings nor head train as a whole",
            "never",
            "method.tuner.modules_to_save: [embed_tokens, lm_head]",
        )
    if saved and not {*saved} <= {*NAMES}:
        raise Refuse("other modules that train as a whole would have the rate as well", "notimpl")
    if plus_ratio is not None:
        raise Refuse(
            "peft makes the optimizer of LoRA+",
            "notyet",
            "method.tuner.plus_embedding_rate is its own",
        )
    if optimizer != "adamw":
        why = f"two rates were seen with adamw only, not with {optimizer}"
        raise Refuse(why, "notimpl", "train.optimizer: adamw")
    if start:
        raise Refuse("the warm-up begins at one rate, and these are two", "notimpl")
    if sharded is not None:
        raise Refuse("weights in pieces were not seen to have two rates", "notimpl")
    return rate
