"""Python scripts and notebooks: what their calls set, what is asked, and nothing is executed."""

from __future__ import annotations

import json

import pytest

from ftspec.errors import SpecError
from tests.port.conftest import Bring, fate

TRL = """\
import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

MODEL = "org/model"
model = AutoModelForCausalLM.from_pretrained(MODEL, torch_dtype=torch.bfloat16, device_map="auto")
tokenizer = AutoTokenizer.from_pretrained(MODEL)
tokenizer.pad_token = tokenizer.eos_token
dataset = load_dataset("json", data_files="data/chat.jsonl", split="train")
args = SFTConfig(output_dir="out", max_length=4 * 256, num_train_epochs=1, RATE)
adapter = LoraConfig(r=8, lora_alpha=32, target_modules=["q_proj"], task_type="CAUSAL_LM")
trainer = SFTTrainer(model=model, args=args, train_dataset=dataset, peft_config=adapter)
trainer.train()
model = model.merge_and_unload()
""".replace("RATE", "learning_rate=1e-4")
UNSLOTH = """\
from unsloth import FastLanguageModel, is_bfloat16_supported
from datasets import load_dataset
from trl import SFTTrainer
from transformers import TrainingArguments

length = 512
model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="org/model", max_seq_length=length, dtype=None, load_in_4bit=False
)
model = FastLanguageModel.get_peft_model(model, r=16, lora_alpha=16, random_state=3407)
dataset = load_dataset("json", data_files="data/chat.jsonl", split="train")
trainer = SFTTrainer(
    model=model, tokenizer=tokenizer, train_dataset=dataset, max_seq_length=length,
    args=TrainingArguments(
        per_device_train_batch_size=2, gradient_accumulation_steps=4, max_steps=60, seed=3407,
        fp16=not is_bfloat16_supported(), bf16=is_bfloat16_supported(), output_dir="outputs",
    ),
)
trainer_stats = trainer.train()
"""


def notebook(*cells: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": [cell]} for cell in cells]})


def test_a_script_of_trl(read: Bring) -> None:
    imported = read(TRL, "train.py")
    found = imported.composed.values
    assert imported.parts[0].format.name == "trl_script"
    assert found["model.name"] == "org/model"
    assert found["model.dtype"] == "bfloat16"
    assert found["data.max_length"] == 1024
    assert found["train.learning_rate"] == 1e-4
    assert found["method.tuner.rank"] == 8
    assert found["method.tuner.alpha"] == 32
    assert found["method.tuner.dropout"] == 0.0  # peft's, not that of trl's command line
    assert found["data.train"][0]["path"] == "data/chat.jsonl"
    assert imported.faithful, imported.composed.open
    places = {one.setting.key: one.setting.line for one in imported.fates}
    assert places["learning_rate"] == 12
    assert places["LoraConfig.r"] == 13


@pytest.mark.parametrize(
    ("given", "tuner"),
    [
        (", peft_config=adapter", "lora"),
        ("", "full"),
        (", peft_config=None", "full"),
    ],
)
def test_an_adapter_counts_where_a_trainer_is_given_it(read: Bring, given: str, tuner: str) -> None:
    imported = read(TRL.replace(", peft_config=adapter", given), "train.py")
    assert imported.composed.values["method.tuner.type"] == tuner
    kind, why = fate(imported, "LoraConfig.r" if tuner == "lora" else "unused LoraConfig.r")
    assert kind in ("exact", "renamed") if tuner == "lora" else kind == "inert", why


@pytest.mark.parametrize("args", ["", ", args=SFTConfig()"])
def test_a_trainer_without_arguments(read: Bring, args: str) -> None:
    """The first lines of trl's own introduction."""
    found = read(
        "from trl import SFTConfig, SFTTrainer\nfrom datasets import load_dataset\n"
        'rows = load_dataset("trl-lib/Capybara", split="train")\n'
        f'trainer = SFTTrainer("Qwen/Qwen3-0.6B", train_dataset=rows{args})\ntrainer.train()\n',
        "train.py",
    )
    values = found.composed.values
    assert (values["model.name"], values["train.batch_size"]) == ("Qwen/Qwen3-0.6B", 8)


def test_what_a_trainer_is_given_itself(read: Bring) -> None:
    """Older trainers took what their config has now; nothing of it is lost."""
    script = (
        "from trl import DPOConfig, DPOTrainer\n"
        "dpo_trainer = DPOTrainer(\n"
        '    "org/model", ref_model=None, args=DPOConfig(bf16=True), beta=0.2, max_length=700,\n'
        "    max_prompt_length=300, callbacks=None, odd=3,\n)\ndpo_trainer.train()\n"
    )
    found = read(script, "train.py")
    values = found.composed.values
    assert (values["method.objective.beta"], values["data.max_length"]) == (0.2, 700)
    assert values["data.max_prompt_length"] == 300
    assert fate(found, "odd")[0] == "unknown"
    assert {one.setting.key for one in found.fates} & {"ref_model", "callbacks"} == set()


def test_unsloths_own_trainer(read: Bring) -> None:
    script = UNSLOTH.replace("SFTTrainer", "UnslothTrainer").replace(
        "TrainingArguments(", "UnslothTrainingArguments(embedding_learning_rate=1e-5,"
    )
    found = read(script, "train.py")
    assert found.composed.values["train.steps"] == 60
    assert found.composed.values["train.embedding_learning_rate"] == 1e-5
    assert fate(found, "embedding_learning_rate")[0] == "renamed"
    # trl's own trainer takes these arguments, and does not look at the rate
    found = read(script.replace("UnslothTrainer(", "SFTTrainer("), "train.py")
    assert fate(found, "embedding_learning_rate")[0] == "inert"
    assert found.composed.values.get("train.embedding_learning_rate") is None


@pytest.mark.parametrize(
    "line",
    [
        "get_ipython().run_line_magic('env', 'A=1')",
        "PatchDPOTrainer()",
        "pprint.pprint(dataset[0])",
        'print("a" * n)',
        'tokenizer.decode(trainer.train_dataset[5]["input_ids"])',
        'space = tokenizer(" ", add_special_tokens=False).input_ids[0]',
        'dataset[5]["text"]',
    ],
)
def test_what_a_notebook_only_shows(read: Bring, line: str) -> None:
    found = read(UNSLOTH.replace("trainer_stats", f"{line}\ntrainer_stats"), "train.py")
    assert not [one for one in found.composed.open if one.startswith("line ")]


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("args = SFTConfig(max_steps=5)", ""),
        ('other = AutoModelForCausalLM.from_pretrained("org/other")', ""),
        ("trainer.train()", "another training"),
        ("adapter = LoraConfig(r=8)", ""),
    ],
)
def test_what_is_made_twice_is_a_question(read: Bring, line: str, asked: str) -> None:
    found = read(TRL.replace("trainer.train()", f"{line}\ntrainer.train()"), "train.py")
    open_ones = [one for one in found.composed.open if one.startswith("line ")]
    assert any(asked in one for one in open_ones) if asked else not open_ones


