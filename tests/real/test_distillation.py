"""Distillation: what a model learns from a teacher's probabilities, and from itself.

Answers that are written while it trains are drawn by chance, from random numbers that follow from the seed:
both backends write the same ones, token by token.
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


WRITTEN = {
    "the model": ("on_policy: 1", 6),
    "the teacher": ("teacher_writes: true", 6),
    # drawn by chance, and alike in both: Python's random numbers follow from the seed
    "the model, or the data": ("on_policy: 0.5", None),
}


@pytest.mark.parametrize("who", WRITTEN)
def test_what_is_written_is_learned_alike(lab: Lab, teacher: Path, who: str) -> None:
    more, rounds = WRITTEN[who]
    objective = f"{{type: gkd, teacher: ./teacher, {more}, max_new_tokens: 12}}"
    proof = lab.prove(*STEPS, f"method.objective={objective}", backends=BACKENDS)
    assert_equal(proof)
    evidence = proof.evidence("trl")
    written = evidence.rounds
    assert (
        len(written) == rounds if rounds else 0 < len(written) < 6
    )  # of three steps with two each
    read = rows(evidence)
    assert len(read) == 12
    for row in read:
        assert 0 < sum(label != MASKED for label in row.labels or ()) < len(row.ids)
    drawn = {tokens for each in written for tokens in each.completions}
    answers = {tuple(label for label in row.labels or () if label != MASKED) for row in read}
    assert drawn <= answers and (len(drawn) == len(answers)) == (rounds is not None)


def test_the_divergence_is_the_mean_over_what_was_written(lab: Lab, teacher: Path) -> None:
    """An answer of one token each: were they counted by the data's answers, the loss would be tiny."""
    short, long = (
        lab.prove(
            *STEPS,
            f"method.objective={{type: gkd, teacher: ./teacher, on_policy: 1, max_new_tokens: {most}}}",
            backends=BACKENDS,
        )
        for most in (1, 12)
    )
    losses = [proof.evidence("trl").steps[0].loss for proof in (short, long)]
    assert losses[0] > losses[1] / 3
    seen = {len(tokens) for each in short.evidence("trl").rounds for tokens in each.completions}
    assert seen == {1}
