"""Rows of like length in one step: what tools around transformers' Trainer make of that wish.

transformers 4 says `group_by_length: true`, transformers 5 `train_sampling_strategy: group_by_length`
(trainer.py, _get_train_sampler; trainer_pt_utils.py, LengthGroupedSampler).
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule

GROUPED = "group_by_length"
STRATEGY = "train_sampling_strategy"
RANDOM = "rows are drawn in random order"
MEASURED = (
    "transformers stops: it measures rows by their `input_ids`, and these have a prompt and answers"
)
PACKED = "packed rows are of one length, nearly: they come in another random order, and no more"
BY_SEED = "rows of like length are drawn by the trainer's seed"
SAMPLED = "its trainer draws prompts by a sampler of its own"


def is_grouped(context: Context) -> bool:
    """Whether rows of like length are asked for, by either name."""
    return bool(context.get(GROUPED)) or context.get(STRATEGY) == GROUPED


def by_length(key: str) -> Rule:
    """`group_by_length`, as the native ``key`` of transformers 5."""

    def rule(setting: Setting, _context: Context) -> Outcome:
        if not setting.value:
            return Outcome("inert", why=RANDOM)
        return Outcome("renamed", {key: GROUPED})

    return rule


def order_seed(otherwise: Rule) -> Rule:
    """`data_seed`, which seeds rows in plain random order alone."""

    def rule(setting: Setting, context: Context) -> Outcome:
        other = setting.value not in (None, context.get("seed", 42))
        if is_grouped(context) and other:
            return Outcome("inert", why=BY_SEED)
        return otherwise(setting, context)

    return rule


def length_column(setting: Setting, context: Context) -> Outcome:
    """Where lengths stand. Columns that a model does not take are gone before the sampler looks."""
    if not is_grouped(context):
        return Outcome("inert", why=f"nothing reads it without {GROUPED}")
    if context.get("remove_unused_columns") is False:
        return Outcome("unknown", why="rows are measured by a column; here it is by their tokens")
    return Outcome("inert", why="it is taken away with all columns that the model does not take")
