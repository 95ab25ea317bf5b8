"""What torchtune makes of rows, as the tokenizers of its models write them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from ftspec.data.example import Message
from ftspec.data.template import Template
from ftspec.data.written import written
from ftspec.spec.data import Written
from tests.port.conftest import Bring, fate
from tests.port.test_torchtune import ALPACA, CHAT, LORA, of_llama3

BOTH = "Below is an instruction that describes a task, paired with an input that provides further context. "


ALONE = "Below is an instruction that describes a task. "


REST = "Write a response that appropriately completes the request.\n\n### Instruction:\n"


ROWS = (
    {"instruction": "Add {{ 1 }}.", "input": "2 and 3", "output": " 5 \n"},
    {"instruction": "Say hello.", "input": "", "output": "\n\nHello. "},
    {"instruction": "Say <b>.", "output": "b"},
)


def told(row: dict[str, str]) -> str:
    """The prompt of AlpacaToMessages."""
    if row.get("input"):
        return f"{BOTH}{REST}{row['instruction']}\n\n### Input:\n{row['input']}\n\n### Response:\n"
    return f"{ALONE}{REST}{row['instruction']}\n\n### Response:\n"


def of_gemma(prompt: str, answer: str) -> tuple[str, str]:
    return prompt, answer.lstrip("\n").rstrip(" ")


def of_qwen(prompt: str, answer: str) -> tuple[str, str]:
    return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n", answer


@pytest.mark.parametrize(
    ("builder", "form", "eos"),
    [
        ("llama3.llama3_tokenizer", of_llama3, "<|eot_id|>"),
        ("gemma.gemma_tokenizer", of_gemma, None),
        ("qwen2_5.qwen2_5_tokenizer", of_qwen, "<|im_end|>"),
    ],
)
def test_rows_of_alpaca_are_those_of_the_tokenizer(
    read: Bring, builder: str, form: Callable[[str, str], tuple[str, str]], eos: str | None
) -> None:
    text = ALPACA.replace("llama3.llama3_tokenizer", builder)
    imported = read(text)
    assert imported.faithful, imported.fates
    found = imported.composed.values
    assert found.get("model.special_tokens.eos") == eos
    template = Written.model_validate(found["data.train"][0]["template"])
    for row in ROWS:
        made = written(template, row)
        assert (made.prompt, made.completion) == form(told(row), row["output"])


def test_columns_of_alpaca_with_other_names(read: Bring) -> None:
    text = ALPACA
    text = text.replace(
        "  source: org/chats\n", "  column_map: {instruction: question, output: reply}\n"
    )
    found = read(text).composed.values["data.train"][0]["template"]
    row = {"question": "Why?", "reply": "So."}
    made = written(Written.model_validate(found), row)
    assert made.prompt == of_llama3(told({"instruction": "Why?"}), "")[0]
    assert made.completion == "So."
    odd = text.replace("instruction: question", "instruction: the question")
    assert fate(read(odd), "dataset.column_map.instruction")[0] == "unknown"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("llama3.llama3_tokenizer", "llama2.llama2_tokenizer"),
        ("llama3.llama3_tokenizer", "phi3.phi3_mini_tokenizer"),
        ("llama3.llama3_tokenizer", "org.own_tokenizer"),
        ("llama3.llama3_tokenizer\n", "qwen2.qwen2_tokenizer\n  max_seq_len: 512\n"),
    ],
)
def test_rows_of_alpaca_that_are_nearly_the_same(read: Bring, old: str, new: str) -> None:
    text = ALPACA.replace("  max_seq_len: null\n", "").replace(old, new)
    kind, why = fate(read(text), "dataset._component_")
    assert kind == "approximated", why
    assert "there" in why or "not known" in why


def test_what_opens_an_answer_trains_with_it(read: Bring) -> None:
    text = ALPACA.replace("  source: org/chats\n", "  train_on_input: False\n")
    imported = read(text)
    assert imported.faithful, imported.fates
    found = imported.composed.values["data.train"][0]["template"]
    made = written(Written.model_validate(found), ROWS[0])
    head = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    prompt, answer = of_llama3(told(ROWS[0]), ROWS[0]["output"])
    assert (made.prompt, made.completion) == (prompt.removesuffix(head), head + answer)


TURNS = (
    ("system", " Be brief. "),
    ("user", "Hi"),
    ("assistant", "Yes? "),
    ("user", "2"),
    ("assistant", "4"),
)


def rendered(read: Bring, builder: str, length: str = "null") -> list[str]:
    """The conversation as its file of a chat template writes it: pieces that train stand at odd places."""
    text = LORA.replace("llama3.llama3_tokenizer", builder).replace(
        "max_seq_len: null", f"max_seq_len: {length}"
    )
    imported = read(text)
    (source,) = imported.files.values()
    made = Template(source, {"bos_token": "<s>"}).render(
        [Message(role=r, content=c) for r, c in TURNS]
    )
    marks = [0, *(place for span in made.spans for place in span), len(made.text)]
    return [made.text[start:end] for start, end in pairwise(marks)]


def test_turns_of_llama3(read: Bring) -> None:
    head = "<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>"
    assert rendered(read, "llama3.llama3_tokenizer") == [
        "<s>" + head.format("system", "Be brief.") + head.format("user", "Hi"),
        head.format("assistant", "Yes?"), head.format("user", "2"), head.format("assistant", "4"), "",
    ]  # fmt: skip


@pytest.mark.parametrize(("length", "end"), [("null", "<|im_end|>"), ("512", "")])
def test_turns_of_qwen(read: Bring, length: str, end: str) -> None:
    head = "<|im_start|>{}\n{}<|im_end|>\n"
    assert rendered(read, "qwen2_5.qwen2_5_tokenizer", length) == [
        head.format("system", " Be brief. ") + head.format("user", "Hi"),
        head.format("assistant", "Yes? "), head.format("user", "2"), f"<|im_start|>assistant\n4{end}", "",
    ]  # fmt: skip


def test_turns_of_gemma(read: Bring) -> None:
    assert rendered(read, "gemma.gemma_tokenizer") == [
        "<s> Be brief.Hi", "Yes?<eos>", "<s>2", "4<eos>", "",
    ]  # fmt: skip


def test_a_missing_length_is_no_limit(read: Bring) -> None:
    found = read(LORA.replace("  max_seq_len: null\n", "")).composed.values
    assert found["data.max_length"] is None
    capped = read(
        LORA.replace("llama3_1.lora_llama3_1_8b", "gemma2.lora_gemma2_9b")
    ).composed.values
    assert (capped["model.attention"], found.get("model.attention")) == ("eager", None)


def test_a_longer_row_keeps_one_token_fewer(read: Bring) -> None:
    said = LORA.replace("max_seq_len: null", "max_seq_len: 512")
    assert read(said).composed.values["data.max_length"] == 511
    text = said.replace(CHAT, "text_completion_dataset\n  source: org/texts\n  column: body\n")
    found = read(text)
    assert found.faithful, found.fates
    assert found.composed.values["data.max_length"] == 511
    assert found.composed.values["method.objective.type"] == "cpt"
    assert found.composed.values["model.special_tokens.eos"] == "<|end_of_text|>"
    packed = read(text.replace("  column: body\n", "  packed: True\n"))
    assert fate(packed, "dataset.packed")[0] == "approximated"
    whole = read(text.replace("  column: body\n", "  packed: True\n  split_across_pack: False\n"))
    assert fate(whole, "dataset.packed")[0] == "derived"
