"""The order of rows: LLaMA-Factory's trainers ask `disable_shuffling` before transformers' Trainer is asked.

LLaMA-Factory 0.9.5, _get_train_sampler in train/{pt,sft,rm,dpo,kto}/trainer.py.
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.llamafactory.joined import joins
from ftspec.port.formats.order import GROUPED, MEASURED, PACKED, RANDOM, STRATEGY
from ftspec.port.rules import Context, Outcome, Rule

STOPPED = {
    "pt": "",
    "sft": "",
    "kto": "rows of like length beside other rows' answers are not in a spec",
}
"""Why a stage cannot have it, of those that do not stop."""


def _order(setting: Setting, context: Context) -> Outcome:
    value = setting.value
    if setting.key == GROUPED:
        value = GROUPED if value else "random"
    if value in ("random", None):
        return Outcome("inert", why=RANDOM)
    if context.get("disable_shuffling"):
        return Outcome("inert", why="disable_shuffling comes first: rows stay in their order")
    if value == "sequential":
        return Outcome("derived", {"disable_shuffling": True})
    if value != GROUPED:
        return Outcome("unknown", why="transformers knows random, sequential and group_by_length")
    return _grouped(setting, context)


def _grouped(setting: Setting, context: Context) -> Outcome:
    if joins(context):
        return Outcome("approximated", why=PACKED)
    if why := STOPPED.get(str(context.get("stage") or "sft"), MEASURED):
        return Outcome("unknown", why=why)
    return Outcome("exact" if setting.key == STRATEGY else "renamed", {STRATEGY: GROUPED})


ORDER_RULES: dict[str, Rule] = dict.fromkeys((STRATEGY, GROUPED), _order)
