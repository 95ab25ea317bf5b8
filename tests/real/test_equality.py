"""One spec in four frameworks: full and LoRA, each framework's own data path and ftspec's."""

from __future__ import annotations

import math

import pytest

from ftspec.verify.checks import CHECKS, compare
from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import BACKENDS, Lab, Proven

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
IDENTICAL = (
    *("data order", "text", "token ids", "label mask", "batches"),
    *("trainable parameters", "initial weights", "optimizer groups"),
)
LIMITS = {"first loss": 1e-6, "trajectory": 1e-5, "final update": 1e-3}
STEPS, BATCH = 6, 4
CLIPPED = 1.0
"""train.max_grad_norm of the spec."""
ROUNDING = 2**-23
"""Of float32, relative."""
FULL, LORA = "method.tuner={type: full}", "method.tuner.type=lora"


def proven(lab: Lab, tuner: str, prepare: str) -> Proven:
    return lab.prove(tuner, f"data.prepare={prepare}")


@pytest.mark.parametrize("prepare", ["framework", "ftspec"])
@pytest.mark.parametrize("tuner", [FULL, LORA], ids=["full", "lora"])
def test_four_frameworks_train_the_same(lab: Lab, tuner: str, prepare: str) -> None:
    proof = proven(lab, tuner, prepare)
    certificate = proof.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    assert certificate.exit_code == 0
    assert sorted(certificate.runs) == sorted(BACKENDS)
    for name, run in certificate.runs.items():
        if name == certificate.reference:
            continue
        assert [check.name for check in run.checks] == [check.name for check in CHECKS], name
        found = {check.name: check for check in run.checks}
        assert {check: found[check].verdict for check in IDENTICAL} == dict.fromkeys(
            IDENTICAL, "equal"
        )
        for check, limit in LIMITS.items():
            measured = found[check].measured
            assert measured is not None and measured <= limit, (name, check)
    _not_by_the_checks_alone(proof)


def _not_by_the_checks_alone(proof: Proven) -> None:
    """The same numbers again, straight from what the probe wrote down."""
    seen = {name: proof.evidence(name) for name in BACKENDS}
    losses = {name: [step.loss for step in evidence.steps] for name, evidence in seen.items()}
    clipped = any((step.grad_norm or 0) > CLIPPED for step in seen["trl"].steps)
    if clipped:  # ZeRO adds up the norm in another order, and the factor has another last digit
        assert losses["deepspeed"] == pytest.approx(losses["trl"], rel=ROUNDING)
    else:
        assert losses["trl"] == losses["deepspeed"]  # to the last digit
    assert len(losses["trl"]) == STEPS and losses["trl"][0] != losses["trl"][-1]
    for name, evidence in seen.items():
        taken = rows(evidence)
        assert len(taken) == STEPS * BATCH, name
        assert [row.ids for row in taken] == [row.ids for row in rows(seen["trl"])]
        assert [row.labels for row in taken] == [row.labels for row in rows(seen["trl"])]
        # labels that are all on or all off would be equal without anything being masked right
        trained = [label != MASKED for row in taken for label in row.labels or ()]
        assert any(trained) and not all(trained)
        assert {k: t.sha256 for k, t in evidence.trainable.items()} == {
            k: t.sha256 for k, t in seen["trl"].trainable.items()
        }
        assert evidence.rng == seen["trl"].rng, name
        moved = [
            math.sqrt(float(((evidence.after[key] - evidence.before[key]) ** 2).sum()))
            for key in evidence.before
        ]
        assert min(moved) > 0, f"{name}: a trainable tensor did not move"
        saved = proof.weights(name)
        assert set(saved) == set(evidence.after), name
        assert all((saved[key] == evidence.after[key]).all() for key in saved), name


@pytest.mark.parametrize("tuner", [FULL, LORA], ids=["full", "lora"])
def test_an_engine_changes_no_digit_where_nothing_is_clipped(lab: Lab, tuner: str) -> None:
    never = "train.max_grad_norm=null"
    proof = lab.prove(tuner, "data.prepare=ftspec", never, backends=("trl", "deepspeed"))
    ours, theirs = proof.evidence("trl"), proof.evidence("deepspeed")
    assert [step.loss for step in ours.steps] == [step.loss for step in theirs.steps]
    assert len(ours.steps) == STEPS and set(ours.after) == set(theirs.after)
    assert all((theirs.after[key] == weights).all() for key, weights in ours.after.items())


@pytest.mark.parametrize("tuner", [FULL, LORA], ids=["full", "lora"])
def test_who_tokenises_makes_no_difference(lab: Lab, tuner: str) -> None:
    native, prepared = (
        proven(lab, tuner, prepare).evidence("trl") for prepare in ("framework", "ftspec")
    )
    results = compare(native, prepared)
    assert len(results) == len(CHECKS)
    failing = [result for result in results if result.outcome.verdict != "equal"]
    assert not failing  # not merely within a tolerance: the same bits
