"""Which rows are drawn and held out, and what is left out of them.

LLaMA-Factory 0.9.5, data/data_utils.py (split_dataset) and data/processor/processor_utils.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.rows.order import PATHS, STRATEGY, USES, lift_order, lower_order
from ftspec.families.rows.prepared import prepared_rows
from ftspec.mapping import Lossy, Refuse, Row, unsupported

SMALLEST = 1e-6
"""A smaller `val_size` holds nothing out."""


def draw_rows() -> tuple[Row, ...]:
    """Rows that are held out, in one order with others, or cut in ways that it has not."""
    return (
        Row(
            ("data.eval_size",),
            ("val_size",),
            _lower_eval_size,
            lambda size: size if size > SMALLEST else None,
            uses=("data.prepare",),
            absent=(0.0,),
        ),
        Row(
            ("data.eval_draw",),
            (),
            _lower_eval_draw,
            lambda: "first",
            uses=("data.prepare",),
        ),
        *(
            unsupported(
                path,
                "it cuts prompt and answers in proportion (data/processor/processor_utils.py)",
                "notyet",
                neutral,
                "leave it out",
            )
            for path, neutral in (
                ("data.max_prompt_length", (None,)),
                ("data.prompt_cut", ("always",)),
            )
        ),
        *prepared_rows(),
        Row(("data.mixed",), (), _lower_mixed, lambda: False, uses=("data.prepare",)),
        Row(
            ("data.draw_seed",),
            (),
            _lower_draw_seed,
            lambda: None,
            uses=("data.prepare", "train.seed"),
        ),
        Row(
            PATHS,
            ("disable_shuffling", STRATEGY),
            # its trainers ask the first before transformers' Trainer asks the other
            lambda grouped, shuffle, *uses: (not shuffle, lower_order(grouped, True, *uses)),
            lambda in_order, strategy: (False, False) if in_order else lift_order(strategy),
            uses=USES,
            absent=(False, "random"),
        ),
    )


def _lower_eval_size(size: float | None, who: str) -> float:
    if size is None or who == "ftspec":
        return 0.0
    if size == 1:
        raise Refuse(
            "it takes 1 for all of the rows, not for one (data/data_utils.py)",
            "notyet",
            "data.prepare: ftspec",
        )
    return size


def _lower_eval_draw(draw: str, who: str) -> tuple[()]:
    if draw != "first" and who != "ftspec":
        raise Refuse(
            "it holds out the first rows that were drawn (data/data_utils.py)",
            "notyet",
            "data.prepare: ftspec",
        )
    return ()


def _lower_mixed(mixed: bool, who: str) -> Any:
    if not mixed or who == "ftspec":
        return ()
    return Lossy(
        (),
        "its sources follow one another (data/data_utils.py): the same rows in another order, and others "
        "of them are held out",
    )


def _lower_draw_seed(own: int | None, who: str, seed: int) -> Any:
    if own in (None, seed) or who == "ftspec":
        return ()
    return Lossy((), "it has one seed for all that it draws: as many rows are held out, but others")
