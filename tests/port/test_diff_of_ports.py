"""`ftspec diff` between a config and its port, and between two versions of a config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, ftspec, somewhere

__all__ = ["ftspec", "somewhere"]

CHAT = """\
base_model: ./tiny-model
datasets:
  - {path: chat.jsonl, type: chat_template}
chat_template: chatml
adapter: lora
lora_r: 8
lora_alpha: 16
lora_target_linear: true
sequence_len: 256
micro_batch_size: 2
num_epochs: 1
learning_rate: 1e-4
optimizer: adamw_torch
lr_scheduler: cosine
warmup_steps: 2
bf16: false
seed: 7
output_dir: ./out
"""
TEXTS = CHAT.replace("type: chat_template", "type: completion").replace(
    "chat_template: chatml\n", ""
)
ASKED = CHAT.replace(
    "{path: chat.jsonl, type: chat_template}", "{path: org/asked, type: alpaca}"
).replace("sequence_len: 256\n", "sequence_len: 256\ndeepspeed: deepspeed_configs/zero2.json\n")


@pytest.mark.parametrize(
    ("source", "backend"), [(CHAT, "trl"), (TEXTS, "trl"), (ASKED, "deepspeed")]
)
def test_a_port_trains_what_its_source_does(
    ftspec: Command, somewhere: Path, source: str, backend: str
) -> None:
    (somewhere / "texts.jsonl").write_text('{"text": "All of it."}\n' * 8)
    text = source.replace("chat.jsonl, type: completion", "texts.jsonl, type: completion")
    (somewhere / "axolotl.yml").write_text(text)
    done = ftspec("port", "axolotl.yml", "--to", backend, "-o", "build", "--allow-lossy")
    assert done.code == 0, done.err
    done = ftspec("diff", "axolotl.yml", "build")
    assert done.code == 0, done.out
    more = text.replace("seed: 7", "seed: 8")
    (somewhere / "more.yml").write_text(more)
    told = json.loads(ftspec("diff", "more.yml", "build", "--json").out)
    assert [one["path"] for one in told["differences"] if one["weight"] == "training"] == [
        "train.seed",
        "train.data_seed",
    ]


def test_a_template_that_an_import_makes_is_compared_by_what_stands_in_it(
    ftspec: Command, somewhere: Path
) -> None:
    (somewhere / "one.yml").write_text(CHAT)
    (somewhere / "other.yml").write_text(CHAT)
    done = ftspec("diff", "one.yml", "other.yml")
    assert done.code == 0, done.out
    (somewhere / "other.yml").write_text(CHAT.replace("chatml", "llama3"))
    done = ftspec("diff", "one.yml", "other.yml")
    assert "model.chat_template: ./one.chat_template.jinja against" in done.out


def test_of_sources_that_differ_what_differs_is_shown_on_one_line(
    ftspec: Command, somewhere: Path
) -> None:
    (somewhere / "one.yml").write_text(ASKED)
    (somewhere / "other.yml").write_text(ASKED.replace("type: alpaca", "type: alpaca, split: test"))
    done = ftspec("diff", "one.yml", "other.yml")
    (line,) = [line for line in done.out.splitlines() if "data.train:" in line]
    shown = "[{hub: org/asked, split: train}] against [{hub: org/asked, split: test}]"
    assert line.strip() == f"data.train: {shown}  (other rows)"


def test_pieces_of_a_batch_matter_where_each_has_a_mean_of_its_own(
    ftspec: Command, somewhere: Path
) -> None:
    """Rows have unequal answers: the mean over one pass of four is another than that over two of two."""
    (somewhere / "one.yml").write_text(f"{ASKED}gradient_accumulation_steps: 2\n")
    halves = ASKED.replace("micro_batch_size: 2", "micro_batch_size: 1")
    (somewhere / "other.yml").write_text(f"{halves}gradient_accumulation_steps: 4\n")
    told = json.loads(ftspec("diff", "one.yml", "other.yml", "--json").out)
    (found,) = told["differences"]
    assert (found["path"], found["weight"]) == ("train.micro_batch_size", "training")
    sums = "model_name_or_path: org/m\ndataset_name: org/r\nlearning_rate: 1e-4\nuse_peft: true\n"
    for name, micro, passes in (("one", 2, 2), ("other", 1, 4)):
        sizes = f"per_device_train_batch_size: {micro}\ngradient_accumulation_steps: {passes}\n"
        (somewhere / f"{name}.yaml").write_text(sums + sizes)
    told = json.loads(ftspec("diff", "one.yaml", "other.yaml", "--json").out)
    (found,) = told["differences"]
    assert (found["path"], found["weight"]) == ("train.micro_batch_size", "rounding")


def test_how_packed_weights_are_stored_only_rounds(ftspec: Command, somewhere: Path) -> None:
    """Their bytes are the same ones; a new adapter's first values are rounded to a float's type."""
    for name, storage in (("one", "uint8"), ("other", "bfloat16")):
        (somewhere / f"{name}.yaml").write_text(
            "model_name_or_path: org/m\ndataset_name: org/r\nlearning_rate: 1e-4\nuse_peft: true\n"
            f"load_in_4bit: true\nbnb_4bit_quant_storage: {storage}\n"
        )
    told = json.loads(ftspec("diff", "one.yaml", "other.yaml", "--json").out)
    (found,) = told["differences"]
    assert (found["path"], found["weight"]) == ("model.quantization.storage", "rounding")
