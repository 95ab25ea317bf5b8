"""What results tell of a training, and that no more is claimed of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.plan.make import make_plan
from ftspec.plan.write import write_plan
from ftspec.port.compare import compare
from ftspec.port.effective import meaning
from ftspec.spec.load import load
from tests.conftest import SPECS

ADAPTER = {
    "peft_type": "LORA",
    "base_model_name_or_path": "org/model",
    "r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "target_modules": ["v_proj", "q_proj"],
    "bias": "none",
    "task_type": "CAUSAL_LM",
}
SPEC = """\
model: org/model
data: rows.jsonl
method: {tuner: {type: lora, rank: 16, alpha: 16, targets: [q_proj, v_proj]}}
train: {steps: 60, micro_batch_size: 2, batch_size: 8}
"""


def written(folder: Path, **files: object) -> Path:
    folder.mkdir()
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def test_a_saved_adapter_against_a_spec(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    folder = written(tmp_path / "out", adapter_config=ADAPTER, trainer_state={"max_steps": 60})
    found = compare(meaning([folder]), meaning([spec]))
    (one,) = [line for line in found if line.weight == "training"]
    assert (one.path, one.one, one.other) == ("method.tuner.rank", 8, 16)
    assert "doubled" in one.words or "halved" in one.words


@pytest.mark.parametrize("name", ["adapter_config.json", "trainer_state.json"])
def test_a_file_alone(tmp_path: Path, name: str) -> None:
    folder = written(
        tmp_path / "out",
        adapter_config=ADAPTER,
        trainer_state={"max_steps": 7, "train_batch_size": 2},
    )
    found = meaning([folder / name])
    assert found.partial
    expected = {
        "adapter_config.json": ("method.tuner.rank", 8),
        "trainer_state.json": ("train.steps", 7),
    }
    path, value = expected[name]
    assert found.values[path] == value


def test_the_last_checkpoint_and_a_model_card_are_looked_at(tmp_path: Path) -> None:
    folder = written(tmp_path / "out")
    for step in (9, 10):
        written(folder / f"checkpoint-{step}", trainer_state={"max_steps": step})
    (folder / "README.md").write_text("---\nbase_model: org/model\n---\n# A model\n")
    found = meaning([folder]).values
    assert found == {"model.name": "org/model", "train.steps": 10}


def test_all_linear_is_not_said_to_differ_from_the_names_it_stands_for(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("[q_proj, v_proj]", "all-linear").replace("rank: 16", "rank: 8"))
    folder = written(tmp_path / "out", adapter_config=ADAPTER)
    assert not compare(meaning([folder]), meaning([spec]))


@pytest.mark.parametrize("backend", ["trl", "llamafactory", "deepspeed"])
def test_a_compiled_folder_tells_everything(tmp_path: Path, backend: str) -> None:
    loaded = load(SPECS / "quickstart.yaml")
    write_plan(make_plan(loaded, backend, tmp_path / "build"))
    found = meaning([tmp_path / "build"])
    assert not found.partial
    assert found.values["method.tuner.rank"] == 8
    assert found.values["train.steps"] == 6


def test_a_folder_that_tells_nothing(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="nothing in it tells"):
        meaning([tmp_path])


@pytest.mark.parametrize("backend", ["trl", "llamafactory", "unsloth", "deepspeed"])
def test_a_compiled_folder_trains_what_its_spec_says(tmp_path: Path, backend: str) -> None:
    spec = SPECS / "quickstart.yaml"
    folder = tmp_path / backend / "runs"
    write_plan(make_plan(load(spec), backend, folder))
    (folder / "model").mkdir()
    told = compare(meaning([folder]), meaning([spec]))
    assert not [line for line in told if line.weight == "training"]
    other = tmp_path / "other.yaml"
    other.write_text(spec.read_text("utf-8").replace("seed: 42", "seed: 43"), "utf-8")
    found = {line.path for line in compare(meaning([folder]), meaning([other]))}
    assert "train.seed" in found
    # an adapter names its base from where its training was started
    base = os.path.relpath(SPECS / "tiny-model", folder)
    saved = {**ADAPTER, "base_model_name_or_path": base}
    (folder / "model" / "adapter_config.json").write_text(json.dumps(saved))
    told = compare(meaning([folder / "model"]), meaning([spec]))
    assert "model.name" not in {line.path for line in told}


def test_what_was_not_done_is_not_told(tmp_path: Path) -> None:
    state = {"max_steps": 7, "save_steps": 500, "eval_steps": 500}
    found = meaning([written(tmp_path / "out", trainer_state=state)]).values
    assert found == {"train.steps": 7}
