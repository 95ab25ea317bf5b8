"""Preferences: pairs of answers train alike wherever their loss is the same, and nowhere by another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import BACKENDS, Lab
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
PAIRS = (
    "data.train=data/preferences.jsonl", "data.train_on=completions", "method.objective=dpo",
    "train.steps=3", "train.learning_rate=1e-3",
)  # fmt: skip
FULL = ("method.tuner={type: full}", "train.learning_rate=1e-5")
ROWS = 4


def test_dpo_of_an_adapter(lab: Lab) -> None:
    """The reference is the base, with the adapter switched off."""
    proof = lab.prove(*PAIRS)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    for name in BACKENDS:
        evidence = proof.evidence(name)
        taken = [row for row in rows(evidence) if row.step == 1]
        assert len(taken) == 2 * ROWS  # a chosen and a rejected answer of each
        assert len({row.source for row in taken}) == ROWS
        for row in taken:
            trained = [label for label in row.labels or () if label != MASKED]
            assert 0 < len(trained) < len(row.ids)
        losses = [step.loss for step in evidence.steps]
        assert losses[0] == pytest.approx(0.6931472, abs=1e-6)  # ln 2: model and reference are one
        assert losses[-1] < losses[0]


def test_dpo_of_all_weights(lab: Lab) -> None:
    """The reference is a frozen copy, which each framework loads in its own way."""
    proof = lab.prove(*PAIRS, *FULL)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    losses = [step.loss for step in proof.evidence("trl").steps]
    assert losses[0] == pytest.approx(0.6931472, abs=1e-6) and losses[-1] < losses[0]


def test_dpo_of_a_part_of_the_weights(lab: Lab) -> None:
    """The reference is a frozen copy of the whole."""
    part = "method.tuner={type: partial, last_layers: 1}"
    assert_equal(lab.prove(*PAIRS, part, backends=("trl", "llamafactory")))


def test_another_beta_is_found(lab: Lab) -> None:
    """The first loss is ln 2 under any beta: the first gradient is not."""

    def runs(folder: Path):  # type: ignore[no-untyped-def]
        return {
            "trl": lab.compiled("trl", folder / "trl", *PAIRS),
            "trl, beta 0.2": lab.compiled(
                "trl", folder / "two", *PAIRS, "method.objective.beta=0.2"
            ),
        }

    certificate = lab.compare("another beta", runs).certificate
    found = certificate.runs["trl, beta 0.2"].first_failure()
    assert found is not None and found.name == "first gradient norm"
    assert found.link.endswith("#preference-loss")


def test_what_would_train_by_another_loss_is_refused(lab: Lab) -> None:
    loss = "method.objective.loss="
    for name in ("hinge", "ipo"):
        told = refusal(lab, "llamafactory", *PAIRS, loss + name)
        assert f"pref_loss: {name} and trains the sigmoid loss" in told
    smoothed = "method.objective.label_smoothing=0.1"
    assert "ignores label smoothing" in refusal(lab, "trl", *PAIRS, smoothed)
