"""What is kept of a row: parts of it, and rows that are not there twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.data.arrow import read_split
from ftspec.data.hold_out import Draw, HoldOut
from ftspec.data.kept import EVERYTHING, Keep, cut_left, parts, without_repeats
from ftspec.data.prepare import prepare
from ftspec.data.tokenise import IGNORED, Encoded
from ftspec.errors import DataError
from ftspec.spec.data import Source
from tests.conftest import SPECS

TINY = str(SPECS / "tiny-model")


def row(*ids: int, trained: int = 0) -> Encoded:
    """A row whose labels begin at ``trained``, and never with the first token."""
    start = max(trained, 1)
    return Encoded(tuple(ids), (*(IGNORED,) * start, *ids[start:]))


def test_a_long_row_becomes_several() -> None:
    seven = row(*range(7))
    assert parts(seven, 3, "split", EVERYTHING) == [
        row(0, 1, 2),
        row(3, 4, 5),
    ]  # 6 alone trains nothing
    assert parts(seven, 4, "split", EVERYTHING) == [row(0, 1, 2, 3), row(4, 5, 6)]
    assert parts(seven, 3, "split", Keep(split_rows=1)) == [row(0, 1, 2)]
    assert parts(seven, 7, "split", EVERYTHING) == [seven]
    asked = row(*range(7), trained=5)
    assert parts(asked, 4, "split", EVERYTHING) == [row(4, 5, 6, trained=1)]


def test_short_rows_are_left_out() -> None:
    assert parts(row(1, 2, 3), 9, "truncate", Keep(min_length=4)) == []
    assert parts(row(1, 2, 3), 9, "truncate", Keep(min_length=3)) == [row(1, 2, 3)]
    assert parts(row(*range(7)), 4, "split", Keep(min_length=4)) == [row(0, 1, 2, 3)]


def test_the_end_of_a_row_is_kept() -> None:
    assert cut_left(row(*range(7)), 3) == row(4, 5, 6)
    assert parts(row(*range(7), trained=6), 3, "truncate-left", EVERYTHING) == [
        row(4, 5, 6, trained=2)
    ]
    with pytest.raises(DataError, match="among the last 1 of"):
        parts(row(*range(7)), 1, "truncate-left", EVERYTHING)


def test_rows_that_are_there_already() -> None:
    one, other, masked = row(1, 2, 3), row(1, 2, 4), row(1, 2, 3, trained=2)
    assert [*without_repeats([one, other, one, masked, other])] == [one, other, masked]


def prepared(folder: Path, rows: list[Any], format: Any, **chosen: Any) -> list[list[int]]:
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    prepare(
        [Source(path="rows.jsonl", format=format)], base=folder, tokenizer=TINY,
        target=folder / "out", **{"max_length": 64, "overflow": "drop", "train_on": "all", **chosen},
    )  # fmt: skip
    return [list(found.input_ids) for found in read_split(folder / "out")]


def test_rows_leave_before_the_last_ones_are_held_out(tmp_path: Path) -> None:
    """Each part of a split row is drawn by itself, and none that is there twice."""
    rows = [{"text": f"{n % 6} " * (1 + n)} for n in range(12)]
    splits = [
        prepared(
            tmp_path / f"{held}", rows, "text", max_length=8, overflow="split",
            keep=Keep(distinct=True), draw=Draw(5, part=HoldOut(0.25, 5, held, last=True)),
        )
        for held in (True, False)
        if (tmp_path / f"{held}").mkdir() is None
    ]  # fmt: skip
    held, trained = splits
    every = [*map(tuple, held), *map(tuple, trained)]
    assert len({*every}) == len(every) > 12
    assert len(held) == -(-len(every) // 4)


def test_a_system_turn_is_left_out(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    told = [{"role": "system", "content": "Be brief."}, *turns]
    one, other = prepared(
        tmp_path, [{"messages": told}, {"messages": turns}], "messages", keep=Keep(drop_system=True)
    )
    assert one == other
