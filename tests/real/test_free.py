"""Preferences without a reference train alike wherever their loss is the same."""

from __future__ import annotations

import pytest

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import BACKENDS, Lab
from tests.real.test_options import assert_equal, refusal
from tests.real.test_preference import PAIRS

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
ROWS = 4
SCRIPTS = ("trl", "unsloth")
CASES = {
    "simpo": (("method.objective=simpo",), BACKENDS),
    "orpo": (("method.objective=orpo",), ("trl", "llamafactory")),
    "orpo of rows": (("method.objective={type: orpo, likelihood: rows}",), ("trl", "deepspeed")),
    "cpo of all weights": (
        ("method.objective=cpo", "method.tuner={type: full}", "train.learning_rate=1e-5"),
        SCRIPTS,
    ),
    "simpo with LoRA+": (("method.objective=simpo", "method.tuner.plus_ratio=4"), SCRIPTS),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_are_compared_alike(lab: Lab, case: str) -> None:
    sets, backends = CASES[case]
    proof = lab.prove(*PAIRS, *sets, backends=backends)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*backends}
    for name in backends:
        evidence = proof.evidence(name)
        taken = [row for row in rows(evidence) if row.step == 1]
        assert len(taken) == 2 * ROWS  # a chosen and a rejected answer of each
        for row in taken:
            trained = [label for label in row.labels or () if label != MASKED]
            assert 0 < len(trained) < len(row.ids)
            assert "<|im_end|><|im_end|>" not in (row.text or "").replace("\n", "")
        losses = [step.loss for step in evidence.steps]
        assert len({*losses}) == len(losses)  # each step sees other pairs


def test_what_would_train_by_another_likelihood_is_refused(lab: Lab) -> None:
    told = refusal(lab, "llamafactory", *PAIRS, "method.objective={type: orpo, likelihood: rows}")
    assert "likelihood of each answer" in told
    several = "method.objective={type: simpo, sft_weight: 1}"
    assert "mean" in refusal(lab, "llamafactory", *PAIRS, several, "train.micro_batch_size=2")
