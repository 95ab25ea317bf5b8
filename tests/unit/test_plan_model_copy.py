"""A copy of a model's folder with another config.json, for a framework that can be told no other way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.backend import MODEL_COPY
from ftspec.errors import OutputError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.model_copy import copy_model
from ftspec.plan.stages import CopyModel
from ftspec.registry import load as backend_of
from ftspec.spec.load import loads

CONFIG = {"rope_theta": 5e5, "rope_scaling": None, "max_position_embeddings": 64, "vocab_size": 9}
ROPE = "model.rope={type: linear, factor: 4}"
SPEC = (
    "model: ./m\ndata: {train: {path: a.jsonl, format: messages}, overflow: error, max_length: 128}\n"
    "precision: fp32\nhardware: {device: cpu}\n"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_weights_are_linked_and_only_the_config_is_another(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "a" / "b"
    stage = CopyModel(
        "../../m", "copy", {"config.json": {"rope_parameters": {"rope_type": "linear"}}}
    )
    for _ in range(2):  # a second time as well
        made = copy_model(stage, folder)
    assert (made / "model.safetensors").is_symlink()
    assert (made / "model.safetensors").read_bytes() == b"weights"
    assert json.loads((made / "config.json").read_text()) == {
        "max_position_embeddings": 64,
        "vocab_size": 9,
        "rope_parameters": {"rope_type": "linear"},
    }
    assert json.loads((model / "config.json").read_text()) == CONFIG
    tmp_path.joinpath("a").rename(tmp_path / "c")  # compiled folders may be moved beside the model
    assert (tmp_path / "c" / "b" / "copy" / "model.safetensors").read_bytes() == b"weights"


def test_nothing_of_the_users_is_replaced(tmp_path: Path, model: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "model.safetensors").write_bytes(b"mine")
    with pytest.raises(OutputError, match="is there already"):
        copy_model(CopyModel("m", "copy", {}), tmp_path)
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == b"mine"


def test_llamafactory_trains_the_copy_and_reads_back_the_model(tmp_path: Path, model: Path) -> None:
    loaded = loads(SPEC, str(tmp_path / "spec.yaml"), (ROPE,))
    plan = make_plan(loaded, "llamafactory", tmp_path / "out")
    (stage,) = (stage for stage in plan.stages if isinstance(stage, CopyModel))
    assert stage.source == "../m" and stage.target == MODEL_COPY
    assert stage.changed["config.json"]["rope_parameters"] == {
        "rope_type": "linear",
        "factor": 4.0,
        "rope_theta": 5e5,
    }
    backend = backend_of("llamafactory")
    read = backend.read(plan.files())
    assert b"model_name_or_path: ./model-copy" in plan.files()[0].content.replace(b'"', b"")
    found = backend.maps["sft"].lift(read)
    assert not found.unknown and not found.refusals
    assert found.spec["model.name"] == "../m"
    assert found.spec["model.rope.type"] == "linear"
    assert (found.spec["model.rope.factor"], found.spec["model.rope.theta"]) == (4.0, 5e5)


@pytest.mark.parametrize("backend", ["trl", "unsloth", "deepspeed"])
def test_scripts_load_the_model_itself(tmp_path: Path, model: Path, backend: str) -> None:
    loaded = loads(SPEC, str(tmp_path / "spec.yaml"), (ROPE,))
    plan = make_plan(loaded, backend, tmp_path / "out")
    assert not [stage for stage in plan.stages if isinstance(stage, CopyModel)]


def test_a_hub_model_cannot_be_copied(tmp_path: Path) -> None:
    sets = ("model.name=org/name", "model.rope={type: linear, factor: 4, theta: 1e4}")
    loaded = loads(SPEC, str(tmp_path / "spec.yaml"), sets)
    with pytest.raises(UnsupportedError, match="a hub model it loads as it is"):
        make_plan(loaded, "llamafactory", tmp_path / "out")
