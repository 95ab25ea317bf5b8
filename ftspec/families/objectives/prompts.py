"""Rows of data of objectives that draw completions: prompts, and the order in which a trainer takes them."""

from __future__ import annotations

from typing import Any

from ftspec.families.objectives.supervised import SHAPE
from ftspec.families.rows.datasets import context
from ftspec.families.rows.script_data import LIMIT
from ftspec.mapping import MISSING, Refuse, Row, unsupported

PROMPT = "prompt"
"""The shape of the script's rows: a prompt, and whatever else the rewards read."""


def prompt_rows() -> tuple[Row, ...]:
    """What the script loads."""
    return (
        Row(("data.train",), ("data.train",), _lower_sources, lambda v: v),
        Row(("data.eval",), ("data.eval",), lambda _sources: MISSING, lambda v: v, absent=((),)),
        Row(
            ("data.eval_size", "data.eval_draw"), (), lambda *_held_out: (), lambda: (None, "first")
        ),
        Row(("data.prepare",), ("data.prepare",), lambda who: who, lambda who: who),
        Row(("data.train_on",), (SHAPE,), lambda _what: PROMPT, lambda _shape: "completions"),
        Row(("data.system",), (), lambda _text: (), lambda: None),
        Row(("model.chat_template",), (), lambda _template: (), lambda: "tokenizer"),
    )


def limit_row() -> Row:
    """How long a prompt may be: the script leaves longer ones out."""
    return Row(
        ("data.max_length", "data.overflow"),
        (LIMIT,),
        lambda length, overflow: length if overflow == "drop" else MISSING,
        lambda limit: (limit, "drop"),
        absent=(MISSING,),
    )


SAMPLER = "its trainer draws prompts by a sampler of its own"


def no_lengths() -> Row:
    """Rows of like length, which these trainers do not draw."""
    return unsupported(
        "data.group_by_length",
        SAMPLER,
        neutral=(False,),
        hint="leave it out",
    )


def one_seed_row(config: str, reason: str) -> Row:
    """train.data_seed, where the trainer's seed draws the order: ``reason`` says of what."""

    def lower(data_seed: int, seed: int) -> int:
        if data_seed != seed:
            raise Refuse(reason, "notyet", "leave train.data_seed out")
        return data_seed

    return Row(
        ("train.data_seed",),
        (f"{config}data_seed",),
        lower,
        lambda seed: seed,
        uses=("train.seed",),
        absent=(None,),
    )


def _lower_sources(sources: tuple[dict[str, Any], ...]) -> Any:
    context(sources, PROMPT, "")  # refuses what one statement cannot load
    return sources
