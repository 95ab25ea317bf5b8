"""torchtune's YAML: what its recipes make of it, and of keys that are missing."""

from __future__ import annotations

import pytest

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
  max_seq_len: 512
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


@pytest.mark.parametrize(
    ("old", "new", "key", "kind"),
    [
        ("max_seq_len: 512", "max_seq_len: null", "tokenizer.max_seq_len", "unknown"),
        ("chat_dataset", "alpaca_dataset", "dataset._component_", "approximated"),
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
