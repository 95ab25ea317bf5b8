"""The statements that load rows, executed: what trl would get, and the way back from the source."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ftspec.emit.python import render
from ftspec.families.rows.datasets import (
    OF_TEXTS,
    VARIABLES,
    Split,
    context,
    read_split,
    same,
    taken,
    template,
)
from ftspec.families.rows.shapes import (
    ANSWERED,
    COMPOSED,
    JUDGED,
    OF_KIND,
    PAIRED,
    STATEMENTS,
    TOLD,
    TOLD_ANSWERED,
    TOOLS,
    TURNS,
    WITH_IMAGES,
    WRITTEN,
)
from ftspec.mapping import Refuse
from ftspec.spec.data import SUFFIXES, Written
from tests.unit.fake_datasets import Rows, Tokenizer
from tests.unit.spec_basics import words

NAMES = ("MODEL", "model")


def source(**fields: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "path": None,
        "hub": None,
        "subset": None,
        "files": (),
        "revision": None,
        "split": "train",
        "limit": None,
        "share": None,
        "columns": {},
        "template": None,
    }
    return {**nothing, "format": "messages", **fields}


def script(
    split: str, *sources: dict[str, Any], shape: str, limit: int | None = None, **draws: Any
) -> str:
    values = context(sources, shape, "data/train", limit, **draws)
    return render(template(split, values), allowed=NAMES, **{VARIABLES[split]: values})


def run(text: str, split: str, rows: list[dict[str, Any]]) -> Rows:
    def load_dataset(*arguments: Any, **named: Any) -> Rows:
        return Rows(rows, (arguments, named))

    def concatenate_datasets(parts: list[Rows]) -> Rows:
        return Rows([row for part in parts for row in part.rows], tuple(p.loaded for p in parts))

    scope: dict[str, Any] = {
        "load_dataset": load_dataset,
        "concatenate_datasets": concatenate_datasets,
        "load_from_disk": lambda folder: Rows([], (folder,)),
        "tokenizer": Tokenizer(),
        "ImmutableSandboxedEnvironment": ImmutableSandboxedEnvironment,
        "StrictUndefined": StrictUndefined,
    }
    exec(text, scope)  # noqa: S102 - that is what is tested
    found = scope[VARIABLES[split]]
    assert isinstance(found, Rows)
    return found


def chat(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


FULL = chat(("system", "s"), ("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b"))
ROWS: dict[str, tuple[list[dict[str, Any]], list[list[dict[str, str]]]]] = {
    "messages": ([{"messages": FULL, "id": 1}], [FULL]),
    "sharegpt": (
        [
            {
                "conversations": [
                    {"from": "system", "value": "s"}, {"from": "human", "value": "q"},
                    {"from": "gpt", "value": "a"}, {"from": "user", "value": "r"},
                    {"from": "assistant", "value": "b"},
                ],
                "id": 1,
            }
        ],
        [FULL],
    ),
    "alpaca": (
        [
            {"instruction": "q", "input": "more", "output": "a"},
            {"instruction": "q", "input": "", "output": "a"},
            {"instruction": "q", "input": None, "output": "a"},
        ],
        [chat(("user", "q\nmore"), ("assistant", "a"))]
        + 2 * [chat(("user", "q"), ("assistant", "a"))],
    ),
}  # fmt: skip
"""Rows of each conversational format, and the conversations that they are."""


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("split", VARIABLES)
def test_every_format_becomes_the_same_conversations(kind: str, split: str) -> None:
    rows, expected = ROWS[kind]
    text = script(split, source(path="a.json", format=kind), shape="messages")
    assert [row["messages"] for row in run(text, split, rows).rows] == expected
    text = script(split, source(path="a.json", format=kind), shape="prompt-completion")
    assert run(text, split, rows).rows == [
        {"prompt": turns[:-1], "completion": turns[-1:]} for turns in expected
    ]


@pytest.mark.parametrize("kind", ROWS)
def test_images_stay_beside_the_conversations(kind: str) -> None:
    rows, expected = ROWS[kind]
    shown = [{**row, "pictures": ["a.png"]} for row in rows]
    made = source(path="a.json", format=kind, columns={"images": "pictures"})
    found = run(script("train", made, shape="images"), "train", shown)
    assert found.rows == [{"images": ["a.png"], "messages": turns} for turns in expected]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (
            "sharegpt-ranking",
            {
                "conversations": [{"from": "human", "value": "q"}],
                "good": {"from": "gpt", "value": "a"},
                "rejected": {"from": "gpt", "value": "b"},
            },
        ),
        ("alpaca-ranking", {"instruction": "q", "input": "", "good": "a", "rejected": "b"}),
        (
            "preference",
            {
                "prompt": chat(("user", "q")),
                "good": chat(("assistant", "a")),
                "rejected": chat(("assistant", "b")),
            },
        ),
    ],
)
def test_images_stay_beside_pairs(kind: str, row: dict[str, Any]) -> None:
    columns = {"images": "pictures", "chosen": "good"}
    made = source(path="a.json", format=kind, columns=columns)
    shown = [{**row, "pictures": ["a.png"], "id": 1}]
    found = run(script("train", made, shape="preference"), "train", shown)
    assert found.rows == [
        {
            "prompt": chat(("user", "q")),
            "chosen": chat(("assistant", "a")),
            "rejected": chat(("assistant", "b")),
            "images": ["a.png"],
        }
    ]


def test_columns_of_other_names_end_under_those_that_trl_expects() -> None:
    for kind, columns, rows, expected in (
        ("text", {"text": "body"}, [{"body": "x", "id": 1}], [{"text": "x"}]),
        (
            "prompt-completion", {"prompt": "q", "completion": "a"}, [{"q": "x", "a": "y", "z": 0}],
            [{"prompt": "x", "completion": "y"}],
        ),
        ("messages", {"messages": "talk"}, [{"talk": FULL, "id": 1}], [{"messages": FULL}]),
    ):  # fmt: skip
        assert isinstance(columns, dict)
        text = script("train", source(path="a.json", format=kind, columns=columns), shape=kind)
        assert run(text, "train", rows).rows == expected


def test_long_conversations_are_left_out() -> None:
    rows = [{"messages": chat(("user", "q"), ("assistant", "a" * n))} for n in (3, 4, 5)]
    for shape in ("messages", "prompt-completion"):
        text = script("train", source(path="a.json"), shape=shape, limit=5)
        assert len(run(text, "train", rows).rows) == 2


def test_where_rows_come_from() -> None:
    one = script("train", source(path="a/b.jsonl"), shape="messages")
    assert run(one, "train", [{"messages": []}]).loaded == (
        ("json",), {"data_files": "a/b.jsonl", "split": "train"},
    )  # fmt: skip
    two = script("eval", source(path="a.csv"), source(path="b.CSV"), shape="messages")
    assert run(two, "eval", [{"messages": []}]).loaded == (
        ("csv",), {"data_files": ["a.csv", "b.CSV"], "split": "train"},
    )  # fmt: skip
    hubs = script(
        "train", source(hub="o/a", split="x"), source(hub="o/b", subset="c"), shape="messages"
    )
    assert run(hubs, "train", [{"messages": []}]).loaded == (
        (("o/a",), {"split": "x"}), (("o/b", "c"), {"split": "train"}),
    )  # fmt: skip
    assert run(script("train", shape="tokens"), "train", []).loaded == ("data/train",)


def test_the_first_rows_of_each_source() -> None:
    one = script("train", source(path="a.jsonl", limit=5), shape="messages")
    assert run(one, "train", [{"messages": []}]).loaded == (
        ("json",), {"data_files": "a.jsonl", "split": "train[:5]"},
    )  # fmt: skip
    two = script("eval", source(path="a.csv", limit=5), source(path="b.csv"), shape="messages")
    assert run(two, "eval", [{"messages": []}]).loaded == (
        (("csv",), {"data_files": "a.csv", "split": "train[:5]"}),
        (("csv",), {"data_files": "b.csv", "split": "train"}),
    )
    hub = script("train", source(hub="o/a", split="x", limit=7), shape="messages")
    assert run(hub, "train", [{"messages": []}]).loaded == (("o/a",), {"split": "x[:7]"})


def test_rows_held_out_have_their_shape_already_and_long_ones_leave_both_parts() -> None:
    values = context(
        (source(path="a.json"),), "messages", "", 5, "Be brief.", (2.0, "first"), seed=7
    )
    others = taken("messages", 5)
    text = render(template("train", values), allowed=NAMES, train=values)
    text += render(template("eval", others), allowed=NAMES, evaluation=others)
    assert "train_test_split(test_size=2, seed=7)" in text
    found = read_split(ast.parse(text), "train")
    assert found is not None
    assert (found.held_out, found.limit, found.system) == ((2, "first"), 5, "Be brief.")
    assert found.seeds == {7}
    assert read_split(ast.parse(text), "eval") == Split()
    assert text.count(".filter(") == 2
    share = context((source(path="a.json"),), "messages", "", None, None, (0.25, "first"), seed=7)
    assert "test_size=0.25" in render(template("train", share), allowed=NAMES, train=share)


def test_the_last_rows_are_held_out_once_long_ones_have_left() -> None:
    how = ("messages", "", 5, "Be brief.", (2.0, "last"))
    values = context((source(path="a.json"),), *how, seed=7)
    text = render(template("train", values), allowed=NAMES, train=values)
    places = [text.index(word) for word in (".shuffle(seed=7)", ".filter(", "shuffle=False")]
    assert places == sorted(places)
    found = read_split(ast.parse(text), "train")
    assert found is not None
    assert (found.held_out, found.limit, found.system) == ((2, "last"), 5, "Be brief.")
    assert found.seeds == {7}


def test_what_one_statement_cannot_load_is_refused() -> None:
    for sources in (
        (source(path="a.json"), source(hub="o/a")),
        (source(path="a.json"), source(path="a.csv")),
        (source(path="a.json"), source(path="b.json", format="alpaca")),
        (source(path="a.json"), source(path="b.json", columns={"messages": "x"})),
        (source(path="a.json", template={"prompt": "a", "completion": "b"}), source(path="b.json")),
    ):
        with pytest.raises(Refuse) as caught:
            context(sources, "messages", "")
        assert caught.value.hint == "data.prepare: ftspec"
    tooled = source(path="a.json", format="sharegpt", columns={"tools": "tools"})
    with pytest.raises(Refuse, match="tools of sharegpt rows are not taken over"):
        context((tooled,), "messages", "")
    with pytest.raises(Refuse, match="measured without their tools"):
        context((source(path="a.json", columns={"tools": "tools"}),), "messages", "", limit=5)
    for kind in ("text", "prompt-completion"):
        with pytest.raises(Refuse, match="cannot leave it out"):
            context((source(path="a.json", format=kind),), kind, "", limit=5)
    same("format", (source(), source()))


def forms() -> Iterator[tuple[str, str]]:
    yield from STATEMENTS


@st.composite
def sources(draw: st.DrawFn) -> tuple[tuple[dict[str, Any], ...], str]:
    kind, shape = draw(st.sampled_from(sorted(forms())))
    names = draw(st.lists(words(), min_size=len(OF_KIND[kind]), max_size=5, unique=True))
    columns = dict(zip(OF_KIND[kind], names, strict=False)) if draw(st.booleans()) else {}
    columns = {ours: theirs for ours, theirs in columns.items() if ours != theirs}
    if kind.endswith(WITH_IMAGES):
        columns = {"images": "images", **columns}
    if kind.endswith(TOOLS):
        columns.setdefault("tools", "tools")
    suffix = draw(st.sampled_from(sorted(SUFFIXES)))

    def one() -> dict[str, Any]:
        place: dict[str, Any] = {"path": draw(words()) + suffix}
        if hub:
            place = {
                "hub": draw(words()),
                "subset": draw(st.none() | words()),
                "split": draw(words()),
                "files": tuple(draw(st.lists(words(), max_size=2))),
                "revision": draw(st.none() | words()),
            }
        limit = (
            draw(st.none() | st.integers(1, 10**9))
            if place.get("split", "train") == "train"
            else None
        )
        place["share"] = draw(st.none() | st.sampled_from((1.0, 0.25)))
        if bare in OF_TEXTS:
            own = columns if kind.endswith(WITH_IMAGES) else {}
            return source(**place, format=OF_TEXTS[bare], template=texts, columns=own, limit=limit)
        return source(**place, format=bare, columns=columns, limit=limit)

    bare = kind.removesuffix(TOOLS).removesuffix(WITH_IMAGES)
    names = {
        WRITTEN: ("prompt", "completion"),
        JUDGED: ("prompt", "completion", "label"),
        PAIRED: ("prompt", "chosen", "rejected"),
        ANSWERED: ("user", "chosen", "rejected"),
        TOLD_ANSWERED: ("system", "user", "chosen", "rejected"),
        TURNS: ("user", "assistant"),
        TOLD: ("system", "user", "assistant"),
        COMPOSED: ("text",),
    }.get(bare, ())
    texts = {name: draw(words()) if name in names else None for name in Written.model_fields}
    hub = draw(st.booleans())
    return tuple(one() for _ in range(draw(st.integers(1, 3)))), shape


@given(sources(), st.sampled_from(sorted(VARIABLES)), st.booleans())
def test_the_source_says_again_what_it_was_made_from(
    drawn: tuple[tuple[dict[str, Any], ...], str], split: str, mixed: bool
) -> None:
    made_from, shape = drawn
    tree = ast.parse(script(split, *made_from, shape=shape, mixed=mixed, seed=7))
    found = read_split(tree, split)
    assert found is not None
    assert found.mixed == mixed
    assert found.seeds == ({7} if mixed or any(one["share"] for one in made_from) else set())
    assert found.shape == shape
    assert found.sources == made_from
    (other,) = set(VARIABLES) - {split}
    absent = read_split(tree, other)
    assert absent is not None
    assert absent.sources == ()


def test_statements_of_somebody_else_are_not_guessed_at() -> None:
    text = script("train", source(path="a.json"), shape="messages")
    for old, new in (
        ('select_columns(["messages"])', 'select_columns(["messages", "id"])'),
        ('select_columns(["messages"])', "shuffle()"),
        ('split="train")', 'split="train").shuffle()'),
    ):
        assert old in text
        found = read_split(ast.parse(text.replace(old, new, 1)), "train")
        assert found is None or found.sources == ()


def test_every_statement_is_swept() -> None:
    kinds = {kind for kind, _ in STATEMENTS}
    assert kinds == set(OF_KIND)
    assert len(STATEMENTS) == 38
    conversational = set(itertools.product(ROWS, ("messages", "prompt-completion")))
    assert conversational <= set(STATEMENTS)


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (
            "sharegpt-ranking",
            {
                "conversations": [{"from": "human", "value": "q"}],
                "chosen": {"from": "gpt", "value": "a"},
                "rejected": {"from": "gpt", "value": "b"},
                "id": 1,
            },
        ),
        ("alpaca-ranking", {"instruction": "q", "input": "", "chosen": "a", "rejected": "b"}),
    ],
)
def test_pairs_become_prompt_chosen_and_rejected(kind: str, row: dict[str, Any]) -> None:
    text = script("train", source(path="a.json", format=kind), shape="preference")
    assert run(text, "train", [row]).rows == [
        {
            "prompt": chat(("user", "q")),
            "chosen": chat(("assistant", "a")),
            "rejected": chat(("assistant", "b")),
        }
    ]
