"""Which statements of a script can change its training."""

from __future__ import annotations

import pytest

from ftspec.port.scripts.ran import ran
from tests.port.conftest import Bring
from tests.port.test_scripts import UNSLOTH

SHOWN = [
    "rows[0]['messages']",
    "print(len(rows), model.config)",
    "for row in rows[:5]:\n    print(row['text'])",
    "if torch.cuda.is_available():\n    print(torch.cuda.get_device_name(0))",
    "tokenizer.apply_chat_template(rows[0]['messages'], tokenize=False)",
    "batch = tokenizer('a', return_tensors='pt').to('cuda')\n_ = model.generate(**batch)",
    "count(rows[0]['text'])",
    "global SEEN",
    "del shown",
    "if False:\n    model = other.from_pretrained('org/other')",
    "unread = 5",
]
FUNCTION = "def count(text):\n    found = []\n    found.append(text)\n    return len(found)\n"
KEPT = [
    "random.shuffle(rows)",
    "rows.append(1)",
    "model.to(torch.float16)",
    "frame.replace('a', 'b', inplace=True)",
    "model.config.use_cache = False",
    "fill(rows[0])",
    "rows = rows[:5]",
    "if ready:\n    print(1)\nelse:\n    rows = []",
    "for row in rows:\n    row['text'] = ''",
    "size = 5",  # which the statement below reads
    "while True:\n    print(1)",
]
FILLS = "def fill(row):\n    row['text'] = ''\n"


@pytest.mark.parametrize("statement", SHOWN)
def test_what_only_shows_something(statement: str) -> None:
    found = ran(f"{FUNCTION}{statement}\ntrain(model, rows, tokenizer, size)\n")
    assert statement.splitlines()[0] not in found.splitlines()
    assert found.count("\n") + 1 == len(f"{FUNCTION}{statement}\n_".splitlines())


@pytest.mark.parametrize("statement", KEPT)
def test_what_may_change_the_training(statement: str) -> None:
    source = f"{FILLS}{statement}\ntrain(model, rows, tokenizer, size)"
    assert ran(source) == source


@pytest.mark.parametrize(
    "training",
    [
        "trainer.train()",
        "stats = dpo_trainer.train(resume_from_checkpoint=True)",
        "stats = unsloth_train(trainer)",
        "if again:\n    trainer.train('a')\nelse:\n    trainer.train()",
    ],
)
def test_what_stands_behind_the_training(training: str) -> None:
    source = f"rows = load(1)\n{training}\nrows = load(2)\ndef later():\n    pass"
    assert ran(source).rstrip("\n") == f"rows = load(1)\n{training}"


def test_a_function_that_trains_keeps_what_others_need() -> None:
    source = (
        "def main():\n    trainer.train()\n    clean()\n\ndef rows():\n    return load(1)\n\nmain()"
    )
    assert ran(source) == source.replace("    clean()", "")


def test_statements_that_share_a_line_stay() -> None:
    source = "rows = load(); print(rows)\ntrain(rows)"
    assert ran(source) == source


def test_the_same_function_once_more_behind_the_training(read: Bring) -> None:
    """Of Unsloth's notebooks: names that are bound again when the model is tried out are no question."""
    again = UNSLOTH + (
        "length = 64\nmodel, tokenizer = FastLanguageModel.from_pretrained('out', max_seq_length=length)\n"
    )
    found = read(again, "train.py")
    assert found.composed.values == read(UNSLOTH, "train.py").composed.values
    assert found.composed.open == read(UNSLOTH, "train.py").composed.open
