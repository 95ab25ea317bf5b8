"""Rows that are drawn, and rows held out to evaluate on: the same ones, in the same order, as by `datasets`.

datasets 4.0 to 5.2, arrow_dataset.py, shuffle and train_test_split: numpy's default generator shuffles the
numbers of the rows. train_test_split holds the first of them out, and the others train in the order that
they came in: it is what a script calls, and what LLaMA-Factory calls for `val_size` (data/data_utils.py,
split_dataset). axolotl shuffles, leaves out what is too long, and holds the last ones out
(utils/data/sft.py). Recipes of the alignment handbook draw a share of each source, then all rows
(src/alignment/data.py, get_dataset).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ftspec.errors import DataError, Problem

T = TypeVar("T")


def shuffled(rows: Sequence[T], seed: int) -> list[T]:
    """All rows in the order that `datasets` shuffles them into."""
    import numpy as np  # noqa: PLC0415 -- 0.1 s that most commands need not pay

    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    return [rows[at] for at in order]


def share_of(rows: Sequence[T], share: float, seed: int) -> list[T]:
    """The first rows of that order: a share of them, rounded down, or above 1 so many."""
    return shuffled(rows, seed)[: int(len(rows) * share) if share <= 1 else int(share)]


@dataclass(frozen=True)
class HoldOut:
    """One of the two parts of a set of rows."""

    size: float
    """Below 1 a share of the rows, else a count."""
    seed: int
    held: bool
    """Whether this is the part that is held out, or the one that trains."""
    last: bool = False
    """Whether the last rows are held out, of those that are not left out as too long."""

    def drawn(self, rows: Sequence[T]) -> list[T]:
        """All rows, in the order that they are drawn in."""
        return shuffled(rows, self.seed)

    def cut(self, drawn: Sequence[T]) -> list[T]:
        """The rows of this part, of those that were drawn.

        Raises:
            DataError: one of the parts would be empty.
        """
        count = math.ceil(self.size * len(drawn)) if self.size < 1 else int(self.size)
        if count >= len(drawn):
            message = f"of {len(drawn):,} rows, {count:,} would be held out, and none would train"
            raise DataError(Problem(message, "data.eval_size", hint="hold out fewer"))
        at = len(drawn) - count if self.last else count
        return list(drawn[at:] if self.held == self.last else drawn[:at])

    def of(self, rows: Sequence[T]) -> list[T]:
        """The rows of this part, in its own order; none of them is left out.

        Raises:
            DataError: one of the parts would be empty.
        """
        return self.cut(self.drawn(rows))


@dataclass(frozen=True)
class Draw:
    """What is drawn of the rows of a split, in this order: shares of sources, all rows, those held out."""

    seed: int = 0
    mixed: bool = False
    """Whether the rows of all sources are drawn in one order."""
    part: HoldOut | None = None

    @property
    def whole(self) -> bool:
        """Whether all rows must be there before the first one is known."""
        return self.mixed or self.part is not None

    def mix(self, rows: Sequence[T]) -> list[T]:
        """The rows of all sources, in the order in which they are used or held out."""
        return shuffled(rows, self.seed) if self.mixed else list(rows)


AS_THEY_STAND = Draw()
