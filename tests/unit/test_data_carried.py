"""Rows that a framework's own data path would not train on as they are: refused before the run."""

from __future__ import annotations

from typing import Any

import pytest

from ftspec.data.carried import REMEDY, anything, by_alternating, by_frameworks
from ftspec.data.formats import conversation
from ftspec.data.sources import Row
from ftspec.errors import DataError
from ftspec.spec.data import Format

CALL = [{"type": "function", "function": {"name": "f", "arguments": {}}}]
Q, A = {"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A."}
TURNS = {"messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}]}
CARRIED: list[tuple[Format, dict[str, Any]]] = [
    ("messages", TURNS),
    ("messages", {"messages": [{"role": "system", "content": "S"}, *TURNS["messages"]]}),
    ("sharegpt", {"conversations": [{"from": "system", "value": "S"}, Q, A]}),
    ("alpaca", {"instruction": "Q?", "input": "1", "output": "A.", "system": "", "history": []}),
]
NOT_BY_ANY: list[tuple[Format, dict[str, Any], str]] = [
    ("messages", {**TURNS, "tools": [{"name": "f"}]}, "tools would be ignored"),
    ("sharegpt", {"conversations": [Q, A], "system": "S"}, "in columns of their own"),
    ("alpaca", {"instruction": "Q?", "output": "A.", "system": "S"}, "in columns of their own"),
    (
        "alpaca",
        {"instruction": "Q?", "output": "A.", "history": [["a", "b"]]},
        "in columns of their own",
    ),
    (
        "sharegpt",
        {"conversations": [Q, A, {"from": "observation", "value": "1"}, A]},
        "observation",
    ),
    (
        "sharegpt",
        {"conversations": [Q, {**A, "reasoning_content": "Hm."}]},
        "reasoning_content would be ignored",
    ),
]
NOT_BY_LLAMAFACTORY: list[tuple[Format, dict[str, Any], str]] = [
    (
        "messages",
        {"messages": [TURNS["messages"][0], *TURNS["messages"]]},
        "leave the row out: its turns are user, user",
    ),
    (
        "sharegpt",
        {"conversations": [{"from": "user", "value": "Q?"}, {"from": "assistant", "value": "A."}]},
        "leave the row out: it has turns from assistant, user",
    ),
    (
        "messages",
        {"messages": [TURNS["messages"][0], {"role": "assistant", "content": "", "tool_calls": CALL}]},
        "tool_calls would be ignored: LLaMA-Factory reads role and content",
    ),
    (
        "messages",
        {"messages": [TURNS["messages"][0], {**TURNS["messages"][1], "reasoning_content": "Hm."}]},
        "reasoning_content would be ignored: LLaMA-Factory",
    ),
]  # fmt: skip


def read(format: Format, values: dict[str, Any]) -> Any:
    return conversation(Row(0, 1, values, "rows.jsonl"), format)


@pytest.mark.parametrize(("format", "values"), CARRIED)
def test_what_is_carried(format: Format, values: dict[str, Any]) -> None:
    for accept in (anything, by_frameworks, by_alternating):
        accept(format, read(format, values))


@pytest.mark.parametrize(("format", "values", "message"), NOT_BY_ANY)
def test_what_no_framework_carries(format: Format, values: dict[str, Any], message: str) -> None:
    example = read(format, values)
    anything(format, example)
    for accept in (by_frameworks, by_alternating):
        with pytest.raises(DataError, match=message) as caught:
            accept(format, example)
        assert REMEDY in caught.value.problems[0].hint


def test_tools_that_a_spec_names_are_carried() -> None:
    example = read("messages", {**TURNS, "tools": [{"name": "f"}]})
    by_frameworks("messages", example, tools=True)
    with pytest.raises(DataError, match="tools would be ignored") as caught:
        by_frameworks("messages", example)
    assert "columns: {tools: tools}" in caught.value.problems[0].hint
    with pytest.raises(DataError, match="tools would be ignored") as caught:
        by_alternating("messages", example)
    assert caught.value.problems[0].hint == REMEDY


def test_thoughts_that_llamafactory_would_take_out() -> None:
    turn = {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nA."}
    example = read("messages", {"messages": [TURNS["messages"][0], turn]})
    for thinking in (None, True):
        by_alternating("messages", example, thinking)
    with pytest.raises(DataError, match="takes the row's thought out"):
        by_alternating("messages", example, thinking=False)


@pytest.mark.parametrize(("format", "values", "message"), NOT_BY_LLAMAFACTORY)
def test_what_llamafactory_does_not_carry(
    format: Format, values: dict[str, Any], message: str
) -> None:
    example = read(format, values)
    by_frameworks(format, example)
    with pytest.raises(DataError, match=message) as caught:
        by_alternating(format, example)
    assert REMEDY in caught.value.problems[0].hint
