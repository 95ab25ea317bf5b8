"""Single answers with a label: KTO trains alike where it measures its divergence on the same pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import BACKENDS, Lab
from tests.real.test_options import assert_equal
from tests.real.test_planted import set_to

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
JUDGED = (
    "data.train=data/feedback.jsonl", "data.train_on=completions", "data.shuffle=false",
    "method.objective={type: kto, desirable_weight: 3, undesirable_weight: 0.1}", "train.steps=4",
    "train.micro_batch_size=4", "train.batch_size=4", "train.learning_rate=1e-2",
)  # fmt: skip
"""Good answers weigh far more than bad ones, so that all become likelier: else no divergence would count."""
FULL = ("method.tuner={type: full}", "train.learning_rate=1e-4")


def test_kto_of_an_adapter(lab: Lab) -> None:
    """The reference is the base, with the adapter switched off."""
    proof = lab.prove(*JUDGED)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    for name in BACKENDS:
        evidence = proof.evidence(name)
        taken = [row for row in rows(evidence) if row.step == 1]
        assert [row.source for row in taken] == [0, 1, 2, 3]  # in their order, one answer each
        for row in taken:
            trained = [label for label in row.labels or () if label != MASKED]
            assert 0 < len(trained) < len(row.ids)
        losses = [step.loss for step in evidence.steps]
        # a half of each weight, for model and reference are one; one of these four answers is bad
        assert losses[0] == pytest.approx((3 * 1.5 + 0.05) / 4, abs=1e-6)
        assert len({*losses}) > 2


def test_kto_of_all_weights(lab: Lab) -> None:
    """The reference is a frozen copy, which each framework loads in its own way."""
    assert_equal(lab.prove(*JUDGED, *FULL, backends=("trl", "llamafactory")))


def test_answers_paired_over_more_rows_are_found(lab: Lab) -> None:
    """LLaMA-Factory's own block of 1,000 rows: the first steps agree, for the divergence is zero there."""

    def runs(folder: Path):  # type: ignore[no-untyped-def]
        other = lab.compiled("llamafactory", folder / "block", *JUDGED)
        set_to("preprocessing_batch_size", "1000")(other.folder)
        return {"trl": lab.compiled("trl", folder / "trl", *JUDGED), "llamafactory": other}

    certificate = lab.compare("another block", runs).certificate
    found = certificate.runs["llamafactory"].first_failure()
    assert found is not None and found.name == "trajectory"
    assert found.link.endswith("#judged-answers")