def test_an_adapter_that_peft_puts_around_the_model(read: Bring) -> None:
    around = TRL.replace(", peft_config=adapter", "").replace(
        "trainer = ",
        "from peft import get_peft_model\nmodel = get_peft_model(model, adapter)\ntrainer = ",
    )
    assert read(around, "train.py").composed.values["method.tuner.type"] == "lora"


@pytest.mark.parametrize(
    ("old", "new", "asked"),
    [
        ("learning_rate=1e-4", "learning_rate=float(LR)", "SFTConfig.learning_rate = float(LR)"),
        ('split="train")', 'split="train").filter(good)', "filter(good)"),
        ("trainer = SFT", "dataset = dataset.map(f)\ntrainer = SFT", "dataset.map(f)"),
        ("trainer = SFT", "if x:\n    model.to(1)\ntrainer = SFT", "if x:"),
        ("target_modules=[", "target_modules=names or [", "LoraConfig.target_modules"),
    ],
)
def test_what_is_no_literal_is_a_question(read: Bring, old: str, new: str, asked: str) -> None:
    imported = read(TRL.replace(old, new), "train.py")
    assert any(asked in question for question in imported.composed.open), imported.composed.open
    assert "TODO" in imported.composed.text


def test_what_comes_after_the_training_is_not_asked_for(read: Bring) -> None:
    assert not read(TRL, "train.py").composed.open


def test_full_tuning_without_a_dtype_is_a_question(read: Bring) -> None:
    script = TRL.replace(", torch_dtype=torch.bfloat16", "").replace(", peft_config=adapter", "")
    script = "\n".join(line for line in script.splitlines() if "LoraConfig" not in line)
    imported = read(script, "train.py")
    assert imported.composed.values["method.tuner.type"] == "full"
    assert any("dtype" in question for question in imported.composed.open)


def test_an_unsloth_script(read: Bring) -> None:
    imported = read(UNSLOTH, "train.py")
    found = imported.composed.values
    assert imported.parts[0].format.name == "unsloth_script"
    assert found["method.tuner.rank"] == 16
    assert "gate_proj" in found["method.tuner.targets"]
    assert found["train.batch_size"] == 8
    assert found["train.seed"] == 3407
    assert found["train.learning_rate"] == 5e-5  # TrainingArguments'
    assert found["train.gradient_checkpointing"] is True
    assert found["precision.compute"] == "bf16"
    assert found["data.max_length"] == 512
    assert imported.faithful, (imported.composed.open, imported.fates)


