"""Oumi's YAML: what `oumi train` makes of it, and of keys that are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.data.example import Message
from ftspec.data.template import Template
from ftspec.data.written import written
from ftspec.port.effective import meaning
from ftspec.spec.data import Written
from tests.port.conftest import Bring, fate

LORA = """\
model:
  model_name: models/llama
  model_max_length: 512
  torch_dtype_str: bfloat16
data:
  train:
    datasets:
      - dataset_name: text_sft
        dataset_path: rows/chats.jsonl
        dataset_kwargs: {format: oumi}
training:
  trainer_type: TRL_SFT
  use_peft: True
  per_device_train_batch_size: 2
  gradient_accumulation_steps: 8
  num_train_epochs: 2
  warmup_ratio: 0.02
  compile: False
peft:
  lora_target_modules: [q_proj, v_proj]
"""
ROWS = "data.train.datasets[0].dataset_kwargs"
FULL = LORA.replace("use_peft: True", "use_peft: False").replace("bfloat16", "float32")
QLORA = LORA + "  q_lora: True\n"


def test_missing_keys_are_oumis_defaults(read: Bring) -> None:
    imported = read(LORA)
    found = imported.composed.values
    assert imported.parts[0].format.name == "oumi"
    assert imported.faithful, (imported.composed.open, imported.fates)
    assert (found["model.name"], found["method.tuner.type"]) == ("models/llama", "lora")
    tuner = [found[f"method.tuner.{key}"] for key in ("rank", "alpha", "dropout")]
    assert tuner == [8, 8, 0.0]
    assert (found["train.batch_size"], found["train.epochs"]) == (16, 2.0)
    assert (found["train.learning_rate"], found["train.weight_decay"]) == (5e-5, 0.0)
    assert (found["train.schedule.type"], found["train.warmup_ratio"]) == ("linear", 0.02)
    assert found["train.seed"] == 42
    other = read(LORA.replace("compile: False", "seed: 7")).composed.values
    assert (other["train.seed"], other["train.data_seed"]) == (7, 42)  # rows are drawn as before
    assert (found["train.save_steps"], found["train.logging_steps"]) == (500, 50)
    assert found["train.gradient_checkpointing"] is False
    assert found["output.trackers"] == ("tensorboard",)
    assert (found["data.train_on"], found["data.max_length"]) == ("all", 512)
    (source,) = found["data.train"]
    assert (source["path"], source["format"]) == ("rows/chats.jsonl", "messages")


def test_full_tuning_leaves_adapters_keys_aside(read: Bring) -> None:
    imported = read(FULL)
    assert imported.faithful, imported.fates
    assert imported.composed.values["method.tuner.type"] == "full"
    assert fate(imported, "peft.lora_target_modules")[0] == "inert"
    pure = read(FULL.replace("float32", "bfloat16")).composed.values
    assert pure["precision.compute"] == "bf16-pure"
    mixed = FULL.replace("  compile: False", "  mixed_precision_dtype: BF16")
    assert read(mixed).composed.values["precision.compute"] == "bf16"


def test_few_bits_are_fp4_unless_it_is_said(read: Bring) -> None:
    found = read(QLORA)
    assert found.composed.values["model.quantization.type"] == "fp4"
    assert found.composed.values["model.quantization.double"] is False
    assert fate(found, "peft.q_lora")[0] == "approximated"  # norms become float32 there
    said = read(QLORA + "  bnb_4bit_quant_type: nf4\n  bnb_4bit_compute_dtype: bfloat16\n")
    assert said.composed.values["model.quantization.type"] == "nf4"
    assert fate(said, "peft.bnb_4bit_compute_dtype")[0] == "unknown"  # of a float32 training
    assert (
        fate(read(LORA + "  bnb_4bit_quant_type: nf4\n"), "peft.bnb_4bit_quant_type")[0] == "inert"
    )


@pytest.mark.parametrize(
    ("old", "new", "key", "kind"),
    [
        ("TRL_SFT", "TRL_DPO", "training.trainer_type", "derived"),
        ("TRL_SFT", "TRL_KTO", "training.trainer_type", "unknown"),
        ("TRL_SFT", "trl_sft", "training.trainer_type", "unknown"),
        ("compile: False", "colour: red", "training.colour", "unknown"),
        ("compile: False", "save_epoch: True", "training.save_epoch", "derived"),
        ("compile: False", "trainer_kwargs: {loss: x}", "training.trainer_kwargs.loss", "unknown"),
        ("format: oumi", "assistant_only: True", f"{ROWS}.assistant_only", "unknown"),
        ("format: oumi", "format: alpaca", f"{ROWS}.format", "derived"),
        ("data:\n", "fsdp: {enable_fsdp: True}\ndata:\n", "fsdp.enable_fsdp", "derived"),
        ("data:\n", "fsdp: {cpu_offload: True}\ndata:\n", "fsdp.cpu_offload", "inert"),
        ("models/llama", "tiiuae/Falcon-E-1B-Base", "model.model_name", "unknown"),
        ("model_max_length: 512", "model_kwargs: {quantization_config: {quant_method: mxfp4}}",
         "model.model_kwargs.quantization_config.quant_method", "derived"),
        ("model_max_length: 512", "model_kwargs: {quantization_config: {quant_method: fp8}}",
         "model.model_kwargs.quantization_config.quant_method", "unknown"),
        ("model_max_length: 512", "chat_template: LLama3-instruct", "model.chat_template", "derived"),
        ("model_max_length: 512", "chat_template: gemma2-it", "model.chat_template", "unknown"),
        ("model_max_length: 512", "chat_template: qwen2-instruct", "model.chat_template", "unknown"),
        ("compile: False", "trainer_kwargs: {packing: True}", "training.trainer_kwargs.packing", "unknown"),
        ("text_sft\n", "yahma/alpaca-cleaned\n", "data.train.datasets[0].dataset_path", "unknown"),
    ],
)  # fmt: skip
def test_fates(read: Bring, old: str, new: str, key: str, kind: str) -> None:
    assert fate(read(LORA.replace(old, new)), key)[0] == kind


@pytest.mark.parametrize(
    "line", ["  model_max_length: 512\n", "  trainer_type: TRL_SFT\n", "{format: oumi}"]
)
def test_what_is_not_known_is_asked(read: Bring, line: str) -> None:
    assert read(LORA.replace(line, "{}\n" if "{" in line else "")).composed.open


def test_answers_alone(read: Bring) -> None:
    said = "    collator_name: text_completions_only_with_padding\n    train_target: all_assistant_turns\n"
    found = read(LORA.replace("training:\n", f"{said}training:\n"))
    assert found.composed.values["data.train_on"] == "assistant"
    assert fate(found, "data.train.collator_name")[0] == "approximated"


def test_it_is_not_taken_for_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(LORA)
    assert meaning([path]).values["method.tuner.alpha"] == 8


def turns(read: Bring, old: str, new: str, row: dict[str, str]) -> list[tuple[str, str]]:
    imported = read(LORA.replace(old, new))
    assert imported.faithful and not imported.composed.open, imported.fates
    (source,) = imported.composed.values["data.train"]
    made = written(Written.model_validate(source["template"]), row)
    return [(turn.role, turn.content) for turn in made.messages]


ALPACA = """\
text_sft
        dataset_path: rows/chats.jsonl
        dataset_kwargs: {format: oumi}
