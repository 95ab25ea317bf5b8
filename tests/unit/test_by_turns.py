"""Rows cut turn by turn: what is left, who compiles it, and that a script's own functions do the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.data.by_turns import kept, share, turns
from ftspec.data.prepare import prepare
from ftspec.errors import UnsupportedError
from ftspec.families.rows.by_turns import text
from ftspec.plan.make import make_plan
from ftspec.spec.data import Source
from ftspec.spec.load import load, loads
from tests.conftest import SPECS

CUT = ("data.overflow=truncate-turns", "data.max_length=48")
PAIRS = "data.train={path: data/preferences.jsonl, format: sharegpt-ranking}"


def functions() -> dict[str, Any]:
    """What a script defines, with the statements of its template left out."""
    source = text().split("{{ by_turns[1]|py }}")[1].split("def by_turns(row)")[0]
    found: dict[str, Any] = {}
    exec(source, found)  # noqa: S102 - text of this project
    return found


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 50), st.booleans())
def test_a_cut_row_is_as_long_as_it_may_be(said: list[bool], limit: int, last_first: bool) -> None:
    left = kept(said, limit, last_first)
    assert len(left) == min(limit, len(said)) == len({*left})
    assert left == sorted(left)
    if len(said) <= limit:
        assert left == [*range(len(said))]


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_script_finds_the_same_turns(said: list[bool]) -> None:
    assert functions()["turns_of"]([int(own) for own in said]) == turns(said)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
def test_a_script_shares_alike(asked: int, told: int, room: int) -> None:
    assert functions()["share"](asked, told, room) == share(asked, told, room)


@pytest.mark.parametrize(
    ("asked", "told", "room", "expected"),
    [(60, 4, 48, (44, 4)), (4, 60, 48, (4, 44)), (60, 40, 48, (29, 19)), (3, 5, 48, (3, 5))],
)
def test_what_is_shorter_than_half_is_whole(
    asked: int, told: int, room: int, expected: tuple[int, int]
) -> None:
    assert share(asked, told, room) == expected


def test_which_turns_are_left() -> None:
    said = [False, False, True, True, False, False, True, True, False]
    assert turns(said) == [(0, 2, 4), (4, 6, 9)]
    assert kept(said, 5, last_first=False) == [0, 1, 2, 3, 4]
    assert kept(said, 5, last_first=True) == [4, 5, 6, 7, 8]
    assert kept(said, 7, last_first=True) == [0, 2, 4, 5, 6, 7, 8]


def test_prepared_rows_keep_questions_and_answers(tmp_path: Path) -> None:
    turns = [("user", "red " * 60), ("assistant", "blue " * 60)]
    row = {"messages": [{"role": role, "content": said} for role, said in turns]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), "utf-8")
    report = prepare(
        [Source(path="rows.jsonl", format="messages")],
        base=tmp_path, tokenizer=str(SPECS / "tiny-model"), max_length=40,
        overflow="truncate-turns", train_on="assistant", target=None,
    )  # fmt: skip
    assert (report.truncated, report.tokens) == (1, 40)
    assert 10 < report.trained_tokens < 30


def refused(backend: str, *sets: str) -> str:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(load(SPECS / "quickstart.yaml", sets), backend, allow_lossy=True)
    (problem,) = (each for each in caught.value.problems if each.path == "data.overflow")
    return problem.message


@pytest.mark.parametrize("backend", ["trl", "unsloth", "deepspeed", "llamafactory"])
@pytest.mark.parametrize("more", [(), (PAIRS, "method.objective=dpo", "data.train_on=completions")])
def test_who_cuts_so(backend: str, more: tuple[str, ...]) -> None:
    assert make_plan(load(SPECS / "quickstart.yaml", (*CUT, *more)), backend).notes == ()


@pytest.mark.parametrize(
    ("backend", "more", "why"),
    [
        ("axolotl", (), "keeps the first tokens"),
        ("axolotl", (PAIRS, "method.objective=dpo"), "keeps the first tokens"),
        ("trl", (PAIRS, "method.objective=reward"), "left out whole"),
        (
            "trl",
            (PAIRS, "method.objective=dpo", "data.max_prompt_length=8"),
            "has its share of a row",
        ),
    ],
)
def test_who_does_not(backend: str, more: tuple[str, ...], why: str) -> None:
    assert why in refused(backend, *CUT, *more)


def test_judged_answers_are_cut_nearly_so() -> None:
    rows = "data.train={path: data/feedback.jsonl, format: messages-unpaired}"
    spec = load(SPECS / "quickstart.yaml", (*CUT, rows, "method.objective=kto"))
    (note,) = make_plan(spec, "trl", allow_lossy=True).notes
    assert note.path == "data.overflow" and "gives both one prompt" in note.reason
    with pytest.raises(UnsupportedError, match="gives both one prompt"):
        make_plan(spec, "trl")
    fits = load(
        SPECS / "quickstart.yaml", (*CUT, rows, "method.objective=kto", "data.overflow=error")
    )
    assert not make_plan(fits, "trl").notes


def test_no_limit_cuts_nothing() -> None:
    text = (
        "version: 1\nmodel: m\ndata: {train: a.jsonl, max_length: null, overflow: truncate-turns}\n"
    )
    with pytest.raises(Exception, match="no row is longer than no limit"):
        loads(text, "spec.yaml")
