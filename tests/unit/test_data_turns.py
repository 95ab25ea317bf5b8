"""What of a trained turn counts: all that is written of it, what it says with its end, or only that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.data.example import Example, Message
from ftspec.data.template import Template
from ftspec.data.tokenise import IGNORED, TrainOn, encode
from ftspec.data.tokenizer import load_tokenizer
from ftspec.data.turns import TurnPart, turns_of
from ftspec.errors import DataError, SpecError
from tests.conftest import SPECS

TOKENS = load_tokenizer(SPECS / "tiny-model")
TEMPLATE = Template(
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' %}{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}"
    "{% endif %}{{ m.content | trim + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    TOKENS.special,
)
CHAT = Example(
    "chat",
    (
        Message("system", "Be brief."),
        Message("user", "One?"),
        Message("assistant", "Two. "),
        Message("user", "Three?"),
        Message("assistant", "Four.", {"reasoning_content": "Hm, 3"}),
    ),
    4,
)


def trained(
    part: TurnPart,
    train_on: TrainOn = "assistant",
    ends: tuple[str, ...] = (),
    chat: Example = CHAT,
    flag: str | None = None,
) -> list[str]:
    """The trained stretches, as text."""
    turns = turns_of(part, ends, TOKENS, TEMPLATE, flag)
    row = encode(chat, tokens=TOKENS, template=TEMPLATE, train_on=train_on, turns=turns)
    runs: list[list[int]] = [[]]
    for label in row.labels:
        if label == IGNORED:
            runs.append([])
        else:
            runs[-1].append(label)
    return [TOKENS.tokenizer.decode(run, skip_special_tokens=False) for run in runs if run]


THOUGHT = "Hm, 3\n</think>\n\nFour."


@pytest.mark.parametrize(
    ("part", "train_on", "expected"),
    [
        ("said", "completions", [THOUGHT]),
        ("said", "assistant", ["Two.", THOUGHT]),
        ("said", "all", ["Be brief.", "One?", "Two.", "Three?", THOUGHT]),
        ("ended", "completions", [f"{THOUGHT}<|im_end|>"]),
        ("ended", "assistant", ["Two.<|im_end|>", f"{THOUGHT}<|im_end|>"]),
        (
            "ended",
            "all",
            [f"{text}<|im_end|>" for text in ("Be brief.", "One?", "Two.", "Three?", THOUGHT)],
        ),
    ],
)
def test_which_text_is_trained(part: TurnPart, train_on: TrainOn, expected: list[str]) -> None:
    assert trained(part, train_on) == expected


def test_all_that_is_written_has_the_thoughts_that_are_not_there() -> None:
    assert trained("written")[0] == "<think>\n\n</think>\n\nTwo.<|im_end|>\n"


def test_another_token_ends_turns_too() -> None:
    assert trained("ended", ends=("\n",))[0] == "Two.<|im_end|>\n"


def test_a_turn_without_words_counts_nowhere() -> None:
    silent = Example("chat", (*CHAT.messages[:4], Message("assistant", "")), 4)
    assert trained("ended", chat=silent) == ["Two.<|im_end|>"]


def flagged(*words: Any) -> Example:
    """The chat, of which the turns say these words."""
    turns = zip(CHAT.messages, words, strict=True)
    marked = (replace(one, extra={**one.extra, "train": word}) for one, word in turns)
    return replace(CHAT, messages=tuple(marked))


@pytest.mark.parametrize(
    ("words", "train_on", "expected"),
    [
        ((None, None, False, None, None), "assistant", [THOUGHT]),
        ((None, True, None, None, False), "assistant", ["One?", "Two."]),
        ((False, None, None, None, None), "all", ["One?", "Two.", "Three?", THOUGHT]),
        ((None, None, True, None, None), "completions", ["Two.", THOUGHT]),
    ],
)
def test_a_turn_says_whether_it_trains(
    words: tuple[Any, ...], train_on: TrainOn, expected: list[str]
) -> None:
    chat = flagged(*words)
    assert trained("said", train_on, chat=chat, flag="train") == expected
    assert trained("said", train_on, chat=chat) == trained("said", train_on), "no key, no flag"


def test_a_template_sees_no_flag() -> None:
    loud = Template(TEMPLATE.source + "{% if messages[0].train %}!{% endif %}", TEMPLATE.special)
    turns = turns_of("said", (), TOKENS, loud, "train")
    chat = flagged(True, None, None, None, None)
    row = encode(chat, tokens=TOKENS, template=loud, train_on="all", turns=turns)
    assert not TOKENS.tokenizer.decode(row.input_ids).endswith("!")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((False,) * 5, "none of its turns trains"),
        ((None, None, 1, None, None), "train of message 3 is 1, true or false is expected"),
    ],
)
def test_flags_that_train_nothing_stop_a_run(words: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        trained("said", chat=flagged(*words), flag="train")


@pytest.mark.parametrize(
    ("ends", "template", "message"),
    [
        (("<end_of_turn>",), TEMPLATE, "tokens of this tokenizer"),
        (("<|endoftext|>",), TEMPLATE, "the chat template writes no"),
    ],
)
def test_what_ends_no_turn_is_refused(
    ends: tuple[str, ...], template: Template, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        turns_of("ended", ends, TOKENS, template)
    assert caught.value.problems[0].path == "data.turn_ends"


def test_where_no_token_ends_turns_it_is_said() -> None:
    nameless: Any = type("Nameless", (), {"named_id": lambda _self, _name: None})()
    with pytest.raises(SpecError, match="names no eos_token"):
        turns_of("ended", (), nameless, TEMPLATE)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4), st.sampled_from(("ended", "said")))
def test_no_token_counts_that_is_not_written_of_the_turn(texts: list[str], part: TurnPart) -> None:
    messages = [
        Message(role, text)
        for text in texts
        for role, text in (("user", "So?"), ("assistant", f"a{text}"))
    ]
    chat = Example("chat", tuple(messages), len(messages) - 1)
    rows = [
        encode(chat, tokens=TOKENS, template=TEMPLATE, train_on="assistant", turns=turns)
        for turns in (
            turns_of(part, (), TOKENS, TEMPLATE),
            turns_of("written", (), TOKENS, TEMPLATE),
        )
    ]
    assert rows[0].input_ids == rows[1].input_ids
    assert 0 < rows[0].trained < rows[1].trained
    for one, whole in zip(rows[0].labels, rows[1].labels, strict=True):
        assert one in (IGNORED, whole)