def test_unsloth_loads_four_bits_where_nothing_is_said(read: Bring) -> None:
    found = read(UNSLOTH.replace(", load_in_4bit=False", ""), "train.py").composed.values
    assert found["model.quantization.type"] == "nf4"


def test_unsloth_writes_the_config_class_anew(read: Bring) -> None:
    script = UNSLOTH.replace("TrainingArguments", "SFTConfig").replace("seed=3407,\n", "\n")
    script = script.replace("per_device_train_batch_size=2, gradient_accumulation_steps=4, ", "")
    found = read(script, "train.py").composed.values
    assert found["train.batch_size"] == 8
    assert found["train.optimizer.type"] == "adamw-8bit"
    assert found["train.weight_decay"] == 0.001
    assert found["train.seed"] == 3407


def test_another_seed_of_the_adapter_is_told(read: Bring) -> None:
    script = UNSLOTH.replace("seed=3407,\n", "seed=1,\n")
    kind, why = fate(read(script, "train.py"), "get_peft_model.random_state")
    assert kind == "approximated"
    assert "seed of their own" in why


def test_its_rows_keep_their_order(read: Bring) -> None:
    found = read(UNSLOTH.replace("seed=3407,\n", "seed=1,\n"), "train.py").composed.values
    assert (found["train.seed"], found["train.data_seed"]) == (3407, 1)


@pytest.mark.parametrize(
    ("loaded", "targets", "saved"),
    [
        ("", ("q_proj",), ("lm_head", "embed_tokens")),
        (", fast_inference=True", ("q_proj", "embed_tokens", "lm_head"), ("lm_head",)),
    ],
)
def test_unsloth_trains_embeddings_among_the_targets_in_full(
    read: Bring, loaded: str, targets: tuple[str, ...], saved: tuple[str, ...]
) -> None:
    asked = (
        "r=16, target_modules=['q_proj', 'embed_tokens', 'lm_head'], modules_to_save=['lm_head']"
    )
    script = UNSLOTH.replace("r=16", asked).replace("dtype=None", f"dtype='float32'{loaded}")
    found = read(script, "train.py").composed.values
    assert tuple(found["method.tuner.modules_to_save"]) == saved
    assert loaded or tuple(found["method.tuner.targets"]) == targets


def test_weights_in_four_bits_already(read: Bring) -> None:
    script = UNSLOTH.replace("org/model", "unsloth/x-bnb-4bit").replace("=False", "=True")
    imported = read(script, "train.py")
    assert imported.composed.values["model.name"] == "unsloth/x"
    assert fate(imported, "model_name_or_path")[0] == "approximated"


def test_a_notebook_is_its_cells(read: Bring) -> None:
    head, tail = TRL.split("args = ")
    cells = ("%%capture\n!pip install trl", f"%matplotlib inline\n{head}", f"args = {tail}", "x?")
    imported = read(notebook(*cells), "train.ipynb")
    assert imported.composed.values["method.tuner.alpha"] == 32
    assert imported.faithful, imported.composed.open


def test_lines_of_a_notebook_are_told_by_its_cells(read: Bring) -> None:
    head, tail = TRL.split("args = ")
    cells = [{"cell_type": "markdown", "source": "# title"}]
    code = ("%%capture\n!pip install trl\n", head, f"print(1)\nodd(args)\nargs = {tail}")
    cells += [{"cell_type": "code", "source": one} for one in code]
    imported = read(json.dumps({"cells": cells}), "train.ipynb")
    (rate,) = (one for one in imported.fates if one.setting.key == "learning_rate")
    within = code[2].splitlines()
    said = next(number for number, line in enumerate(within, 1) if "learning_rate" in line)
    assert (rate.setting.cell, rate.setting.line) == (4, said)
    assert rate.setting.place.endswith(f"train.ipynb, cell 4:{said}")
    assert "cell 4, line 2: odd(args)" in imported.composed.open


def test_a_notebook_that_launches(read: Bring) -> None:
    line = (
        "!trl sft --model_name_or_path org/model \\\n  --dataset_name org/rows --learning_rate 1e-4"
    )
    found = read(notebook("import os", line), "train.ipynb").composed.values
    assert found["train.learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("x = (", "a.py", "not Python"),
        ("x = 1", "a.py", "not in a format"),
        ("{}", "a.ipynb", "list of cells"),
        ("[1]", "a.ipynb", "list of cells"),
    ],
)
def test_what_is_refused(read: Bring, text: str, name: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read(text, name)


def test_nothing_is_executed(read: Bring) -> None:
    danger = '__import__("os").system("exit 3")\n' + TRL
    assert any("__import__" in question for question in read(danger, "train.py").composed.open)
