"""Command lines of torchtune and Oumi, whose words set values inside a config."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.port.bring import Imported, bring
from tests.port.conftest import fate
from tests.port.test_oumi import LORA as OUMI
from tests.port.test_torchtune import FULL

RUN = "tune run --nproc_per_node 4 full_finetune_distributed --config {} {}"


def told(folder: Path, text: str, command: str, words: str) -> Imported:
    file = folder / "config.yaml"
    file.write_text(text)
    return bring([Path(command.format(file, words))])


def test_values_of_tune_run(tmp_path: Path) -> None:
    words = (
        "epochs=3 optimizer=bitsandbytes.optim.PagedAdamW8bit optimizer.lr=1e-5 tokenizer.max_seq_len=512 "
        "optimizer.betas=[0.9,0.95]"
    )
    imported = told(tmp_path, FULL, RUN, words)
    assert imported.faithful, (imported.composed.open, imported.fates)
    found = imported.composed.values
    assert (found["train.epochs"], found["train.learning_rate"]) == (3.0, 1e-5)
    assert found["train.optimizer.type"] == "paged-adamw-8bit"  # a section stands for its class
    assert (found["data.max_length"], found["train.optimizer.beta2"]) == (511, 0.95)
    assert (found["hardware.devices"], found["train.batch_size"]) == (4, 64)
    places = {one.setting.key: one.setting.file for one in imported.fates}
    assert places["optimizer.lr"] == "command"
    assert places["loss._component_"].endswith("config.yaml")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (RUN, "~clip_grad_norm"),
        ("tune run ./own_recipe.py --config {} {}", "epochs=1"),
    ],
)
def test_what_is_not_read_is_asked(tmp_path: Path, command: str, words: str) -> None:
    assert told(tmp_path, FULL, command, words).composed.open


def test_recipes_that_train_nothing(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no command in it trains"):
        told(tmp_path, FULL, "tune run generate --config {} {}", "epochs=1")


@pytest.mark.parametrize(
    "command",
    ["oumi train -c {} {}", "oumi distributed torchrun -m oumi train -c {} {}",
     "torchrun --nproc_per_node=1 -m oumi train --config {} {}"],
)  # fmt: skip
def test_values_of_oumi_train(tmp_path: Path, command: str) -> None:
    words = (
        "--training.max_steps 10 --peft.lora_r=4 --data.train.datasets[0].dataset_path=other.jsonl"
    )
    imported = told(tmp_path, OUMI, command, words)
    found = imported.composed.values
    assert (found["train.steps"], found["method.tuner.rank"]) == (10, 4)
    assert found["data.train"][0]["path"] == "other.jsonl"
    assert fate(imported, "peft.lora_r")[0] == "renamed"
    nowhere = told(tmp_path, OUMI, command, "--data.train.datasets[3].split=test")
    assert any("no such place" in question for question in nowhere.composed.open)
