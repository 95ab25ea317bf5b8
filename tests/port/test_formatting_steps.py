"""Functions of a script that write rows one after the other, or are handed more than a row."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_formatting import ANSWERS, NOTEBOOK

TURNS = """\
def turns(row):
    return {"talk": [{"role": "user", "content": row["q"]}, {"role": "assistant", "content": row["a"]}]}
rows = load_dataset("org/rows", split="train")
rows = rows.map(turns)
"""
RENDERED = """\
def function(rows):
    return {"text": [tokenizer.apply_chat_template(one, tokenize=False) for one in rows["talk"]]}
"""
WRITTEN = {"user": "{{ q }}", "assistant": "{{ a }}"}


def notebook(functions: str) -> str:
    once = NOTEBOOK.replace('rows = load_dataset("org/rows", split="train")\n', "")
    return once.replace("FUNCTION", functions).replace("ANSWERS", ANSWERS)


def test_turns_that_a_second_function_renders(read: Bring) -> None:
    found = read(notebook(TURNS + RENDERED), "train.py")
    assert found.composed.open == ()
    assert found.composed.values["data.train"][0]["template"] == WRITTEN


def test_turns_of_many_rows_that_one_function_renders(read: Bring) -> None:
    both = """\
rows = load_dataset("org/rows", split="train")
def function(rows):
    talks = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}]
             for q, a in zip(rows["q"], rows["a"])]
    return {"text": [tokenizer.apply_chat_template(talk, tokenize=False) for talk in talks]}
"""
    found = read(notebook(both), "train.py")
    assert found.composed.open == ()
    assert found.composed.values["data.train"][0]["template"] == WRITTEN


def test_a_column_that_nobody_reads_stays_a_question(read: Bring) -> None:
    other = RENDERED.replace('rows["talk"]', 'rows["messages"]')
    found = read(notebook(TURNS + other), "train.py")
    assert any("rows.map(turns)" in one for one in found.composed.open)


HANDED = {
    "by fn_kwargs": "rows = rows.map(write, fn_kwargs={'tok': tokenizer})",
    "by a lambda": "rows = rows.map(lambda row: write(row, tokenizer))",
}
WRITE = """\
def write(row, tok):
    text = tok.apply_chat_template(row["talk"], tools=row["tools"], tokenize=False, enable_thinking=False)
    return {"text": text}
"""


@pytest.mark.parametrize("name", HANDED)
def test_a_function_that_is_handed_a_tokenizer(read: Bring, name: str) -> None:
    start = 'rows = load_dataset("org/rows", split="train")\n'
    script = notebook(start + WRITE).replace(
        "rows = rows.map(function, batched=True)", HANDED[name]
    )
    found = read(script, "train.py")
    assert found.composed.open == ()
    (source,) = found.composed.values["data.train"]
    assert (source["format"], source["columns"]) == (
        "messages",
        {"messages": "talk", "tools": "tools"},
    )
    assert found.composed.values["model.template_options"] == {"enable_thinking": False}
    assert fate(found, "formatting.options.enable_thinking")[0] == "derived"


@pytest.mark.parametrize(
    "made",
    [
        "rows = rows.map(write, fn_kwargs={'tok': tokenizer, 'more': 5})",
        "rows = rows.map(write, fn_kwargs=given)",
        "rows = rows.map(lambda row: write(row, 'tok'))",
        "rows = rows.map(lambda row: write(tokenizer, row))",
    ],
)
def test_what_is_handed_otherwise_stays_a_question(read: Bring, made: str) -> None:
    start = 'rows = load_dataset("org/rows", split="train")\n'
    script = notebook(start + WRITE).replace("rows = rows.map(function, batched=True)", made)
    assert any("rows.map(" in one for one in read(script, "train.py").composed.open)


JOINED = """\
from datasets import concatenate_datasets, load_dataset
from trl import SFTConfig, SFTTrainer
a = load_dataset("org/a", split="train")
b = load_dataset("org/b")["train"]
rows = concatenate_datasets([a, b])
trainer = SFTTrainer(model="org/model", args=SFTConfig(), train_dataset=rows)
trainer.train()
"""
FORMAT = "data.train: which format"


@pytest.mark.parametrize("shuffled", [True, False])
def test_data_sets_that_are_joined(read: Bring, shuffled: bool) -> None:
    text = JOINED.replace("[a, b])", "[a, b]).shuffle(seed=5)") if shuffled else JOINED
    found = read(text, "train.py")
    assert [one["hub"] for one in found.composed.values["data.train"]] == ["org/a", "org/b"]
    assert found.composed.values.get("data.mixed", False) is shuffled
    assert all(one.startswith(FORMAT) for one in found.composed.open)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[a, b]", "[b, a]"),
        ("[a, b]", "[a]"),
        ("[a, b]", "[a, b.select(range(5))]"),
        ("rows = ", "b = b.map(write)\nrows = "),
        ('split="train")', 'split="train").filter(good)'),
        ("train_dataset=rows", "train_dataset=a"),
    ],
)
def test_data_sets_that_are_joined_otherwise(read: Bring, old: str, new: str) -> None:
    found = read(JOINED.replace(old, new), "train.py")
    asked = [one for one in found.composed.open if not one.startswith(FORMAT)]
    alone = [one["hub"] for one in found.composed.values["data.train"]] == ["org/a"]
    assert asked or alone


def test_an_answer_ends_with_the_end_of_text_anyway(read: Bring) -> None:
    text = """\
from datasets import load_dataset
from trl import ORPOConfig, ORPOTrainer
end = tokenizer.eos_token
def pair(row):
    row["prompt"] = "Q: " + row["q"]
    row["chosen"] = row["good"] + end
    row["rejected"] = row["bad"] + end
    return row
rows = load_dataset("org/rows", split="train").map(pair)
trainer = ORPOTrainer(model="org/model", args=ORPOConfig(), train_dataset=rows)
trainer.train()
"""
    found = read(text, "train.py")
    assert found.composed.values["data.train"][0]["template"] == {
        "prompt": "Q: {{ q }}",
        "chosen": "{{ good }}",
        "rejected": "{{ bad }}",
    }
    middle = read(text.replace('"Q: " + row["q"]', 'row["q"] + end'), "train.py")
    assert any("load_dataset" in one for one in middle.composed.open)
