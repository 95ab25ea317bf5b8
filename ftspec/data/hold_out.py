"""Rows held out to evaluate on: the same ones, in the same order, as `datasets` draws them.

datasets 4.0 to 5.2, arrow_dataset.py, train_test_split: numpy's default generator shuffles the numbers of
the rows; the first of them are held out, and the others train in the order that they came in. It is what
a script calls, and what LLaMA-Factory calls for `val_size` (data/data_utils.py, split_dataset).
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

    def of(self, rows: Sequence[T]) -> list[T]:
        """The rows of this part, in its own order.

        Raises:
            DataError: one of the parts would be empty.
        """
        import numpy as np  # noqa: PLC0415 -- 0.1 s that most commands need not pay

        count = math.ceil(self.size * len(rows)) if self.size < 1 else int(self.size)
        if count >= len(rows):
            message = f"of {len(rows):,} rows, {count:,} would be held out, and none would train"
            raise DataError(Problem(message, "data.eval_size", hint="hold out fewer"))
        order = np.random.default_rng(self.seed).permutation(len(rows)).tolist()
        return [rows[at] for at in (order[:count] if self.held else order[count:])]
