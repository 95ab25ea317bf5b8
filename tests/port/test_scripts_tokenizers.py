"""How a script loads its tokenizer: what changes tokens is said or asked for, never passed over."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate

TRL = """\
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer
tokenizer = AutoTokenizer.from_pretrained({})
model = AutoModelForCausalLM.from_pretrained("org/base", torch_dtype="bfloat16")
rows = load_dataset("json", data_files="r.jsonl", split="train")
config = SFTConfig(output_dir="o", learning_rate=1e-4, dataset_text_field="text")
trainer = SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
trainer.train()
"""
PLAIN = """\
from datasets import load_dataset
from transformers import *
tokenizer = AutoTokenizer.from_pretrained({})
model = AutoModelForCausalLM.from_pretrained("org/base", torch_dtype="bfloat16")
rows = load_dataset("json", data_files="r.jsonl", split="train")
def tokens(batch):
    return tokenizer(batch["text"], truncation=True, max_length=256)
rows = rows.map(tokens, batched=True)
args = TrainingArguments(output_dir="o", learning_rate=1e-4, bf16=True)
trainer = Trainer(model=model, args=args, train_dataset=rows,
                  data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False))
trainer.train()
"""


@pytest.mark.parametrize(
    ("said", "key", "kind"),
    [
        ('"org/base"', "0", "derived"),
        ('"org/other"', "0", "unknown"),
        ('"org/base", revision="main"', "revision", "derived"),
        ('"org/base", revision="v2"', "revision", "unknown"),
        ('"org/base", add_bos_token=False', "add_bos_token", "approximated"),
        ('"org/base", add_eos_token=True', "add_eos_token", "approximated"),
        ('"org/base", add_eos_token=False', "add_eos_token", "inert"),
        ('"org/base", use_fast=False', "use_fast", "approximated"),
        ('"org/base", use_fast=True', "use_fast", "inert"),
        ('"org/base", legacy=False', "legacy", "unknown"),
        ('"org/base", additional_special_tokens=["<a>"]', "additional_special_tokens", "unknown"),
        ('"org/base", padding_side="left"', "padding_side", "inert"),
        ('"org/base", model_max_length=64', "model_max_length", "inert"),
        ('"org/base", truncation_side="left"', "truncation_side", "inert"),
    ],
)
def test_arguments_of_a_tokenizer(read: Bring, said: str, key: str, kind: str) -> None:
    assert fate(read(TRL.format(said), "fit.py"), f"AutoTokenizer.{key}")[0] == kind


@pytest.mark.parametrize("key", ["model_max_length=64", 'truncation_side="left"'])
def test_rows_that_a_script_cuts_itself(read: Bring, key: str) -> None:
    found = read(PLAIN.format(f'"org/base", {key}'), "fit.py")
    assert fate(found, f"AutoTokenizer.{key.partition('=')[0]}")[0] == "unknown"
    later = PLAIN.format('"org/base"').replace("model = ", f"tokenizer.{key}\nmodel = ", 1)
    assert any(key.partition("=")[0] in one for one in read(later, "fit.py").composed.open)


def test_tokens_that_it_names(read: Bring) -> None:
    found = read(TRL.format('"org/base", eos_token="<e>", pad_token="<p>"'), "fit.py").composed
    named = {key: found.values[f"model.special_tokens.{key}"] for key in ("eos", "pad")}
    assert named == {"eos": "<e>", "pad": "<p>"}


def test_a_template_of_its_own(read: Bring) -> None:
    imported = read(
        TRL.format('"org/base", chat_template="{% for m in messages %}{% endfor %}"'), "fit.py"
    )
    assert any(one.setting.key == "tokenizer.chat_template" for one in imported.fates)


def test_a_name_that_is_not_known_is_asked_for(read: Bring) -> None:
    found = read(TRL.format("pick()"), "fit.py").composed
    assert any("which tokenizer it is, is not known" in one for one in found.open)


def test_the_one_that_the_trainer_is_given_counts(read: Bring) -> None:
    text = TRL.format('"org/base"').replace(
        "model = ", 'judge = AutoTokenizer.from_pretrained("org/judge")\nmodel = '
    )
    assert fate(read(text, "fit.py"), "AutoTokenizer.0")[0] == "derived"
    swapped = text.replace("processing_class=tokenizer", "processing_class=judge")
    assert fate(read(swapped, "fit.py"), "AutoTokenizer.0")[0] == "unknown"


@pytest.mark.parametrize(
    ("name", "asked"),
    [("ACCELERATE_MIXED_PRECISION", True), ("ACCELERATE_USE_FSDP", True), ("FSDP_VERSION", True),
     ("UNSLOTH_FORCE_FLOAT32", True), ("ACCELERATE_LOG_LEVEL", False), ("WANDB_PROJECT", False),
     ("CUDA_VISIBLE_DEVICES", False)],
)  # fmt: skip
def test_variables_that_change_a_training(read: Bring, name: str, asked: bool) -> None:
    text = f'import os\nos.environ["{name}"] = "1"\n' + TRL.format('"org/base"')
    assert any(name in one for one in read(text, "fit.py").composed.open) is asked


@pytest.mark.parametrize(
    ("line", "asked"),
    [("tok.pad_token = tok.eos_token", False), ("tok.padding_side = 'left'", False),
     ("tok.pad_token = '<p>'", True), ("tok.chat_template = mine", True)],
)  # fmt: skip
def test_a_tokenizer_by_a_shorter_name(read: Bring, line: str, asked: bool) -> None:
    text = (
        TRL.format('"org/base"')
        .replace("tokenizer", "tok")
        .replace("model = ", f"{line}\nmodel = ", 1)
    )
    found = read(text.replace("tok=", "processing_class="), "fit.py").composed
    assert any(line in one for one in found.open) is asked
