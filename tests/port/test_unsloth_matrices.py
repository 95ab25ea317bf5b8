"""Embeddings and head beside adapters, as Unsloth trains them: models/_utils.py of 2026.10.9."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.port.conftest import Bring, fate

SCRIPT = """\
from unsloth import FastLanguageModel
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

model, tokenizer = FastLanguageModel.from_pretrained("m", dtype='float32', load_in_4bit=False)
model = FastLanguageModel.get_peft_model(model, ADAPTER, random_state=3407)
rows = load_dataset("json", data_files="chat.jsonl", split="train")
SFTTrainer(model=model, train_dataset=rows, args=SFTConfig(output_dir="o")).train()
"""
BOTH = "target_modules=['q_proj', 'embed_tokens', 'lm_head']"
SAVED = "target_modules=['q_proj'], modules_to_save=['embed_tokens', 'lm_head']"
TARGETS, MODULES = "get_peft_model.target_modules", "get_peft_model.modules_to_save"


@pytest.mark.parametrize(
    ("adapter", "config", "key", "kind"),
    [
        (BOTH, None, TARGETS, "approximated"),
        (BOTH, {"tie_word_embeddings": True}, TARGETS, "approximated"),
        (BOTH, {"tie_word_embeddings": False}, TARGETS, "derived"),
        (f"{BOTH}, ensure_weight_tying=False", None, TARGETS, "derived"),
        (BOTH.replace(", 'lm_head'", ""), None, TARGETS, "derived"),
        (SAVED, None, MODULES, "approximated"),
        (SAVED, {"tie_word_embeddings": False}, MODULES, "exact"),
    ],
)
def test_head_and_embeddings_may_be_one_matrix(
    read: Bring, adapter: str, config: Any, key: str, kind: str
) -> None:
    script = SCRIPT.replace("ADAPTER", adapter)
    if config is not None:
        folder = read(script, "train.py").parts[0].context.document.path.parent / "m"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
    found, why = fate(read(script, "train.py"), key)
    assert found == kind and ("one matrix" in why) == (kind == "approximated")


@pytest.mark.parametrize("names", ["'embed_tokens', 'lm_head'", "'lm_head'"])
def test_it_stops_without_another_target(read: Bring, names: str) -> None:
    imported = read(SCRIPT.replace("ADAPTER", f"target_modules=[{names}]"), "train.py")
    kind, why = fate(imported, TARGETS)
    assert kind == "unknown" and "Unsloth stops" in why


@pytest.mark.parametrize("more", ["", ", 'lm_head'"])
def test_a_target_counts_once(read: Bring, more: str) -> None:
    said = f"target_modules=['q_proj', 'q_proj'{more}]"
    found = read(SCRIPT.replace("ADAPTER", said), "train.py").composed.values
    assert tuple(found["method.tuner.targets"]) == ("q_proj",)
