"""Distillation: what a model learns from a teacher's probabilities, and from itself.

On-policy answers are drawn by chance: no test compares them, and no backend is said to be equal there. What
is compared is the divergence on the data's answers, which nothing random touches.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import Lab
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
BACKENDS = ("trl", "deepspeed")
STEPS = ("train.steps=3", "train.learning_rate=1e-3", "data.train_on=completions")


@pytest.fixture
def teacher(lab: Lab) -> Path:
    """The tiny model with other weights, beside it."""
    folder = lab.specs / "teacher"
    if not folder.exists():
        made = lab.specs / f"teacher.{lab.base.stat().st_ino}"
        shutil.copytree(lab.specs / "tiny-model", made, dirs_exist_ok=True)
        weights = load_file(made / "model.safetensors")
        draw = np.random.default_rng(7)
        for name in sorted(weights):
            noise = draw.standard_normal(weights[name].shape).astype(weights[name].dtype)
            weights[name] = weights[name] + np.float32(0.02) * noise
        save_file(weights, made / "model.safetensors", {"format": "pt"})
        made.rename(folder)
    return folder


def taught(teacher: str) -> tuple[str, ...]:
    return (*STEPS, f"method.objective={{type: gkd, teacher: ./{teacher}}}")


def test_the_teachers_probabilities_are_learned_alike(lab: Lab, teacher: Path) -> None:
    proof = lab.prove(*taught(teacher.name), backends=BACKENDS)
    assert_equal(proof)
    for name in BACKENDS:
        evidence = proof.evidence(name)
        for row in rows(evidence):
            trained = [label for label in row.labels or () if label != MASKED]
            assert 0 < len(trained) < len(row.ids)
        losses = [step.loss for step in evidence.steps]
        assert 0 < losses[-1] < losses[0]


def test_nothing_is_learned_from_oneself(lab: Lab) -> None:
    """The first divergence is zero: so the data's own words are not what is learned."""
    proof = lab.prove(*taught("tiny-model"), backends=("trl", "deepspeed"))
    losses = [step.loss for step in proof.evidence("trl").steps]
    assert losses == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
