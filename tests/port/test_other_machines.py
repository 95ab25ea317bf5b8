"""A port that only this machine stands against: the GPU it is for is the first way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.plan import machine
from tests.cli.conftest import Command, ftspec, somewhere

__all__ = ["ftspec", "somewhere"]

QLORA = """\
base_model: ./tiny-model
load_in_4bit: true
adapter: qlora
lora_r: 8
lora_alpha: 16
lora_target_linear: true
datasets:
  - {path: chat.jsonl, type: chat_template}
chat_template: chatml
sequence_len: 256
micro_batch_size: 2
num_epochs: 1
learning_rate: 1e-4
optimizer: paged_adamw_32bit
lr_scheduler: cosine
warmup_steps: 2
bf16: auto
tf32: true
output_dir: ./out
"""
GPU = ["--set", "hardware.device=cuda"]


@pytest.fixture
def laptop(somewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Without a GPU, whatever runs these tests."""
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    (somewhere / "axolotl.yml").write_text(QLORA)
    return somewhere


def test_the_gpu_is_proposed_before_another_training(ftspec: Command, laptop: Path) -> None:
    done = ftspec("port", "axolotl.yml", "--to", "trl", "-o", "build", "--json")
    found = json.loads(done.out)["error"]
    assert found["way_out"] == " ".join(GPU)
    hints = {one["path"]: one["hint"] for one in found["problems"]}
    first = "--set hardware.device=cuda, for a machine with a GPU"
    assert hints["precision.tf32"] == first
    assert hints["train.optimizer.type"] == f"{first}; or --set train.optimizer=adamw"
    done = ftspec("port", "axolotl.yml", "--to", "trl", "-o", "build", *GPU)
    assert done.code == 0, done.err


def test_it_is_not_where_somebody_chose_the_cpu(ftspec: Command, laptop: Path) -> None:
    cpu = ("--set", "hardware.device=cpu")
    done = ftspec("port", "axolotl.yml", "--to", "trl", "-o", "build", *cpu)
    assert done.code == 4
    assert "with a GPU" not in done.err


def test_it_is_not_for_what_a_gpu_would_be_refused_as_well(ftspec: Command, laptop: Path) -> None:
    text = QLORA.replace(
        "micro_batch_size: 2", "micro_batch_size: 2\ngradient_accumulation_steps: 2"
    )
    (laptop / "axolotl.yml").write_text(text)
    done = ftspec("port", "axolotl.yml", "--to", "llamafactory", "-o", "build", "--allow-lossy")
    told = done.err.splitlines()
    (at,) = [n for n, line in enumerate(told) if "method.objective.average = 'batches'" in line]
    assert told[at + 1].strip().startswith("help: --set method.objective.average=tokens")


SEEN = """\
base_model: org/model
processor_type: AutoProcessor
skip_prepare_dataset: true
remove_unused_columns: false
sample_packing: false
chat_template: qwen2_vl
datasets:
  - {path: org/seen, type: chat_template}
adapter: lora
lora_r: 8
lora_alpha: 16
lora_target_linear: true
micro_batch_size: 1
num_epochs: 1
learning_rate: 1e-4
optimizer: adamw_torch
lr_scheduler: cosine
warmup_steps: 2
tf32: false
output_dir: ./out
"""


def test_rows_with_images_are_not_told_to_be_prepared(ftspec: Command, laptop: Path) -> None:
    (laptop / "axolotl.yml").write_text(SEEN)
    done = ftspec("port", "axolotl.yml", "--to", "llamafactory", "-o", "build", "--json")
    told = {one["path"]: one["hint"] for one in json.loads(done.out)["error"]["problems"]}
    assert "data.turn_part" in told and "data.max_length" in told
    assert not [path for path, hint in told.items() if "data.prepare" in hint], told
    assert told["model.chat_template"] == "save the template with the tokenizer"
