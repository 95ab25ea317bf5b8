"""Optimizers and schedules: each backend that takes one trains by it, at the same rates, alike.

Each case pairs an optimizer with a schedule, to save trainings; the two cannot hide each other's faults,
as rates, rules and settings are compared one by one before any loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftspec.env.install import ensure
from ftspec.plan.make import make_plan
from ftspec.plan.write import write_plan
from ftspec.registry import load as load_backend
from ftspec.verify.prove import as_run, effective
from ftspec.verify.verify import Run
from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_equality import FULL
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
STEPS, WARMUP, PEAK = 6, 2, 1e-3
NO_ZERO = "hardware.zero=0"
INSTEAD = "its CPU path trains with AdamW instead"
NO_TORCHAO = "torchao is not in its environment"
FLAT = "ZeRO hands it all weights as one flat row"


@dataclass(frozen=True)
class Case:
    """An optimizer and a schedule, what the live optimizer must say of itself, and who refuses it."""

    optimizer: str
    rule: str
    schedule: str
    share: Callable[[int], float]
    """Of the peak, n steps after the warm-up: the schedule's formula, written once more."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    begins: float = 0.0
    """Of the peak, where the warm-up begins."""

    def factor(self, step: int) -> float:
        """The rate of a step, counted from 0, as a share of the peak."""
        if step < WARMUP:
            return self.begins + (1 - self.begins) * step / WARMUP
        return self.share(step - WARMUP)


def cosine(turns: float) -> float:
    return 0.5 * (1 + math.cos(2 * math.pi * turns))


