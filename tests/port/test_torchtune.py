"""torchtune's YAML: what its recipes make of it, and of keys that are missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ftspec.data.written import written
from ftspec.spec.data import Written
from tests.port.conftest import Bring, fate

LORA = """\
output_dir: out
model:
  _component_: torchtune.models.llama3_1.lora_llama3_1_8b
  lora_attn_modules: ['q_proj', 'v_proj', 'output_proj']
  apply_lora_to_mlp: True
  apply_lora_to_output: False
  lora_rank: 8
  lora_alpha: 16
tokenizer:
  _component_: torchtune.models.llama3.llama3_tokenizer
  path: models/llama/tokenizer.model
  max_seq_len: null
checkpointer:
  _component_: torchtune.training.FullModelHFCheckpointer
  checkpoint_dir: models/llama
  output_dir: ${output_dir}
dataset:
  _component_: torchtune.datasets.chat_dataset
  source: org/chats
  conversation_column: talk
  conversation_style: sharegpt
seed: null
shuffle: True
batch_size: 2
optimizer:
  _component_: torch.optim.AdamW
  lr: 3e-4
loss:
  _component_: torchtune.modules.loss.CEWithChunkedOutputLoss
epochs: 1
max_steps_per_epoch: null
gradient_accumulation_steps: 8
clip_grad_norm: null
metric_logger:
  _component_: torchtune.training.metric_logging.DiskLogger
device: cuda
dtype: bf16
enable_activation_checkpointing: True
"""


def test_a_recipes_config(read: Bring) -> None:
    imported = read(LORA)
    found = imported.composed.values
    assert imported.parts[0].format.name == "torchtune"
    assert imported.faithful, (imported.composed.open, imported.fates)
    assert found["model.name"] == "models/llama"
    assert found["method.tuner.targets"] == (
        *("q_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    )
    assert found["precision.compute"] == "bf16-pure"
    assert found["train.weight_decay"] == 0.01  # torch's, where nothing is said
    assert found["train.schedule.type"] == "constant"
    assert found["train.max_grad_norm"] is None
    assert found["train.batch_size"] == 16
    assert found["train.learning_rate"] == 3e-4
    (source,) = found["data.train"]
    assert (source["format"], source["columns"]) == ("sharegpt", {"conversations": "talk"})
    assert found["data.train_on"] == "assistant"
    assert found["data.max_length"] is None


@pytest.mark.parametrize(
    ("old", "new", "key", "kind"),
    [
        ("max_seq_len: null", "max_seq_len: 512", "tokenizer.max_seq_len", "approximated"),
        ("chat_dataset", "alpaca_dataset", "dataset._component_", "derived"),
        (
            "max_steps_per_epoch: null",
            "max_steps_per_epoch: 9",
            "max_steps_per_epoch",
            "approximated",
        ),
        ("torch.optim.AdamW", "torch.optim.Rprop", "optimizer._component_", "unknown"),
        (".lora_llama3", ".qlora_llama3", "model._component_", "approximated"),
        ("dtype: bf16", "dtype: fp32", "dtype", "derived"),
    ],
)
def test_fates(read: Bring, old: str, new: str, key: str, kind: str) -> None:
    assert fate(read(LORA.replace(old, new)), key)[0] == kind


def test_alpaca_trains_on_prompts_unless_it_is_said(read: Bring) -> None:
    text = LORA.replace("chat_dataset", "alpaca_dataset")
    assert read(text).composed.values["data.train_on"] == "all"
    said = text.replace("  source: org/chats\n", "  train_on_input: False\n")
    found = read(said).composed.values
    assert found["data.train_on"] == "assistant"
    assert found["data.train"][0]["hub"] == "tatsu-lab/alpaca"


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


def of_llama3(prompt: str, answer: str) -> tuple[str, str]:
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    asked = head.format("user") + prompt.strip() + "<|eot_id|>" + head.format("assistant")
    return asked, answer.strip()


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
    text = LORA.replace("chat_dataset", "alpaca_dataset").replace(
        "llama3.llama3_tokenizer", builder
    )
    imported = read(text)
    assert imported.faithful, imported.fates
    found = imported.composed.values
    assert found.get("model.special_tokens.eos") == eos
    template = Written.model_validate(found["data.train"][0]["template"])
    for row in ROWS:
        made = written(template, row)
        assert (made.prompt, made.completion) == form(told(row), row["output"])


def test_columns_of_alpaca_with_other_names(read: Bring) -> None:
    text = LORA.replace("chat_dataset", "alpaca_dataset")
    text = text.replace(
        "  conversation_column: talk\n", "  column_map: {instruction: question, output: reply}\n"
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
        ("  source: org/chats\n", "  train_on_input: False\n"),
    ],
)
def test_rows_of_alpaca_that_are_nearly_the_same(read: Bring, old: str, new: str) -> None:
    text = LORA.replace("chat_dataset", "alpaca_dataset").replace(old, new)
    kind, why = fate(read(text), "dataset._component_")
    assert kind == "approximated", why
    assert "there" in why or "not known" in why
