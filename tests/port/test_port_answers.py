"""What a source leaves open stops `port`, unless an option says it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, ftspec, somewhere

__all__ = ["ftspec", "somewhere"]

ENGINE = {"zero_optimization": {"stage": 2}, "train_micro_batch_size_per_gpu": "auto"}
PORT = ("port", "ds.json", "--to", "deepspeed", "-o", "build")


@pytest.mark.parametrize(
    "sets",
    [
        ("model=./tiny-model", "data=chat.jsonl"),
        ("model.name=./tiny-model", "data.train=chat.jsonl"),
        ("model.name=./tiny-model", "data.train.path=chat.jsonl"),
    ],
)
def test_options_answer_for_the_model_and_the_data(
    ftspec: Command, somewhere: Path, sets: tuple[str, str]
) -> None:
    (somewhere / "ds.json").write_text(json.dumps(ENGINE))
    options = [word for one in sets for word in ("--set", one)]
    done = ftspec(*PORT, *options)
    assert done.code == 0, done.err
    assert "to decide" not in done.err
    assert "chat.jsonl" in (somewhere / "build" / "train.py").read_text()


def test_what_no_option_says_stops_and_names_one(ftspec: Command, somewhere: Path) -> None:
    (somewhere / "ds.json").write_text(json.dumps(ENGINE))
    done = ftspec(*PORT, "--set", "model=./tiny-model", "--set", "train.seed=1")
    assert done.code == 2
    assert "which data?" in done.err
    assert "--set data=..." in done.err
    assert "which model?" not in done.err
    assert not (somewhere / "build").exists()
