"""Rows held out: those that `datasets` would draw; what it drew, releases 4.0 and 5.2 alike, stands here."""

from __future__ import annotations

import pytest

from ftspec.data.hold_out import Draw, HoldOut, share_of
from ftspec.errors import DataError


@pytest.mark.parametrize(
    ("size", "seed", "held", "trained"),
    [
        (0.3, 42, [3, 2, 6], [4, 1, 5, 0]),
        (0.1, 0, [4], [6, 2, 7, 3, 5, 9, 0, 8, 1]),
        (5, 2**32 - 1, [1, 4, 0, 6, 8], [7, 10, 3, 11, 5, 2, 9]),
    ],
)  # fmt: skip
def test_the_rows_are_those_of_train_test_split(
    size: float, seed: int, held: list[int], trained: list[int]
) -> None:
    rows = list(range(len(held) + len(trained)))
    assert HoldOut(size, seed, held=True).of(rows) == held
    assert HoldOut(size, seed, held=False).of(rows) == trained


def test_the_last_rows_of_the_same_order() -> None:
    rows = list(range(7))  # drawn: 3, 2, 6, 4, 1, 5, 0
    assert HoldOut(0.3, 42, held=True, last=True).of(rows) == [1, 5, 0]
    assert HoldOut(0.3, 42, held=False, last=True).of(rows) == [3, 2, 6, 4]


@pytest.mark.parametrize(("size", "rows"), [(3, 3), (0.99, 2), (0.5, 1), (5, 0)])
def test_something_must_be_left_to_train_on(size: float, rows: int) -> None:
    with pytest.raises(DataError, match="none would train"):
        HoldOut(size, 42, held=True).of(range(rows))


def test_a_share_is_drawn_and_rounded_down_and_all_rows_are_drawn_again() -> None:
    rows = list(range(7))  # drawn: 3, 2, 6, 4, 1, 5, 0
    assert share_of(rows, 1, 42) == [3, 2, 6, 4, 1, 5, 0]
    assert share_of(rows, 0.5, 42) == [3, 2, 6]
    assert share_of(rows, 4, 42) == [3, 2, 6, 4]
    assert share_of(rows, 9, 42) == [3, 2, 6, 4, 1, 5, 0]
    assert Draw(42, mixed=True).mix(share_of(rows, 1, 42)) == [4, 6, 0, 1, 2, 5, 3]
    assert Draw(42).mix(rows) == rows
