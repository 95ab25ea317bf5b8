"""A config in its own framework, and its port in another: they train the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.verify.inputs import rows as rows_of
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, keep_pair

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

CHATS = {
    "file_name": "../../specs/data/chat.jsonl",
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}
SMALL: Mapping[str, Any] = {
    "model_name_or_path": "../../specs/tiny-model",
    "dataset": "rows",
    "dataset_dir": ".",
    "cutoff_len": 256,
    "max_steps": 6,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "overwrite_cache": True,
    "use_cpu": True,
    "bf16": False,
    "output_dir": "model",
}
"""What makes a config of LLaMA-Factory small enough to be trained here. How it trains stays as it is."""
PUBLISHED: Mapping[str, Any] = {
    # examples/train_lora/qwen3_lora_sft.yaml of LLaMA-Factory: lora_alpha is missing on purpose
    "model_name_or_path": "Qwen/Qwen3-4B-Instruct-2507",
    "trust_remote_code": False,
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_rank": 8,
    "lora_target": "all",
    "preprocessing_num_workers": 1,
    "save_only_model": False,
    "learning_rate": 1.0e-4,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "ddp_timeout": 180000000,
    "resume_from_checkpoint": None,
}
PAIRS = {
    "file_name": "../../specs/data/preferences.jsonl",
    "formatting": "sharegpt",
    "ranking": True,
    "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
}
PREFERENCE: Mapping[str, Any] = {
    # examples/train_lora/qwen3_lora_dpo.yaml: what it says besides
    "stage": "dpo",
    "pref_beta": 0.1,
    "pref_loss": "sigmoid",
    "learning_rate": 5.0e-6,
}


@pytest.mark.parametrize(
    ("name", "config", "rows"),
    [
        ("lora", PUBLISHED, CHATS),
        ("dpo", {**PUBLISHED, **PREFERENCE}, PAIRS),
        ("lora, long rows", {**PUBLISHED, "cutoff_len": 40}, CHATS),
        (
            "lora, long rows from their end",
            {**PUBLISHED, "cutoff_len": 40, "mask_history": True},
            CHATS,
        ),
        ("dpo, long rows", {**PUBLISHED, **PREFERENCE, "cutoff_len": 40}, PAIRS),
    ],
    ids=["lora", "dpo", "lora-cut", "lora-cut-last", "dpo-cut"],
)
def test_a_published_config_trains_the_same_in_trl(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    config: Mapping[str, Any],
    rows: Mapping[str, Any],
) -> None:
    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("llamafactory", folder / "llamafactory")
        length = config.get("cutoff_len", SMALL["cutoff_len"])
        text = yaml.dump([("all", {**config, **SMALL, "cutoff_len": length})])
        (original.folder / "train.yaml").write_text(text)
        (original.folder / "dataset_info.json").write_text(json.dumps({"rows": rows}))
        monkeypatch.chdir(original.folder)
        carried = carry([Path("train.yaml")], "trl", folder / "trl")
        assert carried.plan.native["LoraConfig.lora_alpha"] == 16
        assert carried.imported.composed.values["method.objective.type"] == config["stage"]
        return {
            "llamafactory": original,
            "trl": as_run(carried.plan, ensure(load_backend("trl"))),
        }

    proven = lab.compare(f"ported-{name}", runs)
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    keep_pair(f"llamafactory, published {name}", "llamafactory", "trl", certificate)
    losses = [step.loss for step in proven.evidence("llamafactory").steps]
    assert len(losses) == SMALL["max_steps"] and losses[0] != losses[-1]
    longest = max(len(row.ids) for row in rows_of(proven.evidence("trl")))
    assert (longest == config.get("cutoff_len")) == ("cutoff_len" in config)


UNSLOTH = """\
import torch
from unsloth import FastLanguageModel
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

