"""Pairs of answers beside images: a config of LLaMA-Factory, and a script of trl, train the same as ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftspec.env.install import ensure
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from tests.real.conftest import Lab
from tests.real.ported_images import ported
from tests.real.test_images import SEEING
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

COMPARED = {
    "file_name": "../../pictures/pairs.jsonl",
    "formatting": "sharegpt",
    "ranking": True,
    "columns": {
        "messages": "conversations",
        "chosen": "chosen",
        "rejected": "rejected",
        "images": "images",
    },
}
"""As the entry of `rlhf_v` has it."""
PAIRED: Mapping[str, Any] = {
    **SEEING,
    "stage": "dpo",
    "pref_beta": 0.1,
    "pref_loss": "sigmoid",
    "learning_rate": 1.0e-2,
}
CASES: Mapping[str, Mapping[str, Any]] = {
    "the language model": {},
    "four bits": {"quantization_bit": 4, "quantization_method": "bnb"},
    "the tower as well": {"freeze_vision_tower": False, "pref_beta": 0.5},
    "all weights but the tower": {
        "finetuning_type": "full",
        "freeze_multi_modal_projector": False,
        "learning_rate": 1.0e-4,
    },
}

HAND = """\
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import DPOConfig, DPOTrainer

NAME, FOLDER = "../../seeing", "../../pictures"
model = AutoModelForImageTextToText.from_pretrained(NAME, dtype="float32")
processor = AutoProcessor.from_pretrained(NAME)
rows = load_dataset("parquet", data_files="../../pictures/pairs.parquet", split="train")
trainer = DPOTrainer(
    model=model, train_dataset=rows, processing_class=processor,
    args=DPOConfig(
        output_dir="model", max_steps=6, per_device_train_batch_size=2, gradient_accumulation_steps=2,
        learning_rate=1e-2, logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, bf16=False,
    ),
    peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"),
)
trainer.train()
trainer.save_model("model")
"""
"""trl makes its batches, and puts the images of a row before its first question."""


@pytest.mark.parametrize("case", CASES)
def test_pairs_with_images_train_the_same_in_trl(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    ported(lab, monkeypatch, f"pairs with images, {case}", {**PAIRED, **CASES[case]}, COMPARED)


def test_a_script_of_trl_trains_the_same(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for how far rows are filled up: its collator takes no multiple, and a spec has one of 8."""

    def runs(folder: Path) -> Mapping[str, Run]:
        original = folder / "original"
        original.mkdir(parents=True)
        (original / "train.py").write_text(HAND)
        monkeypatch.chdir(original)
        answer = ("data.train.columns.images=images",)
        carried = carry([Path("train.py")], "trl", folder / "trl", sets=answer)
        run = as_run(carried.plan, ensure(load_backend("trl"), carried.plan.lock()))
        return {"original": replace(run, folder=original), "trl": run}

    proven = lab.compare("image-pairs-by-hand", runs)
    run = proven.certificate.runs["original"]
    assert not run.error
    differing = {check.name: check for check in run.checks if check.verdict == "differs"}
    assert {*differing} == {"batches"}
    assert differing["batches"].cause == "rows are padded to another length"
    assert all(check.verdict != "not-compared" for check in run.checks)
    assert all(batch.images for batch in proven.evidence("original").batches)


SPEC = """\
version: 1
model: {name: ./seeing, chat_template: qwen2_vl, images: {train: [language, vision], max_pixels: 9000}}
data:
  train: {path: pictures/pairs.jsonl, columns: {images: images}}
  eval: {path: pictures/pairs.jsonl, columns: {images: images}, limit: 6}
  max_length: 400
  overflow: error
method: {objective: {type: dpo, beta: 0.3}, tuner: {type: lora, rank: 8}}
precision: fp32
train: {steps: 6, batch_size: 4, micro_batch_size: 2, learning_rate: 1.0e-3, eval_steps: 3}
hardware: {device: cpu}
"""
SETS: Mapping[str, tuple[str, ...]] = {
    "adapters, and an evaluation": (),
    "bfloat16": ("precision=bf16", "model.images=language"),
    "all weights": ("method.tuner={type: full}", "train.learning_rate=1e-4"),
}


@pytest.mark.parametrize("case", SETS)
def test_a_spec_of_pairs_with_images_trains_alike(lab: Lab, pictures: Path, case: str) -> None:
    spec = lab.base / "image-pairs.yaml"
    spec.write_text(SPEC)
    backends = ("trl", "llamafactory")
    proof = lab.prove(*SETS[case], backends=backends, spec=spec, lossy=True)
    assert_equal(proof)
    seen = [batch.images for batch in proof.evidence("trl").batches]
    assert all(seen) and len({*seen}) > 4
    assert seen == [batch.images for batch in proof.evidence("llamafactory").batches]
