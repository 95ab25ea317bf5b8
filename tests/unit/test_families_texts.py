"""Rows whose texts a spec writes: the statements of a script write what ftspec itself writes."""

from __future__ import annotations

import pytest
from hypothesis import given

from ftspec.data.written import written
from ftspec.errors import DataError
from ftspec.families.rows.shapes import (
    WRITTEN,
)
from ftspec.spec.data import Written
from tests.unit.fake_datasets import letters
from tests.unit.spec_basics import words
from tests.unit.test_families_datasets import run, script, source


@given(words(), words())
def test_texts_write_what_ftspec_writes(asked: str, said: str) -> None:
    """The script's own statements, executed, beside the data floor: the same texts of the same row."""
    texts = {"prompt": f"{asked}: {{{{ question }}}}\n", "completion": "{{ answer }}"}
    made = source(path="a.json", format="prompt-completion", template=texts)
    row = {"question": said, "answer": "{{ 7 * 7 }}<end>", "other": 1}
    try:
        example = written(Written(**texts), row)
    except DataError:
        return  # a text that is no Jinja
    text = script("train", made, shape=WRITTEN, limit=1000)
    (found,) = run(text, "train", [row]).rows
    prompt, completion = (letters(part) for part in (example.prompt, example.completion))
    assert found["input_ids"] == prompt + completion
    assert found["completion_mask"] == [0] * len(prompt) + [1] * len(completion)
    assert example.completion == "{{ 7 * 7 }}<end>"  # a value is no template, and ends once


@given(words(), words())
def test_texts_write_the_pairs_that_ftspec_writes(asked: str, said: str) -> None:
    texts = {
        "prompt": f"{asked}: {{{{ question }}}}\n",
        "chosen": "{{ a }}.",
        "rejected": "{{ b }}",
    }
    row = {"question": said, "a": "{{ 7 * 7 }}", "b": "<end>", "other": 1}
    try:
        example = written(Written(**texts), row)
    except DataError:
        return  # a text that is no Jinja
    made = source(path="a.json", format="preference", template=texts)
    (found,) = run(script("train", made, shape="preference"), "train", [row]).rows
    answers = {"chosen": "{{ 7 * 7 }}.", "rejected": "<end>"}
    assert found == {"prompt": example.prompt, **answers}
    assert example.rejected is not None
    assert (example.completion, example.rejected.completion) == tuple(answers.values())


@pytest.mark.parametrize(("good", "label"), [("True", True), ("False", False)])
def test_texts_write_the_judgements_that_ftspec_writes(good: str, label: bool) -> None:
    texts = {"prompt": "{{ q }}", "completion": "{{ a }}", "label": "{{ good }}"}
    row = {"q": "Q", "a": "A", "good": good}
    made = source(path="a.json", format="unpaired", template=texts)
    text = script("train", made, shape="unpaired")
    (found,) = run(text, "train", [row]).rows
    assert found == {"prompt": "Q", "completion": "A", "label": label}
    assert written(Written(**texts), row).label is label
    with pytest.raises(KeyError):
        run(text, "train", [{**row, "good": 1}])


@pytest.mark.parametrize("before", [{}, {"system": "Be {{ 6 * 7 }}."}])
@given(asked=words(), said=words())
def test_texts_write_the_turns_that_ftspec_writes(
    before: dict[str, str], asked: str, said: str
) -> None:
    texts = {**before, "user": f"{asked}: {{{{ question }}}}\n", "assistant": "{{ answer }}"}
    row = {"question": said, "answer": "{{ 7 * 7 }}", "other": 1}
    try:
        example = written(Written(**texts), row)
    except DataError:
        return  # a text that is no Jinja
    turns = [message.native() for message in example.messages]
    assert [turn["role"] for turn in turns] == [*before, "user", "assistant"]
    assert turns[-1]["content"] == "{{ 7 * 7 }}"
    assert not before or turns[0]["content"] == "Be 42."
    made = source(path="a.json", template=texts)
    (found,) = run(script("train", made, shape="messages"), "train", [row]).rows
    assert found == {"messages": turns}
    (found,) = run(script("train", made, shape="prompt-completion"), "train", [row]).rows
    assert found == {"prompt": turns[:-1], "completion": turns[-1:]}


@given(asked=words(), said=words())
def test_a_text_is_the_one_that_ftspec_writes(asked: str, said: str) -> None:
    texts = {"text": f"{asked}: {{{{ question }}}}\n"}
    row = {"question": said, "other": 1}
    try:
        example = written(Written(**texts), row)
    except DataError:
        return  # a text that is no Jinja
    made = source(path="a.json", format="text", template=texts)
    (found,) = run(script("train", made, shape="text"), "train", [row]).rows
    assert found == {"text": example.completion}
