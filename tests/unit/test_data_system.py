"""A system prompt for conversations that begin with none; rows that hold more than text."""

from __future__ import annotations

import pytest

from ftspec.data.conversation import chat, with_system
from ftspec.data.example import Example, Message
from ftspec.data.formats import conversation
from ftspec.data.sources import Row
from ftspec.errors import DataError

ASKED, SAID = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}


def test_it_stands_first_and_belongs_to_the_prompt() -> None:
    given = chat([ASKED, SAID])
    whole = with_system(given, "Be brief.")
    assert whole.messages == (Message("system", "Be brief."), *given.messages)
    assert whole.given == given.given + 1


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_conversation_keeps_its_own(role: str) -> None:
    given = chat([{"role": role, "content": "Be long."}, ASKED, SAID])
    assert with_system(given, "Be brief.") == given


def test_nothing_else_gets_one() -> None:
    plain = Example("prompt-completion", prompt="x", completion="y")
    assert with_system(plain, "Be brief.") == plain
    assert with_system(chat([ASKED, SAID]), None) == chat([ASKED, SAID])


@pytest.mark.parametrize("column", ["image", "images", "audio", "audios", "video", "videos"])
def test_other_than_text_is_out_of_scope(column: str) -> None:
    row = Row(2, 3, {"messages": [ASKED, SAID], column: ["a.png"]}, "rows.jsonl")
    with pytest.raises(DataError) as caught:
        conversation(row, "messages")
    (problem,) = caught.value.problems
    assert problem.message == f"the row has {column}" and problem.line == 3
    assert ("model.images" if "image" in column else "out of scope") in problem.hint
    empty = Row(2, 3, {"messages": [ASKED, SAID], column: None}, "rows.jsonl")
    assert conversation(empty, "messages") == chat([ASKED, SAID])


def test_parts_of_a_message_are_out_of_scope() -> None:
    parts = [{"type": "image", "image": "a.png"}, {"type": "text", "text": "What is this?"}]
    with pytest.raises(DataError) as caught:
        chat([{"role": "user", "content": parts}, SAID])
    assert "audio and video are out of scope" in caught.value.problems[0].hint
