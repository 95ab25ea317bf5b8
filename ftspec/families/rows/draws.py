"""Rows that a script draws: shares of sources, all of them in one order, and those held out.

The statements are those of datasets.py; ftspec/data/hold_out.py draws the same rows.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.trainers import SFT
from ftspec.mapping import MISSING, Refuse, Row

HELD_OUT = "data.held_out"
"""Native pseudo-key: how many rows are held out, and which of those that are drawn."""
MIXED = "data.mixed"
"""Native pseudo-key: whether the rows of all sources are drawn in one order."""
DRAW_SEED = "data.draw_seed"
"""Native pseudo-key: the seed by which rows are drawn; absent where none are."""
_DRAWN = ("data.eval_size", "data.mixed")


def draw_rows() -> tuple[Row, ...]:
    """What the script draws of the rows, which of them it holds out, and by which seed."""
    return (
        Row(
            ("data.eval_size", "data.eval_draw"),
            (HELD_OUT,),
            _lower_held_out,
            _lift_held_out,
            uses=("data.prepare",),
            absent=(None,),
        ),
        Row(
            ("data.mixed",),
            (MIXED,),
            lambda mixed, who: mixed if mixed and who == "framework" else MISSING,
            bool,
            uses=("data.prepare",),
            absent=(False,),
        ),
        Row(
            ("data.draw_seed",),
            (DRAW_SEED,),
            _lower_draw_seed,
            _lift_draw_seed,
            uses=("data.prepare", "train.seed", "data.train", "data.eval", *_DRAWN),
            reads=(f"{SFT.prefix}seed",),
            absent=(None,),
        ),
    )


def _lower_held_out(size: float | None, draw: str, who: str) -> Any:
    return MISSING if size is None or who == "ftspec" else (size, draw)


def _lift_held_out(held_out: Any) -> tuple[float | None, str]:
    return (None, "first") if held_out is None else (float(held_out[0]), held_out[1])


def _lower_draw_seed(
    own: int | None, who: str, seed: int, train: Any, evaluated: Any, size: Any, mixed: bool
) -> Any:
    shared = any(source.get("share") for source in (*train, *evaluated))
    if who == "ftspec" or not (size or mixed or shared):
        return MISSING
    return seed if own is None else own


def _lift_draw_seed(own: Any, seed: Any) -> int | None:
    if isinstance(own, frozenset):
        raise Refuse("rows are drawn by different seeds, or by chance", "notimpl")
    return None if own == seed else own
