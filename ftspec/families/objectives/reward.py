"""Rows of reward models in a script: trl's RewardConfig.

trl 1.16, trainer/reward_config.py and reward_trainer.py: the model is loaded for sequence classification
with one label, and its head, `score`, is new. It is drawn after the seed is set, has no bias, and has to
train in full beside an adapter; peft saves it with the adapter. Pairs of which one answer is too long are
left out; where answers are cut instead, the script has a trainer of its own for it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ftspec.families.objectives.preference import (
    BARRED,
    OBJECTIVE,
    Bar,
    pair_rows,
    trained,
    trained_by,
)
from ftspec.families.rows.long_prompts import no_prompts
from ftspec.families.trainers import REWARD
from ftspec.mapping import (
    MISSING,
    FieldMap,
    Refuse,
    Row,
    constant,
    field,
    only,
    replaced,
    unsupported,
)

CONFIG = REWARD.prefix
HEAD = "score"
"""The new layer that scores, as transformers names it."""
TASK = "SEQ_CLS"
"""peft's name of the task: its adapters leave the head alone, and save it."""
CUT = "data.cut_answers"
"""Native pseudo-key: answers that are too long are cut, by a class of the script."""
CUTTING = files("ftspec.families") / "templates" / "cut_answers.py.j2"
_CLASS = "CutAnswersTrainer"
SHARED = (
    *("train.label_smoothing", "data.packing", "data.prepare", "hardware.sequence_parallel"),
    *("hardware.tensor_parallel", "model.quantization.type", "data.group_by_length"),
)
"""What reward models refuse for the same reasons as all that compare answers."""
OWN: Mapping[str, Bar] = {
    "method.tuner.type": Bar(
        lambda kind: kind in ("full", "lora"),
        "the head is new and has to train, which was seen with full and LoRA only",
        "notimpl",
        "method.tuner.type: lora",
    ),
    "method.tuner.adapter": Bar(
        lambda adapter: adapter is None,
        "a saved adapter brings no head that scores",
        "notimpl",
        "merge the adapter first",
    ),
    "method.tuner.dropout": Bar(
        lambda share: not share,
        "the trainer of reward models switches dropout off",
        hint="leave it out",
    ),
    "method.tuner.init.type": Bar(
        lambda kind: kind == "default",
        "other beginnings of adapters were not seen with a new head",
        "notimpl",
        "method.tuner.init: default",
    ),
    "method.tuner.plus_ratio": Bar(
        lambda ratio: ratio is None, "LoRA+ was not seen with a new head", "notimpl"
    ),
    "train.neftune_alpha": Bar(
        lambda alpha: alpha is None, "noise was not seen in reward models", "notimpl"
    ),
}
NO_STAGE_3: Mapping[str, Bar] = {
    "hardware.zero.stage": Bar(
        lambda stage: stage != 3,
        "under stage 3 a new head was not seen to train",
        "notimpl",
        "hardware.zero.stage: 2",
    ),
}
"""What DeepSpeed refuses beside these."""


def reward(sft: FieldMap, bars: Mapping[str, Bar] = MappingProxyType({})) -> FieldMap:
    """The map of a script backend for reward models, from its supervised one."""
    kept = {path: BARRED[path] for path in SHARED}
    rows = replaced(pair_rows(), *reward_rows())
    return trained_by(sft, REWARD, {**kept, **OWN, **bars}, trained(REWARD), *rows)


def reward_rows() -> tuple[Row, ...]:
    """The fields of the objective, and what is otherwise than with demonstrations."""
    return (
        field(f"{OBJECTIVE}center", f"{CONFIG}center_rewards_coefficient", absent=None),
        Row(
            ("data.overflow",),
            (CUT,),
            _lower_overflow,
            lambda cut, length: "truncate" if cut is True or length is None else "drop",
            uses=("data.max_length",),
            reads=(f"{CONFIG}max_length",),
            absent=(False,),
        ),
        *no_prompts("a score is of a whole answer, and its trainer has no prompt to cut"),
        unsupported(
            "model.experts.balance_loss",
            "the trainer of reward models adds no balance loss",
            neutral=(0.0,),
        ),
        constant(f"{CONFIG}disable_dropout", True, "dropout would make scores noisy", absent=True),
        *only(
            "method.tuner.type",
            "lora",
            constant("LoraConfig.task_type", TASK, "it is the task of this trainer", absent=None),
            Row(
                ("method.tuner.modules_to_save",),
                ("LoraConfig.modules_to_save",),
                _lower_saved,
                lambda native: tuple(name for name in native or () if name != HEAD),
                uses=("model.dtype", "derived.stored_dtype"),
                absent=(None,),
            ),
        ),
    )


def read_cutting(tree: ast.Module) -> dict[str, Any]:
    """Whether a script cuts answers; nothing where it does not."""
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return {CUT: True} if _CLASS in classes else {}


def _lower_overflow(overflow: str, length: int | None) -> Any:
    if overflow not in ("drop", "error", "truncate") and length is not None:
        raise Refuse(
            "pairs with a longer answer are left out whole, or the answer keeps its first tokens",
            "notyet",
            "data.overflow: drop",
        )
    return True if overflow == "truncate" and length is not None else MISSING


def _lower_saved(modules: tuple[str, ...], dtype: str, stored: str | None) -> Any:
    if (stored if dtype == "auto" else dtype) != "float32":
        raise Refuse(
            "the head trains in full beside the adapter, and keeps the model's own type: only float32 "
            "trains it alike everywhere",
            "notimpl",
            "model.dtype: float32",
        )
    return [*modules, HEAD] if modules else [HEAD]
