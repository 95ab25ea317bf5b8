"""Recognising a format and reading its rows: equal examples, and a message per class of mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.data.example import Example, Message
from ftspec.data.formats import conversation, detect, detect_source, fit
from ftspec.data.sources import Row
from ftspec.errors import DataError, Problem
from ftspec.spec.data import Format, Source

HI = {"role": "user", "content": "Hi"}
HELLO = {"role": "assistant", "content": "Hello"}
CHAT = Example("chat", (Message("user", "Hi"), Message("assistant", "Hello")), 1)


def row(values: dict[str, Any], line: int = 7) -> Row:
    return Row(6, line, values, "data.jsonl")


def problem(values: dict[str, Any], format: Format, line: int = 7) -> Problem:
    with pytest.raises(DataError) as caught:
        conversation(row(values, line), format)
    (found,) = caught.value.problems
    assert (found.file, found.line) == ("data.jsonl", line)
    return found


@pytest.mark.parametrize(
    ("columns", "mapping", "format"),
    [
        (["messages", "id"], {}, "messages"),
        (["conversations"], {}, "sharegpt"),
        (["instruction", "input", "output", "text"], {}, "alpaca"),
        (["prompt", "completion"], {}, "prompt-completion"),
        (["prompt", "prompt_id", "messages"], {}, "messages"),
        (["text"], {}, "text"),
        (["chat"], {"messages": "chat"}, "messages"),
        (
            ["question", "answer"],
            {"prompt": "question", "completion": "answer"},
            "prompt-completion",
        ),
        (["content"], {"text": "content"}, "text"),
    ],
)
def test_detect(columns: list[str], mapping: dict[str, str], format: Format) -> None:
    assert detect(columns, mapping) == format


def test_unknown_columns_say_what_is_there_and_the_remedy() -> None:
    with pytest.raises(DataError) as caught:
        detect(["question", "answer"], file="qa.csv")
    (found,) = caught.value.problems
    assert found.file == "qa.csv"
    assert "has the columns question, answer; expected are messages: messages;" in found.message
    assert found.hint == "say which column is which: `columns: {messages: question}`"


def test_columns_of_two_formats_ask_for_a_name() -> None:
    with pytest.raises(DataError, match="fit several formats: messages, prompt-completion"):
        detect(["messages", "prompt", "completion"])


def test_a_source_is_recognised_by_its_first_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x"}) + "\n{broken\n")
    assert detect_source(Source(path="a.jsonl"), tmp_path) == "text"
    assert detect_source(Source(path="a.jsonl", format="alpaca"), tmp_path) == "alpaca"
    (tmp_path / "b.jsonl").write_text("{broken")
    with pytest.raises(DataError, match="invalid JSON"):
        detect_source(Source(path="b.jsonl"), tmp_path)


@pytest.mark.parametrize(
    ("columns", "format", "mapping", "message", "hint"),
    [
        (
            ["question", "output"],
            "alpaca",
            {},
            "the format alpaca expects instruction, output; missing: instruction; "
            "the file has question, output",
            "say which column is which: `columns: {instruction: question}`",
        ),
        (
            ["text"],
            "text",
            {"txt": "text"},
            "`columns` names 'txt', which the format text does not have",
            "did you mean text?",
        ),
        (
            ["conversation"],
            "messages",
            {"messages": "conversations"},
            "`columns` takes messages from 'conversations', but the file has conversation",
            "did you mean conversation?",
        ),
    ],
)
def test_columns_that_do_not_fit(
    columns: list[str], format: Format, mapping: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(DataError) as caught:
        fit(columns, format, mapping)
    assert (caught.value.problems[0].message, caught.value.problems[0].hint) == (message, hint)


@pytest.mark.parametrize(
    ("format", "values"),
    [
        ("messages", {"messages": [HI, HELLO]}),
        ("messages", {"messages": [HI, {**HELLO, "name": None}], "tools": None}),
        (
            "sharegpt",
            {
                "conversations": [
                    {"from": "human", "value": "Hi"},
                    {"from": "gpt", "value": "Hello"},
                ]
            },
        ),
        ("alpaca", {"instruction": "Hi", "input": "", "output": "Hello"}),
        ("alpaca", {"instruction": "", "input": "Hi", "output": "Hello", "history": []}),
        ("prompt-completion", {"prompt": [HI], "completion": [HELLO]}),
    ],
)
def test_one_conversation_in_every_format(format: Format, values: dict[str, Any]) -> None:
    assert conversation(row(values), format) == CHAT


def test_alpaca_system_history_and_joined_input() -> None:
    values = {
        "instruction": "Add.",
        "input": "1 and 2",
        "output": "3",
        "system": "Be brief.",
        "history": [["Ready?", "Yes."]],
    }
    said = [
        (message.role, message.content) for message in conversation(row(values), "alpaca").messages
    ]
    assert said == [
        ("system", "Be brief."),
        ("user", "Ready?"),
        ("assistant", "Yes."),
        ("user", "Add.\n1 and 2"),
        ("assistant", "3"),
    ]


def test_sharegpt_system_column_and_tool_turns() -> None:
    turns = [
        {"from": "human", "value": "Hi"},
        {"from": "observation", "value": "{}"},
        {"from": "gpt", "value": "Hello"},
    ]
    example = conversation(row({"conversations": turns, "system": "S"}), "sharegpt")
    assert [message.role for message in example.messages] == ["system", "user", "tool", "assistant"]


def test_plain_strings_and_columns() -> None:
    example = conversation(
        row({"q": "Q:", "a": " A"}), "prompt-completion", {"prompt": "q", "completion": "a"}
    )
    assert example == Example("prompt-completion", prompt="Q:", completion=" A")
    assert conversation(row({"text": "T"}), "text") == Example("text", completion="T")


def test_completions_of_several_messages_keep_their_prompt() -> None:
    example = conversation(
        row({"prompt": [HI], "completion": [HELLO, HI, HELLO]}), "prompt-completion"
    )
    assert example.given == 1


def test_tool_calls_pass_through() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": {}}}
    turns = [
        HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "1"},
        HELLO,
    ]
    example = conversation(row({"messages": turns, "tools": '[{"name": "f"}]'}), "messages")
    assert example.tools == ({"name": "f"},)
    assert example.messages[1].native() == {
        "role": "assistant",
        "content": "",
        "tool_calls": [call],
    }


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ("Hi", "a list of messages is expected, not a text"),
        ([], "the conversation is empty"),
        ([HI], "the conversation ends with user, not with assistant"),
        ([HI, HELLO, HI], "the conversation ends with user, not with assistant"),
        (["Hi", HELLO], "message 1 is a text, not an object"),
        ([HI, {"role": "bot", "content": "x"}], "message 2 has the unknown role 'bot'"),
        ([HI, {"role": ["x"], "content": "x"}], "message 2 has the unknown role ['x']"),
        ([HI, {"content": "x"}], "message 2 has no role; it has content"),
        ([HI, {"role": "assistant", "content": None}], "message 2 has no content; it has role"),
        ([HI, {"role": "assistant", "content": " \n"}], "message 2 (assistant) is empty"),
        ([{"role": "user", "content": ""}, HELLO], "message 1 (user) is empty"),
        (
            [{"role": "user", "content": 3}, HELLO],
            "the content of message 1 is a number, a text is expected",
        ),
        (
            [{"role": "user", "content": [{"type": "image"}]}, HELLO],
            "the content of message 1 is a list, a text is expected",
        ),
        (
            [HI, {"role": "assistant", "content": "\ud83d"}],
            "the content of message 2 holds '\\ud83d', half of a character",
        ),
    ],
)
def test_conversations_that_cannot_be_trained_on(turns: Any, message: str) -> None:
    assert problem({"messages": turns}, "messages").message == message


@pytest.mark.parametrize(
    ("format", "values", "message"),
    [
        ("messages", {"messages": None}, "messages is null"),
        ("alpaca", {"instruction": "x"}, "output is missing; the row has instruction"),
        ("alpaca", {"instruction": "x", "output": 3}, "output is a number, a text is expected"),
        ("alpaca", {"instruction": "", "output": "y"}, "message 1 (user) is empty"),
        ("alpaca", {"instruction": "x", "output": ""}, "message 2 (assistant) is empty"),
        (
            "alpaca",
            {"instruction": "x", "output": "y", "history": "z"},
            "history is not a list of [instruction, output] pairs",
        ),
        ("prompt-completion", {"prompt": "x", "completion": ""}, "the completion is empty"),
        (
            "prompt-completion",
            {"prompt": "x", "completion": [HELLO]},
            "prompt and completion are both texts or both lists of messages",
        ),
        ("text", {"text": " "}, "the text is empty"),
        ("text", {"text": True}, "text is true or false, a text is expected"),
        (
            "messages",
            {"messages": [HI, HELLO], "tools": "x"},
            "tools is not a list of tool schemas, nor JSON of one",
        ),
    ],
)
def test_rows_that_cannot_be_trained_on(
    format: Format, values: dict[str, Any], message: str
) -> None:
    assert problem(values, format).message == message


def test_mixed_up_formats_are_told_apart() -> None:
    assert "format: messages" in problem({"conversations": [HI, HELLO]}, "sharegpt").hint
    turns = [{"from": "human", "value": "Hi"}]
    assert "format: sharegpt" in problem({"messages": turns}, "messages").hint
    call = {"from": "function_call", "value": "{}"}
    assert "tool_calls" in problem({"conversations": [call]}, "sharegpt").hint


def test_a_row_without_a_line_is_named_by_its_number() -> None:
    assert problem({"text": ""}, "text", line=0).message == "row 7: the text is empty"


TURN = {"from": "human", "value": "Why?"}
GOOD, BAD = {"from": "gpt", "value": "Because."}, {"from": "gpt", "value": "No."}
ASKED, SAID = [{"role": "user", "content": "Why?"}], [{"role": "assistant", "content": "Because."}]
REFUSED = [{"role": "assistant", "content": "No."}]
PAIRS: list[tuple[Format, dict[str, Any]]] = [
    ("preference", {"prompt": ASKED, "chosen": SAID, "rejected": REFUSED}),
    ("preference-implicit", {"chosen": ASKED + SAID, "rejected": ASKED + REFUSED}),
    ("sharegpt-ranking", {"conversations": [TURN], "chosen": GOOD, "rejected": BAD}),
    ("alpaca-ranking", {"instruction": "Why?", "chosen": "Because.", "rejected": "No."}),
]


@pytest.mark.parametrize(("format", "values"), PAIRS)
def test_a_pair_in_every_format(format: Format, values: dict[str, Any]) -> None:
    assert detect(values) == format
    pair = conversation(row(values), format)
    assert pair.rejected is not None and pair.given == pair.rejected.given == 1
    answers = [side.messages[-1].content for side in (pair, pair.rejected)]
    assert answers == ["Because.", "No."]
    assert [side.messages[0].content for side in (pair, pair.rejected)] == ["Why?", "Why?"]


def test_a_pair_of_texts() -> None:
    values = {"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5"}
    pair = conversation(row(values), "preference")
    assert pair.rejected is not None
    assert (pair.prompt, pair.completion, pair.rejected.completion) == ("2 + 2 =", " 4", " 5")


@pytest.mark.parametrize(
    ("format", "values", "message"),
    [
        (
            "preference",
            {"prompt": "x", "chosen": ASKED + SAID, "rejected": SAID},
            "prompt is a text",
        ),
        ("preference-implicit", {"chosen": "a b", "rejected": "a c"}, "not both lists"),
        ("preference-implicit", {"chosen": SAID, "rejected": REFUSED}, "no prompt"),
        ("sharegpt-ranking", {"conversations": "x", "chosen": GOOD, "rejected": BAD}, "a list"),
        ("sharegpt-ranking", {"conversations": [TURN], "chosen": GOOD, "rejected": TURN}, "ends"),
        ("alpaca-ranking", {"instruction": "x", "chosen": "y", "rejected": ""}, "is empty"),
    ],
)
def test_what_is_no_pair(format: Format, values: dict[str, Any], message: str) -> None:
    assert message in problem(values, format).message
