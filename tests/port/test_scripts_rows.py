"""Which rows train by a script of trl's, and which of their tokens."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate

HEAD = """\
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DataCollatorForCompletionOnlyLM, SFTConfig, SFTTrainer
model = AutoModelForCausalLM.from_pretrained("org/model", torch_dtype="bfloat16")
tokenizer = AutoTokenizer.from_pretrained("org/model")
"""
TAIL = "trainer.train()\n"
TEXT = """\
def texts(rows):
    made = []
    for i in range(len(rows["q"])):
        made.append(f"### Q: {rows['q'][i]}\\n### A: {rows['a'][i]}")
    return made
"""


def script(rows: str, given: str, args: str = "") -> str:
    trainer = f"trainer = SFTTrainer(model, args=SFTConfig({args}), {given})\n"
    return HEAD + rows + trainer + TAIL


@pytest.mark.parametrize(
    ("rows", "given", "split"),
    [
        ('rows = load_dataset("org/rows")\n', 'train_dataset=rows["train_sft"]', "train_sft"),
        ('rows = load_dataset("org/rows", split="test")\n', "train_dataset=rows", "test"),
        ('part = "b"\nrows = load_dataset("org/rows")[part]\n', "train_dataset=rows", "b"),
        (
            'other = load_dataset("org/other", split="train")\nrows = load_dataset("org/rows", split="x")\n',
            "train_dataset=rows",
            "x",
        ),
    ],
)
def test_the_split_that_a_trainer_is_given(read: Bring, rows: str, given: str, split: str) -> None:
    found = read(script(rows, given), "train.py").composed.values["data.train"]
    assert [(one["hub"], one["split"]) for one in found] == [("org/rows", split)]


def test_rows_of_two_splits(read: Bring) -> None:
    rows = 'rows = load_dataset("org/rows")\n'
    given = 'train_dataset=rows["a"], eval_dataset=rows["b"]'
    values = read(script(rows, given, 'eval_strategy="epoch"'), "train.py").composed.values
    assert [one["split"] for one in values["data.train"]] == ["a"]
    assert [one["split"] for one in values["data.eval"]] == ["b"]


def test_files_of_two_splits(read: Bring) -> None:
    rows = 'rows = load_dataset("json", data_files={"train": "a.jsonl", "test": "b.jsonl"})\n'
    given = 'train_dataset=rows["train"], eval_dataset=rows["test"]'
    found = read(script(rows, given, 'eval_strategy="epoch"'), "train.py")
    assert [one["path"] for one in found.composed.values["data.train"]] == ["a.jsonl"]
    assert [one["path"] for one in found.composed.values["data.eval"]] == ["b.jsonl"]
    assert fate(found, "load_dataset.data_files.test")[0] == "derived"


def test_what_is_held_out_and_trains_is_a_question(read: Bring) -> None:
    rows = 'rows = load_dataset("org/rows", split="train").train_test_split(0.1, seed=1)\n'
    open_ones = read(script(rows, 'train_dataset=rows["test"]'), "train.py").composed.open
    assert any("holds out are those that train" in one for one in open_ones)
    open_ones = read(script(rows, 'train_dataset=rows["train"]'), "train.py").composed.open
    assert not any("holds out" in one for one in open_ones)


@pytest.mark.parametrize("column", ["text", "story"])
def test_a_column_of_texts(read: Bring, column: str) -> None:
    rows = 'rows = load_dataset("org/rows", split="train")\n'
    found = read(script(rows, "train_dataset=rows", f'dataset_text_field="{column}"'), "train.py")
    (source,) = found.composed.values["data.train"]
    assert (source["format"], source["columns"]) == (
        "text",
        {} if column == "text" else {"text": column},
    )
    assert found.composed.values["method.objective.type"] == "cpt"
    mapped = script(
        rows + "rows = rows.map(f)\n", "train_dataset=rows", 'dataset_text_field="text"'
    )
    assert read(mapped, "train.py").composed.values["data.train"][0]["format"] == "auto"
    turns = script(rows, "train_dataset=rows", 'dataset_text_field="messages"')
    assert read(turns, "train.py").composed.values["data.train"][0]["format"] == "auto"


ROWS = 'rows = load_dataset("org/rows", split="train")\n'


def test_a_collator_cuts_a_text(read: Bring) -> None:
    made = ROWS + TEXT + 'made = DataCollatorForCompletionOnlyLM("### A:", tokenizer=tokenizer)\n'
    given = "train_dataset=rows, formatting_func=texts, data_collator=made"
    found = read(script(made, given), "train.py")
    (source,) = found.composed.values["data.train"]
    assert source["template"] == {"prompt": "### Q: {{ q }}\n### A:", "completion": " {{ a }}"}
    assert found.composed.values["data.train_on"] == "completions"
    assert fate(found, "DataCollatorForCompletionOnlyLM.0")[0] == "approximated"
    unused = read(script(made, given.replace(", data_collator=made", "")), "train.py")
    assert fate(unused, "DataCollatorForCompletionOnlyLM.0")[0] == "inert"
    assert unused.composed.values["method.objective.type"] == "cpt"


@pytest.mark.parametrize(
    ("pieces", "trains"),
    [
        ('response_template="<|im_start|>assistant"', "completions"),
        (
            'response_template="<|im_start|>assistant\\n", instruction_template="<|im_start|>user"',
            "assistant",
        ),
    ],
)
def test_a_collator_of_conversations(read: Bring, pieces: str, trains: str) -> None:
    made = (
        ROWS + f"made = DataCollatorForCompletionOnlyLM({pieces}, tokenizer=tokenizer, mlm=False)\n"
        "rows = rows.map(lambda row: {'text': tokenizer.apply_chat_template(row['messages'], "
        "tokenize=False)})\n"
    )
    found = read(script(made, "train_dataset=rows, data_collator=made"), "train.py")
    assert found.composed.values["data.train_on"] == trains
    assert found.composed.values["data.train"][0]["format"] == "messages"


def test_a_collator_that_finds_no_answer_is_a_question(read: Bring) -> None:
    made = ROWS + 'made = DataCollatorForCompletionOnlyLM("### A:", tokenizer=tokenizer)\n'
    given = "train_dataset=rows, data_collator=made"
    found = read(script(made, given, 'dataset_text_field="text"'), "train.py")
    assert not found.faithful
    assert any("data.train.template" in one for one in found.composed.open)
    assert fate(found, "DataCollatorForCompletionOnlyLM.0")[0] == "unknown"


PAIRS = """\
from datasets import load_dataset
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer
FUNCTION
rows = load_dataset("org/rows", split="train")
rows = rows.map(function, batched=MANY)
model = AutoModelForCausalLM.from_pretrained("org/model", torch_dtype="bfloat16")
trainer = DPOTrainer(model, args=DPOConfig(output_dir="out"), train_dataset=rows)
trainer.train()
"""
TEXTS = {
    "prompt": "Q: {{ question }}\nA: ",
    "chosen": "{{ good }}",
    "rejected": "{{ bad }}",
}


@pytest.mark.parametrize(
    ("function", "many"),
    [
        (
            "def function(row: dict) -> dict:\n    return {'prompt': f\"Q: {row['question']}\\nA: \", "
            "'chosen': row['good'], 'rejected': row['bad']}",
            False,
        ),
        (
            "def function(rows):\n    asked = ['Q: ' + one + '\\nA: ' for one in rows['question']]\n"
            "    return {'prompt': asked, 'chosen': rows['good'], 'rejected': rows['bad']}",
            True,
        ),
        (
            "def function(row):\n    row['prompt'] = 'Q: ' + row['question'] + '\\nA: '\n"
            "    row['chosen'] = row['good']\n    row['rejected'] = row['bad']\n    return row",
            False,
        ),
    ],
)
def test_a_function_that_writes_pairs(read: Bring, function: str, many: bool) -> None:
    found = read(PAIRS.replace("FUNCTION", function).replace("MANY", str(many)), "train.py")
    (source,) = found.composed.values["data.train"]
    assert source["template"] == TEXTS
    assert not [one for one in found.composed.open if "data.train" in one or "map" in one]


def test_a_function_that_renames_columns(read: Bring) -> None:
    function = (
        "function = lambda row: {'prompt': row['q'], 'chosen': row['chosen'], 'rejected': row['b']}"
    )
    found = read(PAIRS.replace("FUNCTION", function).replace("MANY", "False"), "train.py")
    (source,) = found.composed.values["data.train"]
    assert source["format"] == "preference"
    assert source["columns"] == {"prompt": "q", "rejected": "b"}


@pytest.mark.parametrize(
    "written",
    [
        "{'prompt': row['q'], 'chosen': row['a'][0], 'rejected': row['b']}",
        "{'prompt': row['q'], 'chosen': row['a']}",
        "{'chosen': 'A: ' + row['a'], 'rejected': row['b']}",
        "{'prompt': row['q'], 'completion': row['a']}",
    ],
)
def test_a_function_that_writes_no_pairs_is_a_question(read: Bring, written: str) -> None:
    function = f"function = lambda row: {written}"
    found = read(PAIRS.replace("FUNCTION", function).replace("MANY", "False"), "train.py")
    assert any("rows.map(function" in one for one in found.composed.open)


def test_prompts_by_another_name(read: Bring) -> None:
    script = (
        "from datasets import load_dataset\nfrom trl import GRPOConfig, GRPOTrainer\n"
        "def reward(completions, **others):\n    return [1.0 for one in completions]\n"
        "rows = load_dataset('org/rows', split='train').map(lambda row: {'prompt': row['question']})\n"
        "trainer = GRPOTrainer(model='org/model', reward_funcs=reward, args=GRPOConfig(), "
        "train_dataset=rows)\ntrainer.train()\n"
    )
    found = read(script, "train.py")
    (source,) = found.composed.values["data.train"]
    assert (source["format"], source["columns"]) == ("prompt", {"prompt": "question"})
    assert found.faithful, found.composed.open


def test_a_collator_that_is_given_tokens_is_a_question(read: Bring) -> None:
    made = (
        ROWS + "ids = tokenizer.encode('### A:', add_special_tokens=False)[2:]\n"
        "made = DataCollatorForCompletionOnlyLM(ids, tokenizer=tokenizer)\n"
    )
    given = "train_dataset=rows, data_collator=made"
    found = read(script(made, given, 'dataset_text_field="text"'), "train.py")
    assert any("CompletionOnlyLM.0 = ids" in one for one in found.composed.open)


BOTH = 'train, test = load_dataset("org/rows", split={})\n'


@pytest.mark.parametrize(
    ("splits", "kind", "found"),
    [
        ('["train[:5%]", "test[:5%]"]', "derived", ["train[:5%]", "test[:5%]"]),
        ('["train", "more"]', "unknown", [None, None]),
    ],
)
def test_both_splits_of_one_call(
    read: Bring, splits: str, kind: str, found: list[str | None]
) -> None:
    text = (
        f"from datasets import load_dataset\nfrom trl import SFTConfig, SFTTrainer\n{BOTH.format(splits)}"
        'args = SFTConfig(output_dir="o", eval_strategy="steps")\n'
        'SFTTrainer("org/m", args=args, train_dataset=train, eval_dataset=test).train()\n'
    )
    imported = read(text, "fit.py")
    assert fate(imported, "load_dataset.split")[0] == kind
    values = imported.composed.values
    given = [values.get(path) or ({"split": None},) for path in ("data.train", "data.eval")]
    assert [rows[0]["split"] for rows in given] == found