max_seq_length = 256
model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="../../specs/tiny-model", max_seq_length=max_seq_length, dtype=torch.float32,
    load_in_4bit=False, device_map="cpu",
)
model = FastLanguageModel.get_peft_model(
    model, r=16, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    lora_alpha=16, lora_dropout=0, bias="none", use_gradient_checkpointing="unsloth",
    random_state=3407, use_rslora=False, loftq_config=None,
)
dataset = load_dataset("json", data_files="../../specs/data/chat.jsonl", split="train")
trainer = SFTTrainer(
    model=model, processing_class=tokenizer, train_dataset=dataset,
    args=SFTConfig(
        per_device_train_batch_size=2, gradient_accumulation_steps=4 // 2, warmup_steps=2, max_steps=6,
        learning_rate=2e-4, logging_steps=1, optim="adamw_torch", weight_decay=0.01, max_length=256,
        lr_scheduler_type="linear", seed=3407, report_to="none", bf16=False, use_cpu=True,
        save_strategy="no", pad_to_multiple_of=8, output_dir="model",
    ),
)
trainer_stats = trainer.train()
trainer.save_model("model")
"""
"""A notebook of Unsloth's as people copy it, on the tiny model."""
SCRIPT = """\
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

MODEL = "../../specs/tiny-model"
model = AutoModelForCausalLM.from_pretrained(MODEL, torch_dtype="float32")
tokenizer = AutoTokenizer.from_pretrained(MODEL)
dataset = load_dataset("json", data_files="../../specs/data/chat.jsonl", split="train")
adapter = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
args = SFTConfig(
    output_dir="model", max_length=256, assistant_only_loss=True, max_steps=6, learning_rate=1e-4,
    per_device_train_batch_size=2, gradient_accumulation_steps=2, lr_scheduler_type="cosine",
    warmup_steps=1, bf16=False, use_cpu=True, logging_steps=1, save_strategy="no", report_to="none",
    pad_to_multiple_of=8,
)
trainer = SFTTrainer(
    model=model, args=args, train_dataset=dataset, processing_class=tokenizer, peft_config=adapter
)
trainer.train()
trainer.save_model("model")
"""
"""A script for trl: peft's alpha of 8 is missing on purpose."""


ROWS = 'dataset = load_dataset("json", data_files="../../specs/data/chat.jsonl", split="train")\n'
ALPACA = """\
alpaca_prompt = \"\"\"Below is an instruction that describes a task. {{Write}} a response.

### Instruction:
{}

### Input:
{}

### Response:
{}\"\"\"

EOS_TOKEN = tokenizer.eos_token
def formatting_prompts_func(examples):
    instructions = examples["instruction"]
    inputs       = examples["input"]
    outputs      = examples["output"]
    texts = []
    for instruction, input, output in zip(instructions, inputs, outputs):
        # Must add EOS_TOKEN, otherwise your generation will go on forever!
        text = alpaca_prompt.format(instruction, input, output) + EOS_TOKEN
        texts.append(text)
    return { "text" : texts, }
pass

dataset = load_dataset("json", data_files="../../specs/data/alpaca.jsonl", split="train")
dataset = dataset.map(formatting_prompts_func, batched = True,)
"""
"""What most notebooks of Unsloth make of their rows."""
RENDERED = """\
def formatting_prompts_func(examples):
    convos = examples["messages"]
    texts = [
        tokenizer.apply_chat_template(convo, tokenize = False, add_generation_prompt = False)
        for convo in convos
    ]
    return { "text" : texts, }

dataset = load_dataset("json", data_files="../../specs/data/chat.jsonl", split="train")
dataset = dataset.map(formatting_prompts_func, batched = True,)
"""
"""Another of them: conversations, as the chat template writes them."""
TURNS = """\
system_message = "Answer in one sentence."

def create_conversation(sample):
    return {
        "messages": [
            {"role": "system", "content": system_message},
            {"role": "user", "content": f"{sample['instruction']}\\n{sample['input']}"},
            {"role": "assistant", "content": sample["output"]},
        ]
    }

dataset = load_dataset("json", data_files="../../specs/data/alpaca.jsonl", split="train")
dataset = dataset.shuffle(seed=42).map(create_conversation, remove_columns=dataset.column_names)
dataset = dataset.train_test_split(test_size=0.25, seed=42)["train"]
"""
"""What many scripts for trl make of theirs."""


@pytest.mark.parametrize(
    ("name", "backend", "text", "target", "rank", "alpha"),
    [
        ("script", "unsloth", UNSLOTH, "trl", 16, 16),
        ("script", "trl", SCRIPT, "llamafactory", 8, 8),
        ("texts", "unsloth", UNSLOTH.replace(ROWS, ALPACA), "trl", 16, 16),
        ("rendered", "unsloth", UNSLOTH.replace(ROWS, RENDERED), "trl", 16, 16),
        ("turns", "trl", SCRIPT.replace(ROWS, TURNS), "deepspeed", 8, 8),
    ],
)
def test_a_script_trains_the_same_elsewhere(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    backend: str,
    text: str,
    target: str,
    rank: int,
    alpha: int,
) -> None:
    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled(backend, folder / backend)
        (original.folder / "train.py").write_text(text)
        monkeypatch.chdir(original.folder)
        # of the rows none is longer than the limit, so it makes no difference how they are cut
        carried = carry([Path("train.py")], target, folder / target, allow_lossy=True)
        values = carried.imported.composed.values
        assert (values["method.tuner.rank"], values["method.tuner.alpha"]) == (rank, alpha)
        assert carried.imported.faithful
        return {backend: original, target: as_run(carried.plan, ensure(load_backend(target)))}

    proven = lab.compare(f"ported-{backend}-{name}", runs)
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    keep_pair(f"{backend}, {name}", backend, target, certificate)
    losses = [step.loss for step in proven.evidence(target).steps]
    assert len(losses) == 6 and losses[0] != losses[-1]
