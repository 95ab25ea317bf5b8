"""Numbers over a split against a naive count of the same rows."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.data import preview
from ftspec.data.example import Example
from ftspec.data.findings import Findings
from ftspec.data.preview import Looked, expected_rows, look
from ftspec.data.sources import Row
from ftspec.data.statistics import Repeats, Survey, histogram, percentiles, survey
from ftspec.data.view import Prepared, Rule, View
from ftspec.errors import DataError
from ftspec.families.rows.script_rows import ScriptRows
from ftspec.plan.batch import steps_per_epoch
from ftspec.spec.data import Source
from ftspec_llamafactory.rows import SlotRows
from ftspec_llamafactory.slots import slots
from tests.unit.preview_samples import LIMITS, MARKED, TOKENS, chats

RULES = st.builds(
    lambda limit, drop: (
        Prepared(TOKENS, MARKED, "assistant", limit, "error"),
        ScriptRows(TOKENS, MARKED, "completions", limit, drop),
        SlotRows(TOKENS, slots(TOKENS, MARKED), limit, False, True),
    ),
    LIMITS,
    st.booleans(),
)


def written(folder: Path, rows: Sequence[Any]) -> Source:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return Source(path="rows.jsonl", format="messages")


def counted(folder: Path, source: Source, rules: Sequence[Rule]) -> tuple[list[Looked], Survey]:
    found, numbers = Findings(), survey(rules, TOKENS)
    looked = list(look([source], folder, TOKENS, rules, found))
    for row in looked:
        numbers.add(row)
    found.check()
    return looked, numbers


@settings(max_examples=40)
@given(st.lists(chats(), min_size=1, max_size=8), RULES, st.integers(1, 9))
def test_statistics_are_a_naive_count(
    tmp_path_factory: pytest.TempPathFactory,
    examples: list[Example],
    rules: tuple[Rule, ...],
    batch: int,
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    rows = [{"messages": [m.native() for m in example.messages]} for example in examples]
    source = written(folder, [*rows, rows[0]])
    before, preview.BATCH = preview.BATCH, batch
    try:
        looked, numbers = counted(folder, source, rules)
    finally:
        preview.BATCH = before
    assert [row.number for row in looked] == list(range(len(rows) + 1)) and numbers.rows == len(
        looked
    )
    assert [row.row.line for row in looked] == list(range(1, len(rows) + 2))
    for at, found in enumerate(numbers.statistics):
        views = [row.views[at] for row in looked]
        good = [view for view in views if isinstance(view, View) and not view.refused]
        kept = [view for view in good if not view.left_out]
        assert found.refused.count == len(views) - len(good) == found.problems.count
        assert sum(named.count for named in found.left_out.values()) == len(good) - len(kept)
        assert found.kept == len(kept)
        assert found.tokens == sum(len(view.input_ids) for view in kept)
        assert found.trained == sum(sum(view.trained) for view in kept)
        assert found.cut.count == sum(len(view.input_ids) < view.length for view in kept)
        assert found.lost == sum(view.length - len(view.input_ids) for view in kept)
        assert found.untrained.count == sum(not any(view.trained) for view in kept)
        lengths = [view.length for view in views if isinstance(view, View)]
        assert found.lengths == Counter(lengths)
        assert sum(bar for *_, bar in histogram(found.lengths)) == len(lengths)
    said = [repr(row.example) for row in looked]
    assert numbers.repeats.found.count == len(said) - len(set(said)) > 0


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 99))
def test_percentiles_are_the_nearest_rank(lengths: list[int], share: int) -> None:
    rank = -(-share * len(lengths) // 100)
    assert percentiles(Counter(lengths), (share,)) == {share: sorted(lengths)[rank - 1]}


@given(st.lists(st.integers(0, 10**6)), st.integers(1, 20))
def test_a_histogram_has_every_row_once(lengths: list[int], bars: int) -> None:
    drawn = histogram(Counter(lengths), bars)
    assert len(drawn) <= bars
    for low, high, rows in drawn:
        assert rows == sum(low <= length <= high for length in lengths)
    assert sum(rows for *_, rows in drawn) == len(lengths)


def _said(number: int, text: str) -> Looked:
    row = Row(number, number + 1, {}, "data/rows.jsonl")
    return Looked(number, row, Example("text", completion=text), ())


def test_repeats_are_those_of_a_set_and_named_with_the_first() -> None:
    texts = [str(number * number % 3001) for number in range(5000)]
    repeats = Repeats()
    for number, text in enumerate(texts):
        repeats.add(_said(number, text))
    assert repeats.found.count == len(texts) - len(set(texts))
    again = next(at for at, text in enumerate(texts) if text in texts[:at])
    assert repeats.found.first[0] == f"rows.jsonl:{again + 1} (as row {texts.index(texts[again])})"


def test_repeats_take_little_memory() -> None:
    repeats, rows = Repeats(), 40_000
    tracemalloc.start()
    for number in range(rows):
        repeats.add(_said(number, str(number)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert repeats.found.count == 0
    assert peak < 96 * rows + 100_000


def test_a_bad_row_is_named_and_the_others_are_seen(tmp_path: Path) -> None:
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    source = written(tmp_path, [good, {"messages": []}, good])
    found, rule = Findings(), Prepared(TOKENS, MARKED, "assistant", 64, "truncate")
    looked = list(look([source], tmp_path, TOKENS, [rule], found))
    assert [(row.number, row.place) for row in looked] == [(0, "rows.jsonl:1"), (2, "rows.jsonl:3")]
    assert [(problem.line, problem.message) for problem in found.shown] == [
        (2, "the conversation is empty")
    ]


def test_rows_of_the_second_file_are_numbered_on(tmp_path: Path) -> None:
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    source = written(tmp_path, [good] * 3)
    rows = list(look([source, source], tmp_path, TOKENS, [], Findings()))
    assert [row.number for row in rows] == list(range(6))


def test_an_error_of_a_rule_has_the_place_of_its_row(tmp_path: Path) -> None:
    source = written(
        tmp_path,
        [{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"},
                       {"role": "assistant", "content": "c"}]}],
    )  # fmt: skip
    (looked,), numbers = counted(
        tmp_path, source, [SlotRows(TOKENS, slots(TOKENS, MARKED), 64, False, False)]
    )
    (view,) = looked.views
    assert isinstance(view, DataError) and view.problems[0].line == 1
    assert "leave the row out" in view.problems[0].message
    assert numbers.statistics[0].refused.first == ["rows.jsonl:1"]


def test_hub_rows_are_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ftspec does not read") as caught:
        list(look([Source(hub="a/b", format="messages")], tmp_path, TOKENS, [], Findings()))
    assert "hf download --repo-type dataset a/b" in caught.value.problems[0].hint


def test_expected_rows_are_lines_unless_lines_say_nothing(tmp_path: Path) -> None:
    source = written(tmp_path, [{}] * 7)
    assert expected_rows([source, source], tmp_path) == 14
    (tmp_path / "rows.json").write_text("[\n{},\n{}]")
    assert expected_rows([Source(path="rows.json", format="text")], tmp_path) is None
    assert expected_rows([Source(path="none.jsonl", format="text")], tmp_path) is None


@given(st.integers(1, 500), st.integers(1, 8), st.integers(1, 4), st.integers(1, 8))
def test_steps_are_those_of_a_loader(
    rows: int, micro: int, processes: int, accumulate: int
) -> None:
    batches = 0
    for _ in range(0, rows, micro * processes):
        batches += 1
    steps = sum(1 for _ in range(0, batches, accumulate))
    assert steps_per_epoch(rows, micro, processes, accumulate) == steps
