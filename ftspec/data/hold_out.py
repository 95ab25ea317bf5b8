"""Rows held out to evaluate on: the same ones, in the same order, as `datasets` draws them.

datasets 4.0 to 5.2, arrow_dataset.py, shuffle and train_test_split: numpy's default generator shuffles the
numbers of the rows. train_test_split holds the first of them out, and the others train in the order that
they came in: it is what a script calls, and what LLaMA-Factory calls for `val_size` (data/data_utils.py,
split_dataset). axolotl shuffles, leaves out what is too long, and holds the last ones out
(utils/data/sft.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ftspec.errors import DataError, Problem

T = TypeVar("T")


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
        import numpy as np  # noqa: PLC0415 -- 0.1 s that most commands need not pay

        order = np.random.default_rng(self.seed).permutation(len(rows)).tolist()
        return [rows[at] for at in order]

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
