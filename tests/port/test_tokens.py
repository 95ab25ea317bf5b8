"""Special and new tokens of other tools: which tokens, how they begin, what trains of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_axolotl import LORA

NEW = ("tokens", "special", "init", "multiple")
FACTORY = """\
model_name_or_path: org/model
stage: sft
do_train: true
finetuning_type: lora
dataset: some
"""
SCRIPT = """\
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer
from unsloth import add_new_tokens

model = AutoModelForCausalLM.from_pretrained("org/model", dtype="float32")
tokenizer = AutoTokenizer.from_pretrained("org/model")
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token
CHANGED
rows = load_dataset("json", data_files="rows.jsonl", split="train")
args = SFTConfig(output_dir="out", MORE)
trainer = SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
trainer.train()
"""


def script(changed: str, more: str = "seed=1") -> str:
    return SCRIPT.replace("CHANGED", changed).replace("MORE", more)


def new(imported: Any) -> tuple[Any, ...] | None:
    found = imported.composed.values
    if "model.new_tokens.tokens" not in found:
        return None
    return tuple(found[f"model.new_tokens.{name}"] for name in NEW)


@pytest.mark.parametrize(
    ("said", "tokens", "fates"),
    [
        ("tokens: [<a>, <b>]", (("<a>", "<b>"), False, "normal", 1), {"tokens": "renamed"}),
        (
            "tokens: [<a>]\nresize_token_embeddings_to_32x: true\nmean_resizing_embeddings: true",
            (("<a>",), False, "mean", 32),
            dict.fromkeys(
                ("mean_resizing_embeddings", "resize_token_embeddings_to_32x"), "derived"
            ),
        ),
        (
            "special_tokens: {additional_special_tokens: [<a>]}",
            (("<a>",), True, "normal", 1),
            {"special_tokens.additional_special_tokens": "renamed"},
        ),
        (
            "tokens: [<a>]\nspecial_tokens: {additional_special_tokens: [<b>]}",
            (("<a>",), False, "normal", 1),
            {"special_tokens.additional_special_tokens": "unknown", "tokens": "renamed"},
        ),
        (
            "resize_token_embeddings_to_32x: true\nmean_resizing_embeddings: false",
            None,
            {"resize_token_embeddings_to_32x": "approximated", "mean_resizing_embeddings": "inert"},
        ),
        (
            "tokenizer_use_fast: true\ntokenizer_legacy: true",
            None,
            {"tokenizer_use_fast": "inert", "tokenizer_legacy": "inert"},
        ),
        ("tokenizer_legacy: false", None, {"tokenizer_legacy": "unknown"}),
        (
            "added_tokens_overrides: {'128041': <a>}",
            None,
            {"added_tokens_overrides.128041": "unknown"},
        ),
        ("shrink_embeddings: true", None, {"shrink_embeddings": "unknown"}),
    ],
)
def test_axolotl(read: Bring, said: str, tokens: Any, fates: dict[str, str]) -> None:
    imported = read(f"{LORA}{said}\n")
    assert new(imported) == tokens
    assert {key: fate(imported, key)[0] for key in fates} == fates


@pytest.mark.parametrize(
    ("said", "tokens", "saved", "fates"),
    [
        (
            "add_special_tokens: '<a>, <b>'",
            (("<a>", "<b>"), True, "noise", 64),
            ("embed_tokens", "lm_head"),
            {"add_special_tokens": "renamed"},
        ),
        (
            "add_special_tokens: <a>\nresize_vocab: true\nadditional_target: lm_head",
            (("<a>",), True, "noise", 64),
            ("lm_head",),
            {"add_special_tokens": "renamed", "resize_vocab": "derived"},
        ),
        (
            "add_tokens: <a>",
            (("<a>",), False, "noise", 64),
            ("embed_tokens", "lm_head"),
            {"add_tokens": "approximated"},
        ),
        ("resize_vocab: false", None, (), {"resize_vocab": "exact"}),
        (
            "resize_vocab: true",
            None,
            ("embed_tokens", "lm_head"),
            {"resize_vocab": "approximated"},
        ),
        (
            "new_special_tokens_config: t.yaml\ninit_special_tokens: desc_init",
            None,
            (),
            {"new_special_tokens_config": "unknown", "init_special_tokens": "unknown"},
        ),
    ],
)
def test_llamafactory(
    read: Bring, said: str, tokens: Any, saved: tuple[str, ...], fates: dict[str, str]
) -> None:
    imported = read(f"{FACTORY}{said}\n")
    assert new(imported) == tokens
    assert imported.composed.values.get("method.tuner.modules_to_save", ()) == saved
    assert {key: fate(imported, key)[0] for key in fates} == fates


def test_trl_names_tokens_of_the_vocabulary(read: Bring) -> None:
    text = "model_name_or_path: org/model\ndataset_name: org/rows\neos_token: <end>\npad_token: <pad>\n"
    imported = read(f"{text}trainer: sft\n")
    assert fate(imported, "eos_token")[0] == fate(imported, "pad_token")[0] == "renamed"
    found = imported.composed.values
    assert found["model.special_tokens.eos"] == "<end>"
    assert found["model.special_tokens.pad"] == "<pad>"


@pytest.mark.parametrize(
    ("changed", "special", "tokens", "fates"),
    [
        (
            "tokenizer.eos_token = '<end>'",
            {"eos": "<end>"},
            None,
            {"tokenizer.eos_token": "renamed"},
        ),
        (
            "tokenizer.add_special_tokens({'pad_token': '[PAD]'})\n"
            "model.resize_token_embeddings(len(tokenizer))",
            {"pad": "[PAD]"},
            None,
            {
                "add_special_tokens.0.pad_token": "renamed",
                "resize_token_embeddings.0": "approximated",
            },
        ),
        (
            "tokenizer.add_tokens(['<a>', '<b>'], special_tokens=True)\n"
            "model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64, mean_resizing=False)",
            {},
            (("<a>", "<b>"), True, "normal", 64),
            {"add_tokens.0": "renamed", "resize_token_embeddings.mean_resizing": "derived"},
        ),
        (
            "tokenizer.add_special_tokens({'additional_special_tokens': ['<a>']})",
            {},
            (("<a>",), True, "mean", 1),
            {"add_special_tokens.0.additional_special_tokens": "renamed"},
        ),
        (
            "tokenizer.add_tokens('<a>')",
            {},
            (("<a>",), False, "mean", 1),
            {"add_tokens.0": "approximated"},
        ),
        (
            "tokenizer.add_tokens(['<a>'])\ntokenizer.add_special_tokens({'extra_special_tokens': ['<b>']})",
            {},
            None,
            {"add_tokens.0": "unknown"},
        ),
        (
            "add_new_tokens(model, tokenizer, new_tokens=['<a>'], method='mean')",
            {},
            (("<a>",), False, "mean", 1),
            {"add_new_tokens.new_tokens": "approximated", "add_new_tokens.method": "derived"},
        ),
        (
            "add_new_tokens(model, tokenizer, new_tokens=['<a>'], method='interpolation')",
            {},
            (("<a>",), False, "mean", 1),
            {"add_new_tokens.method": "unknown"},
        ),
    ],
)
def test_scripts(
    read: Bring, changed: str, special: dict[str, str], tokens: Any, fates: dict[str, str]
) -> None:
    imported = read(script(changed), "train.py")
    found = imported.composed.values
    prefix = "model.special_tokens."
    assert {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)} == special
    assert new(imported) == tokens
    assert {key: fate(imported, key)[0] for key in fates} == fates
    assert not [told for told in imported.composed.open if "pad_token" in told or "resize" in told]


def test_a_number_of_rows_that_is_worked_out_is_asked_for(read: Bring) -> None:
    imported = read(script("model.resize_token_embeddings(len(tokenizer) + 8)"), "train.py")
    assert any("len(tokenizer) + 8" in str(told) for told in imported.composed.open)
