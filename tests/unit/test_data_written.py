"""Rows that a spec's texts write: what they print, and what stops a run."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ftspec.data.tokenise import encode
from ftspec.data.tokenizer import load_tokenizer
from ftspec.data.written import try_out, written
from ftspec.errors import DataError, SpecError
from ftspec.plan.resolve import resolve
from ftspec.spec.data import Source, Written
from ftspec.spec.load import load
from tests.conftest import SPECS

TEXTS = Written(
    prompt="\n  Q: {{ q }}\n{% if c is defined and c %}\nC: {{ c }}{% endif %}\n",
    completion="{{ a }}",
)


def test_every_character_of_a_text_is_printed() -> None:
    row: dict[str, Any] = {"q": "{{ 7 * 7 }}", "c": None, "a": " 4\n"}
    made = written(TEXTS, row)
    assert (made.prompt, made.completion) == ("\n  Q: {{ 7 * 7 }}\n\n", " 4\n")
    assert written(TEXTS, {**row, "c": "x"}).prompt == "\n  Q: {{ 7 * 7 }}\n\nC: x\n"
    assert written(TEXTS, {"q": 5, "a": "b"}).prompt == "\n  Q: 5\n\n"


@pytest.mark.parametrize(
    ("prompt", "completion", "words"),
    [
        ("{{ missing }}", "x", "prompt fails: 'missing' is undefined"),
        ("x", "{{ q.__class__ }}", "completion fails: access to attribute '__class__'"),
        ("{{ cycler.__init__.__globals__ }}", "x", "access to attribute"),
        ("x", "{% if false %}a{% endif %} ", "the completion is empty"),
        ("{% for n in range(10 ** 9) %}xxxxxxxx{% endfor %}", "x", "fails: Range too big"),
        ("{{ q.append(1) }}", "x", "prompt fails"),
    ],
)
def test_what_stops_a_run(prompt: str, completion: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        written(Written(prompt=prompt, completion=completion), {"q": [1]})


@pytest.mark.parametrize("text", ["{{ q", "{% if q %}", "{{ q }"])
def test_what_is_no_jinja_is_no_spec(text: str) -> None:
    with pytest.raises(ValidationError, match="not valid Jinja, in its line 1"):
        Written(prompt=text, completion="x")


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("{q}", ["{q}"]),
        ("{{ q }} {a}{b}\n{q}", ["{a}", "{q}"]),
        ("{{ '{q}' }}{{q}}{# {q} #}{% if q %}{}{ q }{% endif %}", []),
    ],
)
def test_a_column_in_single_braces_is_told(prompt: str, told: list[str]) -> None:
    texts = Written(prompt=prompt, completion="{{ a }}")
    found: list[str] = []
    try:
        try_out(texts, {"q": 1, "a": 2})
    except DataError as error:
        found = [problem.message.split()[6] for problem in error.problems]
    assert found == told


@pytest.mark.parametrize("train_on", ["completions", "all"])
def test_prompt_and_completion_are_tokenised_each_by_itself(train_on: Any) -> None:
    """As one text, a token would span both."""
    tokens = load_tokenizer(SPECS / "tiny-model")
    apart = written(Written(prompt="Say hel", completion="lo"), {})
    made = encode(apart, tokens=tokens, template=None, train_on=train_on)
    ids = [
        tokens.tokenizer.encode(text, add_special_tokens=False).ids for text in ("Say hel", "lo")
    ]
    end = tokens.named_id("eos_token")
    assert list(made.input_ids) == [*ids[0], *ids[1], end]
    assert made.input_ids[:-1] != tokens.tokenizer.encode("Say hello", add_special_tokens=False).ids
    trained = len(made.input_ids) - 1 if train_on == "all" else len(ids[1]) + 1
    assert made.trained == trained


def test_a_system_prompt_has_no_place() -> None:
    with pytest.raises(SpecError, match="no system prompt"):
        resolve(load(SPECS / "template.yaml", ("data.system=Be brief.",)))


def test_a_template_names_its_columns_itself() -> None:
    texts = {"prompt": "x", "completion": "y"}
    for more in ({"columns": {"prompt": "q"}}, {"format": "alpaca"}):
        with pytest.raises(ValidationError, match="names the columns itself"):
            Source.model_validate({"path": "a.jsonl", "template": texts, **more})


PAIR = Written(prompt="Q: {{ q }}\n", chosen="{{ good }}!", rejected="{{ bad }}")


def test_a_pair_is_a_prompt_with_either_answer() -> None:
    made = written(PAIR, {"q": "{{ 7 * 7 }}", "good": "yes", "bad": " no\n"})
    assert PAIR.format == "preference"
    assert (made.kind, made.prompt, made.completion) == (
        "prompt-completion",
        "Q: {{ 7 * 7 }}\n",
        "yes!",
    )
    assert made.rejected is not None
    assert (made.rejected.prompt, made.rejected.completion) == (made.prompt, " no\n")
    assert not made.apart and not made.rejected.apart, (
        "trl makes one text of a prompt and its answer"
    )
    with pytest.raises(DataError, match="the rejected answer is empty"):
        written(PAIR, {"q": 1, "good": 2, "bad": ""})


def test_a_label_prints_true_or_false() -> None:
    judged = Written(prompt="{{ q }}", completion="{{ a }}", label="{{ score > 3 }}")
    assert judged.format == "unpaired"
    assert [written(judged, {"q": 1, "a": 2, "score": n}).label for n in (3, 4)] == [False, True]
    bare = Written(prompt="{{ q }}", completion="{{ a }}", label="{{ good }}")
    with pytest.raises(DataError, match="the label is '1', True or False is expected"):
        written(bare, {"q": 1, "a": 2, "good": 1})


@pytest.mark.parametrize(
    "texts",
    [
        {"prompt": "x", "chosen": "y"},
        {"prompt": "x", "completion": "y", "chosen": "z", "rejected": "z"},
        {"prompt": "x", "chosen": "y", "rejected": "z", "label": "True"},
        {"user": "x", "assistant": "y", "rejected": "z"},
        {"text": "x", "label": "True"},
    ],
)
def test_texts_that_make_no_row(texts: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"a template has|says whether"):
        Written.model_validate(texts)


TURNS = Written(
    system="{% if c is defined and c %}With{% else %}Without{% endif %}",
    user="{{ q }}",
    assistant=" {{ a }}",
)


def test_turns_are_a_conversation() -> None:
    made = written(TURNS, {"q": "{{ 7 * 7 }}", "c": "x", "a": "4\n"})
    assert [(turn.role, turn.content) for turn in made.messages] == [
        ("system", "With"),
        ("user", "{{ 7 * 7 }}"),
        ("assistant", " 4\n"),
    ]
    assert (made.kind, made.given, made.apart) == ("chat", 2, False)
    plain = written(TURNS.model_copy(update={"system": None}), {"q": "q", "a": "a"})
    assert [turn.role for turn in plain.messages] == ["user", "assistant"]
    with pytest.raises(DataError, match=r"\(assistant\) is empty"):
        written(TURNS, {"q": "q", "a": ""})


def test_two_answers_to_the_turn_of_a_user() -> None:
    texts = {"system": "{{ s }}", "user": "{{ q }}", "chosen": "{{ a }}", "rejected": "no"}
    template = Written.model_validate(texts)
    assert template.format == "preference"
    made = written(template, {"s": "", "q": "why", "a": "because"})
    said = [(turn.role, turn.content) for turn in made.messages]
    # a system turn stands even where it says nothing
    assert said == [("system", ""), ("user", "why"), ("assistant", "because")]
    assert made.given == 2 and made.rejected is not None
    assert (
        made.rejected.messages[-1].content == "no"
        and made.rejected.messages[:2] == made.messages[:2]
    )
    with pytest.raises(DataError, match="the chosen answer is empty"):
        written(template, {"s": "", "q": "why", "a": " "})


def test_a_text_is_one_plain_text() -> None:
    tokens = load_tokenizer(SPECS / "tiny-model")
    made = written(Written(text="{{ q }}\n{{ a }}"), {"q": "{{ 7 * 7 }}", "a": "4"})
    assert (made.kind, made.completion) == ("text", "{{ 7 * 7 }}\n4")
    row = encode(made, tokens=tokens, template=None, train_on="assistant")
    ids = tokens.tokenizer.encode("{{ 7 * 7 }}\n4", add_special_tokens=False).ids
    assert list(row.input_ids) == [*ids, tokens.named_id("eos_token")]
    assert row.trained == len(ids)  # nothing predicts the first one
    with pytest.raises(DataError, match="the text is empty"):
        written(Written(text="{{ a }}"), {"a": " \n"})


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"text": "x", "completion": "y"}, "or one `text`"),
        ({"text": "x", "system": "y"}, "`system` is a turn"),
        ({"prompt": "x"}, r"or `prompt` \(or `user`\), `chosen` and `rejected`, or `user` and"),
        ({"prompt": "x", "user": "y", "chosen": "z", "rejected": "z"}, "or `prompt`"),
        ({"system": "w", "prompt": "x", "chosen": "z", "rejected": "z"}, "`system` is a turn"),
        ({"user": "x", "chosen": "y"}, "a `prompt` and a `completion`"),
        ({"user": "x"}, "a `prompt` and a `completion`, with a `label`"),
        ({"prompt": "x", "assistant": "y"}, "a `prompt` and a `completion`"),
        ({"prompt": "x", "completion": "y", "user": "z"}, "a `prompt` and a `completion`"),
        ({"prompt": "x", "completion": "y", "system": "z"}, "`system` is a turn"),
    ],
)
def test_texts_are_a_pair(texts: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Written.model_validate(texts)


def test_turns_may_have_a_system_prompt_of_the_spec() -> None:
    texts = 'data.train.template={user: "{{ instruction }}", assistant: "{{ output }}"}'
    found = resolve(load(SPECS / "template.yaml", (texts, "data.system=Be brief."))).values
    assert found["data.train"].value[0]["format"] == "messages"
    assert found["data.train_on"].value == "completions"