REST = STEPS - WARMUP
CASES = {
    "adafactor": Case(
        "adafactor", "transformers.Adafactor",
        "{type: cosine, cycles: 1, min_ratio: 0.25}", lambda n: 0.25 + 0.75 * cosine(n / REST),
        {"scale_parameter": False, "relative_step": False, "weight_decay": 0.1}, (NO_ZERO,),
    ),
    "lion": Case(
        "{type: lion, beta1: 0.8, beta2: 0.95}", "bitsandbytes.Lion",
        "{type: cosine-restarts, cycles: 2}", lambda n: cosine((2 * n / REST) % 1 / 2),
        {"betas": [0.8, 0.95], "weight_decay": 0.1},
    ),
    "adamw-8bit": Case(
        "{type: adamw-8bit, beta2: 0.95}", "bitsandbytes.AdamW, 8 bits",
        "{type: polynomial, power: 2, end_rate: 1.0e-4}", lambda n: 0.9 * (1 - n / REST) ** 2 + 0.1,
        {"betas": [0.9, 0.95], "eps": 1e-8}, (NO_ZERO,), {"unsloth": INSTEAD},
    ),
    "torchao-adamw-4bit": Case(
        "{type: torchao-adamw-4bit, beta2: 0.95}", "torchao.AdamW4bit", "constant", lambda n: 1.0,
        {"betas": [0.9, 0.95], "eps": 1e-8}, (NO_ZERO,),
        {"llamafactory": NO_TORCHAO, "deepspeed": NO_TORCHAO},
    ),
    "lion-8bit": Case(
        "lion-8bit", "bitsandbytes.Lion, 8 bits", "constant", lambda n: 1.0,
        {"betas": [0.9, 0.99]}, (NO_ZERO,), {"unsloth": INSTEAD},
    ),
    "sgd": Case(
        "{type: sgd, momentum: 0.9, nesterov: true}", "SGD",
        "{type: inverse-sqrt, timescale: 3}", lambda n: 1 / math.sqrt(1 + n / 3),
        {"momentum": 0.9, "nesterov": True, "dampening": 0, "weight_decay": 0.1},
    ),
    "rmsprop": Case(
        "{type: rmsprop, smoothing: 0.9, momentum: 0.5, eps: 1.0e-6, centered: true}", "RMSprop",
        "{type: warmup-stable-decay, decay_steps: 3, decay: 1-sqrt, min_ratio: 0.2}",
        lambda n: 1.0 if n < 1 else 0.2 + 0.8 * (1 - math.sqrt((n - 1) / 3)),
        {"alpha": 0.9, "momentum": 0.5, "eps": 1e-6, "centered": True}, begins=0.2,
    ),
    "adagrad": Case(
        "{type: adagrad, rate_decay: 0.1, eps: 1.0e-8}", "Adagrad", "linear", lambda n: 1 - n / REST,
        {"lr_decay": 0.1, "eps": 1e-8}, (NO_ZERO,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_optimizers_and_schedules_train_alike(lab: Lab, name: str) -> None:
    case = CASES[name]
    sets = (
        FULL, f"train.optimizer={case.optimizer}", f"train.schedule={case.schedule}",
        f"train.steps={STEPS}", f"train.warmup_steps={WARMUP}", f"train.learning_rate={PEAK}",
        "train.weight_decay=0.1", *case.sets,
    )  # fmt: skip
    for backend, reason in case.refused.items():
        assert reason in refusal(lab, backend, *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS) - set(case.refused)
    rates = [PEAK * case.factor(step) for step in range(STEPS)]
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        assert evidence.rule == case.rule, backend
        assert ("uint8" in evidence.states) == ("bit" in case.optimizer), evidence.states
        decayed = [group for group in evidence.groups if group.settings["weight_decay"]]
        assert decayed and len(decayed) < len(evidence.groups), backend  # norms are spared
        seen = {key: decayed[0].settings.get(key) for key in case.settings}
        assert seen == dict(case.settings), backend
        assert [step.learning_rate for step in evidence.steps] == pytest.approx(rates), backend


def added(proof: Proven, name: str) -> dict[str, Any]:
    """What a run added to each weight that it saved."""
    before = proof.evidence("trl").before
    return {key: saved - before[key] for key, saved in proof.weights(name).items()}


def test_gradients_are_projected_alike(lab: Lab) -> None:
    sets = (
        FULL, "train.optimizer={type: galore, rank: 4, update_steps: 2}", "train.steps=4", NO_ZERO,
        f"train.learning_rate={PEAK}",
    )  # fmt: skip
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    for backend in BACKENDS:
        evidence = proof.evidence(backend)
        assert evidence.rule == "galore_torch.AdamW"
        (projected,) = (group for group in evidence.groups if "rank" in group.settings)
        settings = {"rank": 4, "update_proj_gap": 2, "scale": 0.25, "proj_type": "std", "eps": 1e-6}
        assert {key: projected.settings[key] for key in settings} == settings
        assert len(projected.names or ()) == 14 and "lm_head.weight" not in (projected.names or ())
        for name, update in added(proof, backend).items():
            if update.ndim == 2 and "layers" in name:  # two projections, each of rank 4
                sizes = np.linalg.svd(update, compute_uv=False)
                assert sizes[7] > 1e-6 and sizes[8] < 1e-3 * sizes[0], name


def test_rules_of_llamafactory_alone(lab: Lab) -> None:
    """Muon's updates are orthogonal, and BAdam moves one layer at a time."""
    own = {
        "muon": ("train.optimizer=muon", "train.steps=1"),
        "badam": (
            "train.optimizer={type: badam, switch_steps: 3, order: descending}", "train.steps=2",
            "train.weight_decay=0.01",
        ),
    }  # fmt: skip
    sets = (FULL, f"train.learning_rate={PEAK}", "train.warmup_steps=0", "train.schedule=constant")
    assert "decays norm weights too" in refusal(lab, "llamafactory", *sets, *own["badam"])

    def runs(folder: Path) -> dict[str, Run]:
        made = {"trl": lab.compiled("trl", folder / "trl", *sets, "train.steps=1")}
        for name, more in own.items():
            loaded, _ = effective(lab.spec, (*sets, *more), None, folder / name)
            plan = make_plan(loaded, "llamafactory", folder / name, allow_lossy=True)
            write_plan(plan)
            made[name] = as_run(plan, ensure(load_backend("llamafactory")))
        return made

    proof = lab.compare("own-optimizers", runs)
    assert proof.evidence("muon").rule == "llamafactory.Muon"
    orthogonal = 0
    for name, update in added(proof, "muon").items():
        if update.ndim == 2 and "layers" in name:
            orthogonal += 1
            sizes = np.linalg.svd(update, compute_uv=False)
            # five steps of Newton and Schulz bring almost all singular values near 1
            near = sizes / (PEAK * 0.2 * math.sqrt(max(update.shape)))
            assert 0.6 < np.median(near) < 1.2 and near.max() < 1.3, name
    assert orthogonal == 14
    moved = {name for name, update in added(proof, "badam").items() if update.any()}
    assert moved and all("layers.1." in name for name in moved)


def test_a_step_for_each_gradient_is_the_same_step(lab: Lab) -> None:
    """LLaMA-Factory makes GaLore's steps one by one: what they add up to is what all at once are."""
    galore = "type: galore, rank: 4, update_steps: 2, eps: 1.0e-6"
    sets = (
        FULL, "train.steps=3", "train.batch_size=4", "train.micro_batch_size=4", "train.max_grad_norm=null",
        f"train.learning_rate={PEAK}", "train.schedule=constant", "train.warmup_steps=0",
    )  # fmt: skip
    whole = f"train.optimizer={{{galore}}}"
    apart = f"train.optimizer={{{galore}, layerwise: true}}"
    assert "were not seen in a script" in refusal(lab, "trl", *sets, apart)
    scheduled = (*sets, apart, "train.schedule=linear")
    assert "no schedule reaches these steps" in refusal(lab, "llamafactory", *scheduled)
    assert "cannot wait" in refusal(lab, "llamafactory", *sets, apart, "train.micro_batch_size=2")

    def runs(folder: Path) -> dict[str, Run]:
        return {
            "whole": lab.compiled("llamafactory", folder / "whole", *sets, whole),
            "apart": lab.compiled("llamafactory", folder / "apart", *sets, apart),
        }

    proof = lab.compare("layerwise", runs, "whole")
    one, other = (proof.weights(name) for name in ("whole", "apart"))
    before = proof.evidence("whole").before
    for name, kept in one.items():
        moved = np.abs(kept - before[name]).max()
        assert np.abs(kept - other[name]).max() < 1e-4 * moved, name
    assert any((kept != before[name]).any() for name, kept in one.items())


@pytest.mark.parametrize(
    ("sets", "backend", "reason"),
    [
        (("train.optimizer=adafactor", "hardware.zero=1"), "deepspeed", FLAT),
        (("train.optimizer=adamw-8bit",), "deepspeed", FLAT),
        (("train.optimizer=adagrad", "train.learning_rate=0.1"), "deepspeed", "makes it anew"),
        (
            ("train.optimizer=sgd", "train.learning_rate=0.1",
             "hardware.zero={stage: 2, offload_optimizer: true}"),
            "deepspeed",
            "is replaced by DeepSpeed's own Adam",
        ),
        (("train.optimizer=paged-adamw-8bit",), "trl", "without a GPU bitsandbytes pages nothing"),
        (("train.optimizer=paged-adamw",), "unsloth", INSTEAD),
        (("train.optimizer=galore",), "llamafactory", "a rule for training all weights"),
        ((FULL, "train.optimizer=galore"), "deepspeed", "it projects matrices"),
        (
            (FULL, "train.optimizer=galore", "train.weight_decay=0.1"),
            "trl",
            "hands GaLore no weight decay",
        ),
        ((FULL, "train.optimizer={type: galore, eps: 1e-8}"), "unsloth", "hands GaLore no eps"),
        ((FULL, "train.optimizer=badam"), "llamafactory", "decays weights by 0.01"),
        ((FULL, "train.optimizer=muon"), "trl", "transformers has no Muon"),
        (
            ("train.steps=null", "train.schedule={type: warmup-stable-decay, decay_steps: 2}"),
            "llamafactory",
            "a third of the run",
        ),
    ],
)  # fmt: skip
def test_what_would_become_another_optimizer_is_refused(
    lab: Lab, sets: tuple[str, ...], backend: str, reason: str
) -> None:
    assert reason in refusal(lab, backend, *sets)