"""


def test_rows_of_alpaca(read: Bring) -> None:
    row = {"instruction": "Add.", "input": "2, 3", "output": "5"}
    alone = {"instruction": "Add.", "input": "", "output": "5"}
    both = (
        "Below is an instruction that describes a task, paired with an input that provides "
        "further context. "
    )
    one = "Below is an instruction that describes a task. "
    rest = "Write a response that appropriately completes the request."
    name = "yahma/alpaca-cleaned\n"
    assert turns(read, ALPACA, name, row) == [
        ("system", both + rest), ("user", "Add.\n\n### Input:\n2, 3"), ("assistant", "5"),
    ]  # fmt: skip
    assert turns(read, ALPACA, name, alone) == [
        ("system", one + rest), ("user", "Add."), ("assistant", "5"),
    ]  # fmt: skip
    silent = f"{name}        dataset_kwargs: {{include_system_prompt: False}}\n"
    assert turns(read, ALPACA, silent, alone) == [("user", "Add."), ("assistant", "5")]


def test_rows_of_alpaca_in_a_file(read: Bring) -> None:
    row = {"instruction": " Add.", "input": "2, 3 ", "output": " 5"}
    joined = [("user", "Add.\n\n2, 3"), ("assistant", " 5")]
    assert turns(read, "format: oumi", "format: alpaca", row) == joined
    alone = [("user", "Add."), ("assistant", " 5")]
    assert turns(read, "format: oumi", "format: alpaca", {**row, "input": ""}) == alone


SHARDED = """\
deepspeed:
  enable_deepspeed: True
  zero_stage: ZERO_3
  precision: BF16
  offload_optimizer: {device: CPU, pin_memory: True}
  sub_group_size: 100000000
  steps_per_print: 10
