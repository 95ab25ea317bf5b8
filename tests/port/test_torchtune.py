"""torchtune's YAML: what its recipes make of it, and of keys that are missing."""

from __future__ import annotations

import re

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
dtype: fp32
enable_activation_checkpointing: True
"""

ALPACA = LORA.replace("chat_dataset", "alpaca_dataset").replace(
    "  conversation_column: talk\n  conversation_style: sharegpt\n", ""
)
CHAT = "chat_dataset\n  source: org/chats\n  conversation_column: talk\n  conversation_style: sharegpt\n"
FULL = LORA.replace(".lora_", ".").replace("  lora_rank: 8\n  lora_alpha: 16\n", "")
FULL = re.sub(r"  (lora|apply_lora)_.*\n", "", FULL)


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
    assert found["precision.compute"] == "fp32"
    assert found["train.weight_decay"] == 0.01  # torch's, where nothing is said
    assert found["train.data_seed"] == 0  # of the order of rows, whatever the seed is
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
        ("max_seq_len: null", "max_seq_len: 512", "tokenizer.max_seq_len", "derived"),
        (
            "llama3.llama3_tokenizer",
            "gemma.gemma_tokenizer",
            "tokenizer._component_",
            "approximated",
        ),
        ("llama3.llama3_tokenizer", "org.own_tokenizer", "tokenizer._component_", "approximated"),
        ("  max_seq_len: null", "  prompt_template: a.b", "tokenizer.prompt_template", "unknown"),
        ("sharegpt", "alpaca", "dataset._component_", "unknown"),
        ("  source: org/chats\n", "  source: json\n", "dataset._component_", "unknown"),
        (
            "  source: org/chats\n",
            "  source: org/chats\n  filter_fn: a.b\n",
            "dataset.filter_fn",
            "unknown",
        ),
        (
            "  source: org/chats\n",
            "  source: text\n  data_files: a.txt\n",
            "dataset._component_",
            "unknown",
        ),
        (
            "  source: org/chats\n",
            "  source: json\n  data_files: a.json\n  split: train[:9%]\n",
            "dataset.split",
            "unknown",
        ),
        (
            "  source: org/chats\n",
            "  source: json\n  data_files: a.json\n  split: train[:9]\n",
            "dataset.split",
            "derived",
        ),
        ("seed: null\n", "batch_size_val: 2\n", "batch_size_val", "inert"),
        (
            "seed: null\n",
            "batch_size_val: 2\nrun_val_every_n_steps: 9\n",
            "batch_size_val",
            "unknown",
        ),
        ("loss.CEWithChunkedOutputLoss", "loss.OwnLoss", "loss._component_", "unknown"),
        (
            "training.FullModelHF",
            "training.FullModelMeta",
            "checkpointer.checkpoint_dir",
            "approximated",
        ),
        ("seed: null\n", "optimizer_in_bwd: True\n", "optimizer_in_bwd", "approximated"),
        (
            "llama3_1.lora_llama3_1_8b",
            "phi3.lora_phi3_mini",
            "model.lora_attn_modules",
            "approximated",
        ),
        (
            "torch.optim.AdamW\n",
            "torch.optim.AdamW\n  betas: [0.9, 0.95]\n",
            "optimizer.betas",
            "derived",
        ),
        ("chat_dataset", "alpaca_dataset", "dataset._component_", "derived"),
        (
            "max_steps_per_epoch: null",
            "max_steps_per_epoch: 9",
            "max_steps_per_epoch",
            "approximated",
        ),
        ("torch.optim.AdamW", "torch.optim.Rprop", "optimizer._component_", "unknown"),
        (
            "torch.optim.AdamW",
            "torchao.prototype.low_bit_optim.AdamW8bit",
            "optimizer._component_",
            "renamed",
        ),
        (".lora_llama3", ".qlora_llama3", "model._component_", "approximated"),
        ("dtype: fp32", "dtype: fp16", "dtype", "unknown"),
        ("dtype: fp32", "dtype: bf16", "dtype", "derived"),
    ],
)
def test_fates(read: Bring, old: str, new: str, key: str, kind: str) -> None:
    assert fate(read(LORA.replace(old, new)), key)[0] == kind


def test_alpaca_trains_on_prompts_unless_it_is_said(read: Bring) -> None:
    text = ALPACA
    assert read(text).composed.values["data.train_on"] == "all"
    said = text.replace("  source: org/chats\n", "  train_on_input: False\n")
    found = read(said).composed.values
    assert found["data.train_on"] == "assistant"
    assert found["data.train"][0]["hub"] == "tatsu-lab/alpaca"


def of_llama3(prompt: str, answer: str) -> tuple[str, str]:
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    asked = head.format("user") + prompt.strip() + "<|eot_id|>" + head.format("assistant")
    return asked, answer.strip()


def test_all_weights_decay_whole(read: Bring) -> None:
    found = read(FULL.replace("dtype: fp32", "dtype: bf16"))
    assert found.faithful, found.fates
    values = found.composed.values
    assert (values["precision.compute"], values["model.dtype"]) == ("bf16-pure", "bfloat16")
    assert (values["train.weight_decay"], values["train.weight_decay_on"]) == (0.01, "all")
    none = read(FULL.replace("lr: 3e-4", "weight_decay: 0.0")).composed.values
    assert none.get("train.weight_decay_on", "matrices") == "matrices"
    assert none["train.learning_rate"] == 1e-3  # AdamW's own


def test_questions_and_answers_of_columns(read: Bring) -> None:
    said = "  source: org/pairs\n  column_map: {input: ask, output: tell}\n  new_system_prompt: Be brief.\n"
    imported = read(LORA.replace(CHAT, f"instruct_dataset\n{said}"))
    assert imported.faithful, imported.fates
    found = imported.composed.values["data.train"][0]["template"]
    made = written(Written.model_validate(found), {"ask": " Why? ", "tell": "So. "})
    turn = "<|start_header_id|>{}<|end_header_id|>\n\n{}"
    assert made.prompt == turn.format("system", "Be brief.<|eot_id|>") + turn.format(
        "user", "Why?<|eot_id|>"
    )
    assert made.completion == turn.format("assistant", "So.")
    samsum = read(LORA.replace(CHAT, "samsum_dataset\n")).composed.values["data.train"][0]
    assert (samsum["hub"], "dialogue" in samsum["template"]["prompt"]) == ("Samsung/samsum", True)


def test_several_data_sets(read: Bring) -> None:
    both = (
        "dataset:\n  - {_component_: torchtune.datasets.alpaca_dataset, train_on_input: False}\n"
        "  - {_component_: torchtune.datasets.samsum_dataset}\n"
    )
    text = LORA.replace(f"dataset:\n  _component_: torchtune.datasets.{CHAT}", both)
    imported = read(text)
    assert imported.faithful, imported.fates
    assert [one["hub"] for one in imported.composed.values["data.train"]] == [
        "tatsu-lab/alpaca", "Samsung/samsum",
    ]  # fmt: skip
    mixed = read(text.replace("train_on_input: False", "train_on_input: True"))
    assert fate(mixed, "dataset[0].train_on_input")[0] == "unknown"


PAIRS = "preference_dataset\n  source: org/pairs\n"


def test_pairs(read: Bring) -> None:
    text = LORA.replace(CHAT, PAIRS).replace(
        "torchtune.modules.loss.CEWithChunkedOutputLoss",
        "torchtune.rlhf.loss.DPOLoss\n  beta: 0.05",
    )
    imported = read(text)
    assert imported.faithful, imported.fates
    found = imported.composed.values
    assert found["method.objective.type"] == "dpo"
    assert (found["method.objective.loss"], found["method.objective.beta"]) == ("sigmoid", 0.05)
    assert found["data.train"][0]["format"] == "preference-implicit"
    hinge = read(text.replace("DPOLoss\n  beta", "RSOLoss\n  gamma")).composed.values
    assert (hinge["method.objective.loss"], hinge["method.objective.beta"]) == ("hinge", 0.05)
    assert fate(read(text.replace("beta: 0.05", "gamma: 1")), "loss.gamma")[0] == "unknown"
    cut = read(text.replace("clip_grad_norm: null", "clip_grad_norm: 1.0"))
    assert cut.composed.values["train.max_grad_norm"] is None  # its recipes for pairs never read it
    stack = read(text.replace(PAIRS, "stack_exchange_paired_dataset\n"))
    assert stack.faithful, stack.fates
    (source,) = stack.composed.values["data.train"]
    assert source["files"] == ("data/rl/*",)
    row = {"question": " Why? ", "response_j": "So. ", "response_k": "No."}
    made = written(Written.model_validate(source["template"]), row)
    assert made.rejected is not None
    assert (made.prompt, made.completion) == (of_llama3("Why?", "")[0], "So.")
    assert made.rejected.completion == "No."
    assert stack.composed.values["model.special_tokens.eos"] == "<|eot_id|>"


def test_what_no_spec_says_is_not_taken_for_supervised_tuning(read: Bring) -> None:
    mixed = LORA + "kd_loss:\n  _component_: torchtune.modules.loss.ForwardKLLoss\nkd_ratio: 0.5\n"
    imported = read(mixed)
    assert fate(imported, "loss._component_")[0] == "unknown"
    assert "knowledge distillation" in imported.composed.text


def test_references_are_values(read: Bring) -> None:
    text = LORA.replace("checkpoint_dir: models/llama", "checkpoint_dir: ${base.dir}/${name}")
    text = text.replace("batch_size: 2", "batch_size: ${rows}").replace(
        "epochs: 1", "epochs: ${oc.env:N}"
    )
    found = read(f"base: {{dir: models}}\nname: llama\nrows: 4\n{text}".replace("${oc.env:N}", "1"))
    assert found.faithful, found.fates
    assert found.composed.values["model.name"] == "models/llama"
    assert found.composed.values["train.micro_batch_size"] == 4
    assert fate(found, "base.dir")[0] == "inert"
    assert any("names no value" in asked for asked in read(text).composed.open)


def test_a_mapping_of_columns_names_both(read: Bring) -> None:
    text = LORA.replace(CHAT, "samsum_dataset\n  column_map: {output: summary}\n")
    assert fate(read(text), "dataset._component_")[0] == "unknown"


@pytest.mark.parametrize(
    ("text", "rank", "alpha"),
    [
        (LORA.replace("  lora_rank: 8\n", ""), 8, 16),
        (LORA.replace("  lora_alpha: 16\n", "").replace("rank: 8", "rank: 64"), 64, 16),
        (LORA.replace("  lora_rank: 8\n  lora_alpha: 16\n", ""), 8, 16),
    ],
)
def test_what_a_builder_of_adapters_assumes(read: Bring, text: str, rank: int, alpha: int) -> None:
    found = read(text).composed.values
    assert found["method.tuner.type"] == "lora"
    assert (found["method.tuner.rank"], found["method.tuner.alpha"]) == (rank, alpha)


@pytest.mark.parametrize(
    ("old", "asked"),
    [
        ("dtype: fp32\n", "dtype is missing"),
        ("epochs: 1\n", "epochs is missing"),
        ("batch_size: 2\n", "batch_size is missing"),
        (
            "  lora_attn_modules: ['q_proj', 'v_proj', 'output_proj']\n",
            "lora_attn_modules is missing",
        ),
    ],
)
def test_what_no_recipe_has_a_default_for(read: Bring, old: str, asked: str) -> None:
    (question,) = read(LORA.replace(old, "")).composed.open
    assert question.startswith(asked)


def test_gradients_that_are_cut_to_nothing(read: Bring) -> None:
    imported = read(LORA.replace("clip_grad_norm: null", "clip_grad_norm: 0"))
    assert fate(imported, "clip_grad_norm")[0] == "unknown"


def test_adapters_that_torchtune_stops_at(read: Bring) -> None:
    unplaced = FULL.replace("llama3_1.llama3_1_8b", "llama3_1.lora_llama3_1_8b")
    assert any("lora_attn_modules is missing" in one for one in read(unplaced).composed.open)
    emptied = read(LORA.replace("['q_proj', 'v_proj', 'output_proj']", "null"))
    assert any("lora_attn_modules is missing" in one for one in emptied.composed.open)
    assert "None" not in fate(emptied, "model.lora_attn_modules")[1]
    whole = read(LORA.replace("llama3_1.lora_llama3_1_8b", "llama3_1.llama3_1_8b"))
    assert fate(whole, "model._component_")[0] == "unknown"


def test_a_layer_that_torchtune_passes_over_gets_no_adapter(read: Bring) -> None:
    imported = read(LORA.replace("'output_proj'", "'o_proj'").replace("mlp: True", "mlp: False"))
    assert imported.composed.values["method.tuner.targets"] == ("q_proj", "v_proj")
    assert fate(imported, "model.lora_attn_modules")[0] == "unknown"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("special_tokens_path: null", "inert"),
        ("special_tokens_path: models/llama/tokens.json", "inert"),
        ("special_tokens_path: own.json", "unknown"),
        ("truncation_type: left", "unknown"),
        ("truncation_type: right", "inert"),
        ("merges_file: models/llama/merges.txt", "inert"),
    ],
)
def test_what_a_tokenizer_is_told(read: Bring, line: str, kind: str) -> None:
    imported = read(LORA.replace("  max_seq_len: null\n", f"  max_seq_len: null\n  {line}\n"))
    assert fate(imported, f"tokenizer.{line.partition(':')[0]}")[0] == kind


@pytest.mark.parametrize(
    ("more", "purpose"),
    [
        ('tasks: ["truthfulqa_mc2"]\nbatch_size: 8\n', "eleuther_eval"),
        ("prompt:\n  user: Tell a joke.\nmax_new_tokens: 9\ntemperature: 0.6\n", "generate"),
        ("quantizer:\n  _component_: a.Int8DynActInt4WeightQuantizer\n", "quantize"),
    ],
)
def test_a_config_that_trains_nothing_says_so(read: Bring, more: str, purpose: str) -> None:
    head = LORA[: LORA.index("dataset:")]
    imported = read(f"{head}device: cuda\ndtype: bf16\nseed: 1234\n{more}")
    (question,) = imported.composed.open
    assert question.startswith("this file trains nothing") and purpose in question


def test_several_devices_share_the_weights(read: Bring) -> None:
    assert read(FULL).composed.values["hardware.fsdp.sharding_strategy"] is None
    found = read(FULL, devices=4).composed.values
    assert found["hardware.fsdp.sharding_strategy"] == "full_shard"


def test_how_much_of_a_loss_is_calculated_at_once(read: Bring) -> None:
    loss = "CEWithChunkedOutputLoss\n"
    imported = read(FULL.replace(loss, f"{loss}  num_output_chunks: 16\n  ignore_index: -100\n"))
    assert fate(imported, "loss.num_output_chunks")[0] == "inert"
    assert fate(imported, "loss.ignore_index")[0] == "inert"
