"""What a script makes of its rows: the template that is read writes what its function writes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ftspec.data.written import written
from ftspec.errors import DataError
from ftspec.port.scripts.formatting import Rows, rows_of
from ftspec.spec.data import Written
from tests.port.conftest import Bring, fate

END = "<end>"
FUNCTIONS = {
    "one row, a text": "def function(row):\n    return {'text': f\"Q: {row['q']}\\nA: {row['a']}\"}\n",
    "one row, a column set": "def function(row):\n    row['text'] = row['q'] + ' {x} ' + row['a']\n"
    "    return row\n",
    "a lambda": "function = lambda row: {'text': '{} {{}} {}'.format(row['q'], row['a'])}\n",
    "fields by number": "def function(row):\n    return {'text': '{1} {0} {1}'.format(row['q'], row['a'])}\n",
    "fields by name": "form = 'Q: {one}, {two}'\n"
    "def function(row):\n    return {'text': form.format(two=row['q'], one=row['a'])}\n",
    "turns": "def function(row):\n    return {'messages': [\n"
    "        {'role': 'system', 'content': 'Be {{brief}}.'},\n"
    "        {'role': 'user', 'content': row['q']},\n"
    "        {'role': 'assistant', 'content': '{% if a %}' + row['a']},\n    ]}\n",
}
MANY = {
    "zipped": "prompt = '### {}\\n'\nEOS = tokenizer.eos_token\n"
    "def function(rows):\n    questions = rows['q']\n    answers = rows['a']\n    texts = []\n"
    "    for q, a in zip(questions, answers):\n"
    "        text = prompt.format(q) + a + EOS\n        texts.append(text)\n    return {'text': texts,}\n",
    "counted": "def function(rows):\n    texts = []\n    for i in range(len(rows['q'])):\n"
    "        texts.append(f\"{rows['q'][i]} -> {rows['a'][i]}\")\n    return {'text': texts}\n",
    "a list of all": "def function(rows):\n    return {'text': [q + '!' for q in rows['q']]}\n",
}
APPLIED = "rows = rows.map(function)\ntrainer = SFTTrainer(train_dataset=rows)\n"
ALL = {**FUNCTIONS, **MANY}


def applied(name: str) -> str:
    return ALL[name] + APPLIED.replace("function)", f"function, batched={name in MANY})")


def single(rows: Rows) -> Any:
    (found,) = rows.written.values()
    return found


@pytest.mark.parametrize("name", sorted(ALL))
@given(q=st.text(max_size=20), a=st.text(min_size=1, max_size=20))
def test_the_template_writes_what_the_function_writes(name: str, q: str, a: str) -> None:
    """The function itself, executed by this test, beside the template that was read of it."""
    names: dict[str, Any] = {"tokenizer": SimpleNamespace(eos_token=END)}
    exec(ALL[name], names)  # noqa: S102 - functions of this file
    row = {"q": q, "a": a}
    given = {key: [value] for key, value in row.items()} if name in MANY else row
    made = names["function"](dict(given))
    found = single(rows_of(applied(name)))
    try:
        example = written(Written.model_validate(found.said), row)
    except DataError:
        assume(False)  # an empty answer: nothing is learned of it
    value = made[found.into][0] if name in MANY else made[found.into]
    if found.kind == "turns":
        assert [turn.native() for turn in example.messages] == value
    else:
        assert example.completion + (END if found.ended else "") == value


NOT_UNDERSTOOD = {
    "it asks": "def function(row):\n    if row['a']:\n        return {'text': row['q']}\n"
    "    return {'text': 'x'}\n",
    "it chooses": "def function(row):\n    return {'text': row['q'] if row['a'] else 'x'}\n",
    "it cuts": "def function(row):\n    return {'text': row['q'][:10]}\n",
    "it strips": "def function(row):\n    return {'text': row['q'].strip()}\n",
    "it formats": "def function(row):\n    return {'text': f\"{row['q']:>10}\"}\n",
    "it shows": "def function(row):\n    return {'text': f\"{row['q']!r}\"}\n",
    "it calls": "def function(row):\n    return {'text': clean(row['q'])}\n",
    "an end within": "def function(row):\n    return {'text': row['q'] + tokenizer.eos_token + row['a']}\n",
    "two columns": "def function(row):\n    return {'text': row['q'], 'label': row['a']}\n",
    "a name that changes": "x = 'a'\nx = 'b'\ndef function(row):\n    return {'text': x + row['q']}\n",
    "a name that grows": "x = 'a'\nx += 'b'\ndef function(row):\n    return {'text': x + row['q']}\n",
    "defined twice": "def function(row):\n    return {'text': row['q']}\ndef function(row):\n    return {}\n",
    "decorated": "@cached\ndef function(row):\n    return {'text': row['q']}\n",
    "a column of no name": "def function(row):\n    return {'text': row['the question']}\n",
    "many turns": "def function(row):\n"
    "    return {'messages': [{'role': 'user', 'content': row['q']}] * 2}\n",
    "a question alone": "def function(row):\n"
    "    return {'messages': [{'role': 'user', 'content': row['q']}]}\n",
    "an answer begun": "def function(row):\n    return {'text': tokenizer.apply_chat_template("
    "row['q'], tokenize=False, add_generation_prompt=True)}\n",
    "ids": "def function(row):\n    return {'text': tokenizer.apply_chat_template(row['q'])}\n",
}


@pytest.mark.parametrize("name", sorted(NOT_UNDERSTOOD))
def test_what_is_not_understood_stays_a_question(name: str, read: Bring) -> None:
    text = NOT_UNDERSTOOD[name] + APPLIED
    assert rows_of(text) == Rows()
    start = (
        'from trl import SFTConfig, SFTTrainer\nrows = load_dataset("org/rows", split="train")\n'
    )
    script = start + text.replace(
        "train_dataset", 'model="org/model", args=SFTConfig(), train_dataset'
    )
    asked = read(script, "train.py").composed.open
    assert any("rows = rows.map(function)" in one for one in asked)


def test_one_row_is_not_many() -> None:
    """A function of one row that `map` hands many: the script would not do what it says."""
    for name, other in (("zipped", False), ("a lambda", True)):
        text = ALL[name] + APPLIED.replace("function)", f"function, batched={other})")
        assert rows_of(text).written == {}


def test_other_rows_are_told_apart() -> None:
    text = FUNCTIONS["one row, a text"] + "test = test.map(function)\n" + APPLIED
    rows = rows_of(text)
    assert len(rows.lines) == 2  # the same is done to both
    other = (
        FUNCTIONS["one row, a text"] + "test = test.map(function)\nSFTTrainer(train_dataset=rows)\n"
    )
    assert rows_of(other) == Rows()


DRAWN = [
    ("rows.select(range(100))", {"select": 100}),
    ("rows.shuffle(seed=3)", {"shuffle": 3}),
    ("rows.shuffle()", {"shuffle": None}),
    ("rows.take(9)", {"select": 9}),
    ("rows.select(range(min(len(rows), NINE)))", {"select": 9}),
    ("rows.shuffle(seed=3).select(range(NINE))", {"shuffle": 3, "drawn": 9}),
    ("rows.select(range(100)).shuffle(seed=3)", {"select": 100, "shuffle": 3}),
    ('rows.train_test_split(test_size=0.1)["train"]', {"test_size": 0.1}),
    ('rows.train_test_split(train_size=0.1)["train"]', {"train_size": 0.1}),
    ("rows.train_test_split(20, seed=3)", {"test_size": 20, "seed": 3}),
    (
        "rows.shuffle(seed=3).train_test_split(test_size=0.1)",
        {"shuffle": 3, "test_size": 0.1},
    ),
    ('rows.remove_columns(["id"])', {}),
]
NOT_DRAWN = [
    "rows.shuffle(rows)", "rows.shuffle(seed=seed)", "rows.shuffle(seed=3).select(range(1))",
    "rows.select(range(10, 20))", "rows.select([1, 2])",
    "rows.filter(lambda row: row['q'])", "rows.train_test_split(train_size=0.1, seed=3)",
    "rows.train_test_split(test_size=0.1, shuffle=False)", "rows.train_test_split()",
    "rows.train_test_split(test_size=0.1, stratify_by_column='q')", "rows.select(range(n))",
]  # fmt: skip


@pytest.mark.parametrize(("steps", "said"), DRAWN)
def test_which_rows_train(steps: str, said: dict[str, Any]) -> None:
    rows = rows_of(f"rows = {steps}\nSFTTrainer(train_dataset=rows)\nNINE = 9\n")
    assert {key: value for key, (value, _) in rows.drawn.items()} == said
    assert rows.lines == {1}


@pytest.mark.parametrize("steps", [*NOT_DRAWN, "rows.shuffle(seed=3).select(range(size))"])
def test_rows_that_a_spec_cannot_name(steps: str) -> None:
    assert rows_of(f"rows = {steps}\nSFTTrainer(train_dataset=rows)\n").lines == set()


def test_two_seeds_are_no_draw() -> None:
    steps = "rows.shuffle(seed=3).train_test_split(test_size=0.1, seed=4)"
    assert rows_of(f"rows = {steps}\nSFTTrainer(train_dataset=rows)\n").lines == set()


NOTEBOOK = """\
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
from unsloth import FastLanguageModel
from unsloth.chat_templates import standardize_sharegpt, train_on_responses_only
model, tokenizer = FastLanguageModel.from_pretrained("org/model", max_seq_length=512)
model = FastLanguageModel.get_peft_model(model)
FUNCTION
rows = load_dataset("org/rows", split="train")
rows = rows.map(function, batched=True)
trainer = SFTTrainer(
    model=model, train_dataset=rows, dataset_text_field="text", args=SFTConfig(max_steps=5),
    data_collator=DataCollatorForSeq2Seq(tokenizer=tokenizer),
)
ANSWERS
trainer.train()
"""
ANSWERS = "trainer = train_on_responses_only(trainer)"


def test_some_of_the_shuffled_rows(read: Bring) -> None:
    text = NOTEBOOK.replace("rows = rows.map", "rows = rows.shuffle(seed=7).select(range(200)).map")
    text = text.replace("FUNCTION", MANY["zipped"]).replace(
        "    data_collator", "#   data_collator"
    )
    values = read(text.replace("ANSWERS", ""), "train.py").composed.values
    assert values["data.train"][0]["share"] == 200
    assert values["data.draw_seed"] == 7
    assert values.get("data.mixed", False) is False


def test_a_text_of_a_notebook_is_continued_pre_training(read: Bring) -> None:
    text = NOTEBOOK.replace("FUNCTION", MANY["zipped"]).replace(
        "    data_collator", "#   data_collator"
    )
    found = read(text.replace("ANSWERS", ""), "train.py")
    assert found.composed.open == ()
    values = found.composed.values
    assert values["method.objective.type"] == "cpt"
    assert values["data.train"][0]["template"] == {"text": "### {{ q }}\n{{ a }}"}
    assert fate(found, "formatting.text")[0] == fate(found, "formatting.ended")[0] == "derived"
    bare = text.replace(" + EOS", "").replace("ANSWERS", "")
    assert fate(read(bare, "train.py"), "formatting.text")[0] == "approximated"
    cut = read(text.replace("ANSWERS", ANSWERS), "train.py")
    assert any("data.train.template what is the prompt" in one for one in cut.composed.open)


def test_conversations_of_a_notebook(read: Bring) -> None:
    made = (
        "def function(rows):\n    return {'text': [tokenizer.apply_chat_template(one, tokenize=False)"
        " for one in rows['talk']]}\n"
    )
    found = read(NOTEBOOK.replace("FUNCTION", made).replace("ANSWERS", ANSWERS), "train.py")
    assert found.composed.open == ()
    source = found.composed.values["data.train"][0]
    assert (source["format"], source["columns"]) == ("messages", {"messages": "talk"})
    assert found.composed.values["data.train_on"] == "assistant"
    for name in ("standardize_sharegpt", "standardize_data_formats"):
        cut = made.replace("tokenize=False)", "tokenize=False).removeprefix('<bos>')")
        shared = NOTEBOOK.replace("FUNCTION", cut)
        shared = shared.replace("rows = rows.map", f"rows = {name}(rows)\nrows = rows.map")
        found = read(shared.replace("ANSWERS", ANSWERS), "train.py")
        (source,) = found.composed.values["data.train"]
        assert (source["format"], source["columns"]) == ("sharegpt", {"conversations": "talk"})
        assert found.composed.open == ()
    # of rows without labels, that collator makes none: nothing would train
    bare = read(NOTEBOOK.replace("FUNCTION", made).replace("ANSWERS", ""), "train.py")
    assert any("data_collator" in one for one in bare.composed.open)
