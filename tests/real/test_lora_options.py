"""LoRA's options: each backend that takes one trains as TRL does, and the option was in force.

Options that do not touch each other share a training. Names, shapes, scales and rates show what no
argument does: four frameworks that all ignore an option would be equal too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from ftspec.verify.evidence import Evidence
from tests.real.conftest import BACKENDS, Lab, Proven, reload
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
NO_KEY = {"llamafactory": "there is no key"}


@dataclass(frozen=True)
class Case:
    """A tuner, how it shows, and which backends cannot have it."""

    tuner: str
    seen: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the adapter as the probe saw them, in every backend."""
    refused: Mapping[str, str] = field(default_factory=dict)
    sets: tuple[str, ...] = ()


CASES = {
    "dora": Case("{type: lora, rank: 4, dora: true}", {"use_dora": True}),
    "dora over 4 bits": Case(
        "{type: lora, rank: 4, dora: true}",
        {"use_dora": True},
        {"llamafactory": "it stops at DoRA over a base in few bits"},
        ("model.quantization=nf4",),
    ),
    "patterns": Case(
        "{type: lora, rank: 4, targets: [q_proj, v_proj, down_proj], layers: [1], "
        "exclude: [v_proj], rank_pattern: {down_proj: 6}, alpha_pattern: {down_proj: 3}, "
        "trainable_tokens: [5, 9], init: gaussian}",
        {"init_lora_weights": "gaussian"},
        NO_KEY,
    ),
    "expression": Case(
        "{type: lora, rank: 4, targets: {pattern: '.*layers.0.*[qv]_proj'}, init: orthogonal}",
        {"init_lora_weights": "orthogonal"},
        {"llamafactory": "its targets are names"},
    ),
    "pissa": Case("{type: lora, rank: 4, init: pissa}", {"init_lora_weights": "pissa"}),
    "pissa in steps": Case(
        "{type: lora, rank: 4, init: {type: pissa, iterations: 4}}",
        {"init_lora_weights": "pissa_niter_4"},
    ),
    "olora": Case("{type: lora, rank: 4, init: olora}", {"init_lora_weights": "olora"}, NO_KEY),
    "eva": Case("{type: lora, rank: 4, init: eva}", {"init_lora_weights": "eva"}, NO_KEY),
    "loftq": Case(
        "{type: lora, rank: 4, init: loftq}",
        {},
        {**NO_KEY, "unsloth": "were not seen to work"},
        ("model.quantization=nf4",),
    ),
    "plus": Case(
        "{type: lora, rank: 4, plus_ratio: 8, dora: true, modules_to_save: [lm_head]}",
        {"use_dora": True},
        {},
        ("train.weight_decay=0.1", "train.optimizer={beta1: 0.8, beta2: 0.95, eps: 1e-6}"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_options_of_lora_train_alike(lab: Lab, name: str) -> None:
    case = CASES[name]
    sets = ("train.steps=3", f"method.tuner={case.tuner}", *case.sets)
    for backend, reason in case.refused.items():
        assert reason in refusal(lab, backend, *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS) - set(case.refused)
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        assert {key: evidence.adapter[key] for key in case.seen} == dict(case.seen), backend
        SHOWS[name](evidence)
        if SHOWS[name] is _moved:
            _fits_the_original_weights(proof, backend)


def test_moved_ranks_are_loaded_again(lab: Lab, tmp_path: Path) -> None:
    """EVA's adapter has a rank of its own in each layer, and peft finds them in what was saved."""
    proof = lab.prove("train.steps=3", f"method.tuner={CASES['eva'].tuner}")
    reload(lab, tmp_path, [proof.model("trl")])
    loaded, trained = load_file(tmp_path / "0.safetensors"), proof.evidence("trl").after
    assert trained and all((loaded[key] == values).all() for key, values in trained.items())
    assert (loaded["#logits"] != loaded["#base"]).any()


def _dora(evidence: Evidence) -> None:
    lengths = [name for name in evidence.trainable if "magnitude" in name]
    assert len(lengths) == 14  # seven linear layers in each of two blocks
    assert any((evidence.after[n] != evidence.before[n]).any() for n in lengths)


def _patterns(evidence: Evidence) -> None:
    shapes = {name: tensor.shape for name, tensor in evidence.trainable.items() if "lora_A" in name}
    ranks = {
        name.split(".lora_A")[0].split("layers.")[1]: shape[0] for name, shape in shapes.items()
    }
    assert ranks == {"1.self_attn.q_proj": 4, "1.mlp.down_proj": 6}
    scales = {name.rpartition(".")[2]: factor for name, factor in evidence.scaling.items()}
    assert scales == {"q_proj": 2.0, "down_proj": 0.5}
    (tokens,) = (name for name in evidence.trainable if "trainable_tokens" in name)
    assert evidence.trainable[tokens].shape[0] == 2


def _expression(evidence: Evidence) -> None:
    adapted = {m[1] for name in evidence.trainable if (m := re.search(r"layers\.(.*)\.lora", name))}
    assert adapted == {"0.self_attn.q_proj", "0.self_attn.v_proj"}
    first = next(name for name in evidence.before if "lora_B" in name)
    assert (evidence.before[first] != 0).any()  # B is not zero


def _moved(evidence: Evidence) -> None:
    """The adapter holds the largest part of the weight before the first step."""
    for name, a in evidence.before.items():
        if "lora_A" in name:
            b = evidence.before[name.replace("lora_A", "lora_B")]
            assert abs(b @ a).max() > 1e-3


def _fits_the_original_weights(proof: Proven, backend: str) -> None:
    """What was learned is what the saved adapter adds: scale x (BA - B0 A0), in an ordinary LoRA."""
    folder = proof.model(backend) / ("pissa_converted" if backend == "llamafactory" else "")
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    assert (config["init_lora_weights"], config["r"], config["lora_alpha"]) == (True, 8, 16)
    saved = load_file(folder / "adapter_model.safetensors")
    evidence, scale = proof.evidence(backend), 16 / 8
    pairs = [(n, n.replace("lora_A", "lora_B")) for n in evidence.after if "lora_A" in n]
    assert len(pairs) == 14
    for a, b in pairs:
        before, after = evidence.before, evidence.after
        learned = scale * (after[b] @ after[a] - before[b] @ before[a])
        added = scale * saved[f"base_model.model.{b}"] @ saved[f"base_model.model.{a}"]
        assert added == pytest.approx(learned, abs=1e-7)
        assert abs(learned).max() > 1e-5  # far above that


def _explained(evidence: Evidence) -> None:
    """A is made of directions of length 1 that stand apart; B is zero; ranks moved, their sum did not."""
    pairs = {name: a for name, a in evidence.before.items() if "lora_A" in name}
    for name, a in pairs.items():
        assert a @ a.T == pytest.approx(np.eye(len(a)), abs=1e-4)
        assert not evidence.before[name.replace("lora_A", "lora_B")].any()
    ranks = [len(a) for a in pairs.values()]
    assert sum(ranks) == 4 * 14 and max(ranks) > 4 > min(ranks)
    # alpha moved with the rank, so that no layer learns faster for having more of it
    assert {round(factor, 6) for factor in evidence.scaling.values()} == {2.0}


def _made_up(evidence: Evidence) -> None:
    """Each update begins as the best of its rank for what was taken: balanced halves, apart."""
    for name, a in evidence.before.items():
        if "lora_A" in name:
            b = evidence.before[name.replace("lora_A", "lora_B")] * 2  # alpha / rank
            halves = (a @ a.T, b.T @ b)
            assert halves[0] == pytest.approx(halves[1], rel=1e-3, abs=1e-5)
            assert halves[0] == pytest.approx(np.diag(np.diag(halves[0])), abs=1e-5)
            assert (np.diag(halves[0]) > 1e-4).all()


def _plus(evidence: Evidence) -> None:
    """Two rates: what has one dimension learns as fast as B, the head as slowly as A."""
    rates = {
        name: group.settings["initial_lr"]
        for group in evidence.groups
        for name in group.names or ()
    }
    assert set(rates) == set(evidence.trainable)
    parts = {"lora_A": 2e-4, "lora_B": 1.6e-3, "magnitude": 1.6e-3, "lm_head": 2e-4}
    for name, rate in rates.items():
        (expected,) = (rate for part, rate in parts.items() if part in name)
        assert rate == pytest.approx(expected), name
    assert {round(rate, 5) for rate in rates.values()} == {2e-4, 1.6e-3}


SHOWS = {
    "dora": _dora,
    "dora over 4 bits": _dora,
    "patterns": _patterns,
    "expression": _expression,
    "pissa": _moved,
    "pissa in steps": _moved,
    "olora": _moved,
    "eva": _explained,
    "loftq": _made_up,
    "plus": _plus,
}
