"""Single answers with a label: how rows are recognised and read, and what their order means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftspec.data.formats import conversation, detect
from ftspec.data.sources import Row
from ftspec.errors import DataError, SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.resolve import resolve
from ftspec.spec.data import UNPAIRED, Format
from ftspec.spec.load import Loaded, load
from tests.conftest import SPECS

TURNS = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
ROWS: dict[Format, dict[str, Any]] = {
    "messages-unpaired": {"messages": TURNS, "label": False},
    "sharegpt-unpaired": {
        "conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}],
        "label": False,
    },
    "alpaca-unpaired": {"instruction": "Q", "output": "A", "label": False},
    "unpaired": {"prompt": TURNS[:1], "completion": TURNS[1:], "label": False},
}


def tiny(*sets: str) -> Loaded:
    return load(SPECS / "kto-tiny.yaml", sets)


def test_each_format_has_a_row_here() -> None:
    assert set(ROWS) == set(UNPAIRED)


@pytest.mark.parametrize("format", ROWS)
def test_a_label_tells_the_format_only_where_answers_are_judged(format: Format) -> None:
    values = ROWS[format]
    assert detect(values, labelled=True) == format
    assert detect(values) == {"unpaired": "prompt-completion"}.get(
        format, format.removesuffix("-unpaired")
    )


@pytest.mark.parametrize("format", ROWS)
def test_the_row_keeps_its_answer_and_its_label(format: Format) -> None:
    found = conversation(Row(0, 1, ROWS[format]), format)
    assert (found.label, found.given) == (False, 1)
    assert [message.content for message in found.messages] == ["Q", "A"]


@pytest.mark.parametrize("label", [None, "true", 1, 0.5])
def test_a_label_is_true_or_false(label: Any) -> None:
    row = Row(0, 1, {"messages": TURNS, "label": label})
    with pytest.raises(DataError, match="label"):
        conversation(row, "messages-unpaired")


def test_an_answer_needs_a_prompt() -> None:
    row = Row(0, 1, {"messages": TURNS[1:], "label": True})
    with pytest.raises(DataError, match="no prompt"):
        conversation(row, "messages-unpaired")


def test_rows_keep_their_order_unless_the_spec_says_otherwise() -> None:
    silent, rows = SPECS / "dpo-tiny.yaml", "data.train=data/feedback.jsonl"
    found = resolve(load(silent, (rows, "method.objective=kto")))
    assert found.flat()["data.shuffle"] is False
    assert found.values["data.shuffle"].origin == "derived"
    loss = "method.objective={type: kto, loss: apo-zero-unpaired}"
    assert resolve(load(silent, (rows, loss))).flat()["data.shuffle"] is True


def test_llamafactory_pairs_rows_within_a_batch() -> None:
    native = make_plan(tiny(), "llamafactory").native
    assert native["disable_shuffling"] is True
    assert native["preprocessing_batch_size"] == native["per_device_train_batch_size"] == 4
    native = make_plan(tiny("data.shuffle=true"), "llamafactory").native
    assert (native["disable_shuffling"], native["preprocessing_batch_size"]) == (False, 1000)


@pytest.mark.parametrize(
    ("backend", "sets", "told"),
    [
        ("trl", ("data.shuffle=true",), "demands rows in their order"),
        ("trl", ("train.micro_batch_size=1",), "nothing is learned"),
        ("llamafactory", ("train.micro_batch_size=1",), "nothing is learned"),
        (
            "llamafactory",
            ("method.objective.loss=apo-zero-unpaired",),
            "it trains the loss kto alone",
        ),
    ],
)
def test_what_would_train_otherwise_is_refused(
    backend: str, sets: tuple[str, ...], told: str
) -> None:
    with pytest.raises(UnsupportedError, match=told):
        make_plan(tiny(*sets), backend)


@pytest.mark.parametrize("objective", ["sft", "dpo"])
def test_other_objectives_do_not_take_bad_answers_for_good(objective: str, tmp_path: Path) -> None:
    source = "data.train={path: data/feedback.jsonl, format: messages-unpaired}"
    with pytest.raises(SpecError, match="these rows are"):
        make_plan(tiny(f"method.objective={objective}", source), "trl", tmp_path)
