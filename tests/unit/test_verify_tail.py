"""What a wide vocabulary may move on a CPU, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ftspec.verify.checks import CHECKS, Result, compare
from ftspec.verify.evidence import Evidence
from tests.unit.verify_samples import evidence

SMOLLM2 = 49_152
OWN = {check.name: check.tolerance for check in CHECKS}


def sample(loss: float = 1.76, **setting: Any) -> Evidence:
    run = evidence()
    steps = tuple(replace(step, loss=loss) for step in run.steps)
    given = {"device": "cpu", "vocabulary": SMOLLM2, **setting}
    return replace(run, steps=steps, setting={**run.setting, **given})


def results(ours: Evidence, theirs: Evidence) -> dict[str, Result]:
    return {result.check.name: result for result in compare(ours, theirs)}


def test_the_tail_of_a_wide_vocabulary_is_no_difference() -> None:
    found = results(sample(), sample(loss=1.76 * (1 - 3.6e-6)))["first loss"]
    assert found.outcome.verdict == "within"
    assert found.tolerance == 6e-6
    assert "49,152" in found.why


def test_more_than_the_tail_is_one() -> None:
    found = results(sample(), sample(loss=1.76 * (1 - 7e-6)))["first loss"]
    assert found.outcome.verdict == "differs"


def test_a_share_of_a_small_loss_is_larger_and_the_gradient_feels_more() -> None:
    found = results(sample(loss=0.176), sample(loss=0.176))
    assert found["first loss"].tolerance == found["trajectory"].tolerance == 6e-5
    assert found["first gradient norm"].tolerance == 5e-5


@pytest.mark.parametrize(
    "setting", [{"vocabulary": 1024}, {"vocabulary": None}, {"device": "NVIDIA H100"}]
)
def test_elsewhere_the_tolerances_are_those_of_the_table(setting: dict[str, Any]) -> None:
    found = results(sample(**setting), sample(**setting))
    assert {name: result.tolerance for name, result in found.items()} == OWN
    assert all(result.why == result.check.why for result in found.values())


def test_both_runs_must_have_it() -> None:
    found = results(sample(), sample(device="NVIDIA H100"))
    assert {name: result.tolerance for name, result in found.items()} == OWN


@pytest.mark.parametrize("loss", [0.0, float("nan"), float("inf")])
def test_a_broken_loss_allows_nothing(loss: float) -> None:
    found = results(sample(loss=loss), sample(loss=loss))
    assert found["first loss"].tolerance == OWN["first loss"]