"""
MIXED = FULL.replace("  compile: False", "  mixed_precision_dtype: BF16") + SHARDED


def test_the_engine_that_it_writes(read: Bring) -> None:
    imported = read(MIXED)
    assert imported.faithful, [one for one in imported.fates if not one.faithful]
    spec = imported.composed.spec
    assert spec.hardware.zero is not None
    assert (spec.hardware.zero.stage, spec.hardware.zero.offload_optimizer) == (3, True)
    assert not spec.hardware.zero.offload_parameters
    assert (
        spec.precision.compute == "bf16-weights"
    )  # the engine casts them where the trainer says bf16
    off = read(MIXED.replace("enable_deepspeed: True", "enable_deepspeed: False"))
    assert off.faithful and off.composed.spec.hardware.zero is None
    assert off.composed.spec.precision.compute == "bf16"


@pytest.mark.parametrize(
    ("old", "new", "key", "kind"),
    [
        ("ZERO_3", "ZERO_9", "deepspeed.zero_stage", "unknown"),
        ("device: CPU", "device: NVME", "deepspeed.offload_optimizer.device", "unknown"),
        ("{device: CPU, pin_memory: True}", "{}", "deepspeed.offload_optimizer", "derived"),
        ("precision: BF16", "precision: FP16", "deepspeed.precision", "unknown"),
        ("steps_per_print: 10", "gradient_clipping: auto", "deepspeed.gradient_clipping", "inert"),
        ("steps_per_print: 10", "gradient_clipping: 2", "deepspeed.gradient_clipping", "derived"),
        ("steps_per_print: 10", "train_batch_size: 8", "deepspeed.train_batch_size", "unknown"),
        ("steps_per_print: 10", "colour: red", "deepspeed.colour", "unknown"),
        ("steps_per_print: 10", "deepspeed_config_path: x.json", "deepspeed.zero_stage", "inert"),
        ("steps_per_print: 10", "deepspeed_config_path: x.json", "deepspeed.deepspeed_config_path",
         "unknown"),
    ],
)  # fmt: skip
def test_fates_of_its_engine(read: Bring, old: str, new: str, key: str, kind: str) -> None:
    assert old in MIXED
    assert fate(read(MIXED.replace(old, new)), key)[0] == kind


def test_a_file_of_the_engine_stands_for_the_section(read: Bring) -> None:
    text = MIXED.replace("steps_per_print: 10", "deepspeed_config_path: x.json")
    imported = read(text, other={"x.json": '{"zero_optimization": {"stage": 1}}'})
    assert imported.composed.values["hardware.zero.stage"] == 1
    assert fate(imported, "deepspeed.deepspeed_config_path")[0] == "derived"


def test_layers_without_adapters_are_patterns(read: Bring) -> None:
    found = read(f"{LORA}  lora_exclude_modules: [.*tower.*, .*head]\n").composed
    assert found.values["method.tuner.exclude"] == {"pattern": "(.*tower.*)|(.*head)"}
    padded = LORA.replace(
        "model_max_length", "tokenizer_kwargs: {pad_token: <x>}\n  model_max_length"
    )
    assert read(padded).composed.spec.model.special_tokens.pad == "<x>"


@pytest.mark.parametrize(
    ("name", "begins", "turn"),
    [
        ("llama3-instruct", "<s>", "<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>"),
        ("chat_ml", "<s>", "<|im_start|>{}\n{}<|im_end|>\n"),
    ],
)
def test_templates_by_name(read: Bring, name: str, begins: str, turn: str) -> None:
    said = (("user", " Hi "), ("assistant", "Yes? "), ("user", "2"), ("assistant", "4"))
    imported = read(LORA.replace("model_max_length: 512", f"chat_template: {name}"))
    (source,) = imported.files.values()
    turns = [Message(role=role, content=text) for role, text in said]
    made = Template(source, {"bos_token": "<s>"}).render(turns)
    assert made.text == begins + "".join(turn.format(role, text.strip()) for role, text in said)
    behind = turn.rpartition("{}")[2]
    assert [made.text[start:end] for start, end in made.spans] == [f"Yes?{behind}", f"4{behind}"]


def test_readers_of_questions_and_answers(read: Bring) -> None:
    pairs = "PromptResponseDataset\n        dataset_kwargs: {hf_dataset_path: org/rows, prompt_column: ask}\n"
    row = {"ask": "Why?", "output": "So."}
    assert turns(read, ALPACA, pairs, row) == [("user", "Why?"), ("assistant", "So.")]
    named = read(LORA.replace(ALPACA, "allenai/WildChat-1M\n")).composed.values["data.train"][0]
    assert (named["format"], named["columns"]) == ("messages", {"messages": "conversation"})


def test_pairs(read: Bring) -> None:
    rows = "trl-lib/pairs\n"
    text = LORA.replace(ALPACA, rows).replace("TRL_SFT", "TRL_DPO")
    text = text.replace("compile: False", "trainer_kwargs: {beta: 0.2, loss_type: ipo}")
    imported = read(text)
    assert all(one.faithful for one in imported.fates), imported.fates
    found = imported.composed.values
    assert (found["method.objective.type"], found["method.objective.beta"]) == ("dpo", 0.2)
    assert (found["method.objective.loss"], found["data.max_length"]) == ("ipo", 512)
    assert found["train.learning_rate"] == 5e-5  # Oumi's own, not trl's for pairs
    assert imported.composed.open  # which columns the rows have
    own = read(text.replace(rows, "mlabonne/orpo-dpo-mix-40k\n"))
    assert fate(own, "data.train.datasets[0].dataset_name")[0] == "unknown"
    cut = read(text.replace("beta: 0.2", "max_prompt_length: 9"))
    assert fate(cut, "training.trainer_kwargs.max_prompt_length")[0] == "unknown"


def test_a_number_of_rows_of_a_slice_is_told_in_words(read: Bring) -> None:
    before, _, after = LORA.partition("      - dataset_name: text_sft")
    rest = after[after.index("training:") :]
    entry = "{dataset_name: yahma/alpaca-cleaned, split: 'train[:10%]', sample_count: 100}"
    imported = read(f"{before}      - {entry}\n{rest}")
    kind, why = fate(imported, "data.train.datasets[0].sample_count")
    assert (kind, "slice" in why) == ("unknown", True)
    assert imported.composed.values["data.train"][0]["split"] == "train[:10%]"
