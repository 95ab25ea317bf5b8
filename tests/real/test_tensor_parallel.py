"""Layers that are cut over two processes train as the whole model does in one, and end whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ftspec.verify.inputs import rows
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_equality import FULL

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
STEPS = (FULL, "train.steps=3", "train.weight_decay=0.1", "train.learning_rate=1e-3")
CUT = ("hardware.devices=2", "hardware.tensor_parallel=2", "hardware.zero=1")
CASES: Mapping[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "llama": (
        ("train.gradient_checkpointing=true", "data.eval_size=8", "train.eval_steps=2"),
        {"deepspeed": ("hardware.zero=2",), "llamafactory": ()},
    ),
    "llama in bfloat16": (("precision=bf16",), {"deepspeed": (), "llamafactory": ()}),
    "qwen2": (("model.name=../qwen2",), {"deepspeed": (), "llamafactory": ()}),
    "qwen3": (("model.name=../qwen3",), {"deepspeed": ("hardware.zero=0",), "llamafactory": ()}),
}
"""What all have, and what each backend has beside it."""
GROUPS = ("train.micro_batch_size=1", "hardware.devices=4")
"""Two groups of two."""


@pytest.fixture(scope="module")
def models(lab: Lab) -> Path:
    """The tiny model as others of its kind: with biases and one table for both ends, with norms of heads."""
    weights = load_file(lab.specs / "tiny-model" / "model.safetensors")
    drawn = np.random.default_rng(1)
    for name, more in {"qwen2": ("bias", "qkv"), "qwen3": ("norm", "qk")}.items():
        if (folder := lab.base / name).exists():
            continue
        made = dict(weights)
        for layer in range(2):
            for part in more[1]:
                of = f"model.layers.{layer}.self_attn.{part}_"
                size = 16 if more[0] == "norm" else made[f"{of}proj.weight"].shape[0]
                key = f"{of}norm.weight" if more[0] == "norm" else f"{of}proj.bias"
                made[key] = drawn.uniform(0.5, 1.5, size).astype(np.float32)
        _write(lab.specs / "tiny-model", folder, name, made)
    return lab.base


def _write(source: Path, folder: Path, kind: str, weights: dict[str, Any]) -> None:
    """The same tokenizer, another config, other weights."""
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((source / "config.json").read_text("utf-8"))
    tied = kind == "qwen2"
    config |= {"model_type": kind, "tie_word_embeddings": tied}
    config["architectures"] = [f"{kind.capitalize()}ForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    kept = {key: value for key, value in weights.items() if not (tied and key == "lm_head.weight")}
    save_file(kept, str(folder / "model.safetensors"), {"format": "pt"})


def cut(lab: Lab, name: str) -> Proven:
    shared, backends = CASES[name]

    def runs(folder: Path) -> dict[str, Run]:
        made = {"trl": lab.compiled("trl", folder / "trl", *STEPS, *shared)}
        for backend, own in backends.items():
            place = folder / backend
            made[backend] = lab.compiled(backend, place, *STEPS, *CUT, *shared, *own)
        return made

    return lab.compare(f"tensors-{name}", runs)


def whole(proof: Proven, name: str, processes: int = 2) -> None:
    """It trained alike, in so many processes, and what is saved is what the last step left."""
    run = proof.certificate.runs[name]
    assert run.conclusion == "equal", run.error or run.first_failure()
    assert run.setting["processes"] == processes
    saved, after = proof.weights(name), proof.evidence(name).after
    assert set(saved) == set(after)
    assert all((saved[key] == after[key]).all() for key in saved)


@pytest.mark.parametrize("backend", ["deepspeed", "llamafactory"])
@pytest.mark.parametrize("name", CASES)
def test_cut_layers_train_as_whole_ones(lab: Lab, models: Path, name: str, backend: str) -> None:
    proof = cut(lab, name)
    whole(proof, backend)
    # the rows of a group are those of one process
    assert len(rows(proof.evidence(backend))) == len(rows(proof.evidence("trl"))) == 12


def test_layers_are_really_cut(lab: Lab, models: Path) -> None:
    """Of two layers' matrices, 36864 numbers each, a process steps half: two moments of each number."""
    proof = cut(lab, "llama")
    sizes = [sum(proof.evidence(name).states.values()) for name in ("trl", "deepspeed")]
    assert sizes[0] - sizes[1] == pytest.approx(36864 * 2, abs=100), sizes


def test_groups_have_rows_of_their_own(lab: Lab) -> None:
    def runs(folder: Path) -> dict[str, Run]:
        place = folder / "llamafactory"
        return {
            "trl": lab.compiled("trl", folder / "trl", *STEPS, "train.micro_batch_size=1"),
            "llamafactory": lab.compiled("llamafactory", place, *STEPS, *CUT, *GROUPS),
        }

    proof = lab.compare("tensors-groups", runs)
    whole(proof, "llamafactory", 4)
    assert {batch.rank for batch in proof.evidence("llamafactory").batches} == {0, 2}


def test_under_the_models_own_plan_trl_would_lose_half_of_the_words(lab: Lab) -> None:
    """Why the layers are named: trl multiplies by the output layer's own weights; others ask the layer."""

    def runs(folder: Path) -> dict[str, Run]:
        made = {"trl": lab.compiled("trl", folder / "trl", *STEPS)}
        for backend in ("deepspeed", "llamafactory"):
            made[backend] = lab.compiled(backend, folder / backend, *STEPS, *CUT)
            engine = made[backend].folder / "ds_config.json"
            config = json.loads(engine.read_text("utf-8"))
            del config["tensor_parallel"]["partition_config"]
            engine.write_text(json.dumps(config), "utf-8")
        return made

    proof = lab.compare("tensors-plan", runs)
    whole(proof, "llamafactory")
    one, other = (proof.evidence(name).steps[0].loss for name in ("trl", "deepspeed"))
    assert one - other == pytest.approx(np.log(2), rel=0.1)
