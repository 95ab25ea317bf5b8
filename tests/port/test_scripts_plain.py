"""Scripts around transformers' own Trainer, whose rows a function of theirs turns into tokens."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate

SCRIPT = """\
from datasets import load_dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForLanguageModeling
from transformers import Trainer, TrainingArguments
tokenizer = AutoTokenizer.from_pretrained("org/model")
model = AutoModelForCausalLM.from_pretrained("org/model", torch_dtype="bfloat16")
model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]))
rows = load_dataset("json", data_files="rows.jsonl", split="train")
FUNCTION
rows = rows.map(function, batched=MANY)
trainer = Trainer(
    model=model, train_dataset=rows, args=TrainingArguments(output_dir="out", max_steps=3, bf16=True),
    data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
)
trainer.train()
"""


def script(function: str, many: bool = True) -> str:
    return SCRIPT.replace("FUNCTION", function).replace("MANY", str(many))


@pytest.mark.parametrize(
    ("function", "many", "length"),
    [
        (
            "def function(rows):\n    return tokenizer(rows['text'], truncation=True, max_length=512)",
            True,
            512,
        ),
        ("function = lambda row: tokenizer(row['text'])", False, None),
        (
            "def function(row):\n    made = tokenizer(row['text'], truncation=True, max_length=64)\n"
            "    made['labels'] = made['input_ids'].copy()\n    return made",
            False,
            64,
        ),
    ],
)
def test_texts_that_become_tokens(
    read: Bring, function: str, many: bool, length: int | None
) -> None:
    found = read(script(function, many), "train.py")
    values = found.composed.values
    assert not found.composed.open
    assert values["method.objective.type"] == "cpt"
    assert values["data.train"][0]["template"] == {"text": "{{ text }}"}
    assert values["data.max_length"] == length
    assert (values["method.tuner.rank"], values["train.learning_rate"]) == (8, 5e-5)
    assert fate(found, "formatting.text")[0] == "approximated"  # nothing ends a text there


def test_texts_that_are_written_first(read: Bring) -> None:
    function = (
        "rows = rows.map(lambda row: {'text': f\"Q: {row['q']}\" + tokenizer.eos_token})\n"
        "def function(rows):\n    return tokenizer(rows['text'], truncation=True, max_length=32)"
    )
    found = read(script(function), "train.py")
    assert found.faithful, (found.composed.open, found.fates)
    assert found.composed.values["data.train"][0]["template"] == {"text": "Q: {{ q }}"}


@pytest.mark.parametrize(
    "function",
    [
        "def function(rows):\n    return tokenizer(rows['text'], truncation=True)",
        "def function(rows):\n    return tokenizer(rows['text'], add_special_tokens=False)",
        "def function(row):\n    made = tokenizer(row['text'])\n    made['labels'] = mask(made)\n"
        "    return made",
        "def function(row):\n    made = tokenizer(row['text'], padding='max_length', max_length=9, "
        "truncation=True)\n    made['labels'] = made['input_ids'].copy()\n    return made",
    ],
)
def test_tokens_that_are_not_understood(read: Bring, function: str) -> None:
    found = read(script(function), "train.py")
    assert any("what makes them is not understood" in one for one in found.composed.open)


def test_tokens_beside_a_trainer_of_trl(read: Bring) -> None:
    """It cuts rows once more, and may have other labels."""
    function = "function = lambda row: tokenizer(row['text'])"
    found = read(script(function, many=False).replace("Trainer(", "SFTTrainer("), "train.py")
    assert any("map(function" in one for one in found.composed.open)


def test_a_collator_of_its_own_is_a_question(read: Bring) -> None:
    function = "function = lambda row: tokenizer(row['text'])"
    found = read(script(function, many=False).replace("mlm=False", "mlm=True"), "train.py")
    assert any("data_collator" in one for one in found.composed.open)
