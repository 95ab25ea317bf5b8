"""Losses of demonstrations: weighed tokens train alike wherever they can be weighed at all."""

from __future__ import annotations

import math

import pytest

from ftspec.verify.evidence import Evidence
from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import Lab, Proven
from tests.real.test_equality import LORA, proven
from tests.real.test_options import THREE, assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
PREPARED = (*THREE, "data.prepare=ftspec")
WEIGHT = 0.1
SCRIPTS = ("trl", "unsloth", "deepspeed")
MEANS = (*PREPARED, "train.warmup_steps=0", "method.objective.average=batches")
"""A step is the mean of the means of two passes."""


def first_loss(proof: Proven, backend: str = "trl") -> float:
    return proof.evidence(backend).steps[0].loss


def test_dft(lab: Lab) -> None:
    proof = lab.prove(*THREE, "method.objective.loss=dft")
    assert_equal(proof)
    assert len(proof.certificate.runs) == 4
    # probabilities of an untrained model are near 1 in 49,152: so is what is left of the loss
    plain = first_loss(proven(lab, LORA, "framework"))
    assert 0 < first_loss(proof) < plain / 1000


def test_eaft(lab: Lab) -> None:
    """Entropies are divided by 3 in one framework, by nothing in the other: the loss is thrice as much."""
    sets = (*PREPARED, "train.warmup_steps=0", "method.objective.loss=eaft")
    bare = (*sets, "method.objective.entropy_scale=1")
    assert "divides it by 3" in refusal(lab, "llamafactory", *bare)
    assert "divides the entropy by nothing" in refusal(lab, "axolotl", *sets)
    proof, other = lab.prove(*sets), lab.prove(*bare, backends=("trl", "axolotl"))
    for each in (proof, other):
        assert_equal(each)
    assert set(proof.certificate.runs) == {*SCRIPTS, "llamafactory"}
    assert set(other.certificate.runs) == {"trl", "axolotl"}
    assert first_loss(other) == pytest.approx(3 * first_loss(proof), rel=1e-6)
    # an untrained model is as unsure as can be: nearly log 20 of its 20 likeliest tokens
    plain = first_loss(proven(lab, LORA, "ftspec"))
    assert first_loss(other) == pytest.approx(plain * math.log(20), rel=0.05)


ANCHORED = (
    *PREPARED, "train.warmup_steps=0", "train.learning_rate=0.01", "method.objective.loss=asft",
    "method.objective.anchor_weight=0.5", "method.objective.average=batches",
)  # fmt: skip


@pytest.mark.parametrize("tuner", ["lora", "full"])
def test_asft(lab: Lab, tuner: str) -> None:
    """Two passes of which LLaMA-Factory adds up the means; the divergence counts from the second step on."""
    sets = (*ANCHORED, f"method.tuner={tuner}")
    assert "it adds up the means" in refusal(lab, "llamafactory", *sets)
    for backend in ("unsloth", "deepspeed"):
        assert "a second model" in refusal(lab, backend, *sets)
    summed = lab.prove(*sets, "method.objective.sum_passes=true", backends=("trl", "llamafactory"))
    assert_equal(summed)
    assert set(summed.certificate.runs) == {"trl", "llamafactory"}
    alone = lab.prove(
        *sets, "method.objective.anchor_weight=0.0001", "method.objective.sum_passes=true",
        backends=("trl", "llamafactory"),
    )  # fmt: skip
    assert_equal(alone)
    held, free = ([step.loss for step in each.evidence("trl").steps] for each in (summed, alone))
    # nothing is apart yet in the first step, where a loss of DFT's is next to nothing
    assert held[0] == pytest.approx(free[0], abs=1e-5)
    assert held[-1] > free[-1] + 1e-4


def test_prompt_weight(lab: Lab) -> None:
    sets = (*PREPARED, f"method.objective.prompt_weight={WEIGHT}")
    assert "its config has no weights" in refusal(lab, "llamafactory", *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(SCRIPTS)
    # the mean over answers and over all tokens, each by a run of its own, say what this loss must be
    answers, everything = counted(proof.evidence("trl"))
    assert 0 < answers < everything
    mean = first_loss(proven(lab, LORA, "ftspec"))
    mean_of_all = first_loss(lab.prove(*PREPARED, "data.train_on=all", backends=("trl", "unsloth")))
    prompts = mean_of_all * everything - mean * answers
    expected = (mean * answers + WEIGHT * prompts) / (answers + WEIGHT * (everything - answers))
    assert abs(expected - mean) > 1e-4
    for backend in SCRIPTS:
        assert first_loss(proof, backend) == pytest.approx(expected, rel=1e-6)


def counted(evidence: Evidence) -> tuple[int, int]:
    """Trained tokens, and all that something predicts, in the first step."""
    first = [row for row in rows(evidence) if row.step == 1]
    labels = [label for row in first for label in (row.labels or ())[1:]]
    return sum(label != MASKED for label in labels), len(labels)


def test_weights_are_shared_by_processes(lab: Lab) -> None:
    """Two processes with half of the batch each weigh as one does: the sum is of the whole batch."""
    sets = (*PREPARED, f"method.objective.prompt_weight={WEIGHT}")

    def runs(folder):  # type: ignore[no-untyped-def]
        return {
            "trl": lab.compiled("trl", folder / "trl", *sets),
            "trl x 2": lab.compiled("trl", folder / "two", *sets, "hardware.devices=2"),
        }

    assert_equal(lab.compare("weighed by two", runs))


def test_means_of_batches_are_averaged(lab: Lab) -> None:
    assert "counts the tokens of the whole batch" in refusal(lab, "llamafactory", *MEANS)
    proof = lab.prove(*MEANS, backends=(*SCRIPTS, "axolotl"))
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*SCRIPTS, "axolotl"}
    # passes with unequal numbers of trained tokens, so that the mean over tokens is another one
    assert abs(first_loss(proof) - first_loss(proven(lab, LORA, "ftspec"))) > 1e-5


def test_means_of_devices_are_averaged(lab: Lab) -> None:
    """Two processes with one pass each are what one process with two passes is."""

    def runs(folder):  # type: ignore[no-untyped-def]
        return {
            "trl": lab.compiled("trl", folder / "trl", *MEANS),
            "trl x 2": lab.compiled("trl", folder / "two", *MEANS, "hardware.devices=2"),
        }

    assert_equal(lab.compare("averaged by two", runs))
