"""Rows of like length share a step: every framework draws the same ones in one order, in later epochs too."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.verify.inputs import rows
from ftspec.verify.verify import Run
from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
GROUPED = "data.group_by_length=true"
EPOCHS = ("train.steps=null", "train.epochs=2")
FIFTY = "data.train={path: data/chat.jsonl, limit: 50}"
ALL = (*BACKENDS, "axolotl")
CASES = {
    "two epochs, with dropout": (
        (*EPOCHS, FIFTY, "method.tuner.dropout=0.1", "train.seed=7"), BACKENDS,
    ),
    "rows of ftspec, cut": (
        ("train.steps=20", FIFTY, "data.prepare=ftspec", "data.max_length=48", "data.overflow=truncate",
         "train.batch_size=4", "train.micro_batch_size=4", "train.warmup_steps=2"), ALL,
    ),
    "all weights, noise": (
        (*EPOCHS, FIFTY, "method=full",
         "train.neftune_alpha=5", "data.train_on=all", "train.gradient_checkpointing=true"), BACKENDS,
    ),
    "evaluated between": (
        (*EPOCHS, FIFTY, "data.eval_size=12", "train.eval_steps=3"), BACKENDS,
    ),
}  # fmt: skip


def lengths(proof: Proven, backend: str) -> list[int]:
    return [len(row.ids) for row in rows(proof.evidence(backend))]


@pytest.mark.parametrize("name", CASES)
def test_rows_of_like_length_share_a_step_everywhere(lab: Lab, name: str) -> None:
    sets, backends = CASES[name]
    proof = lab.prove(GROUPED, *sets, backends=backends)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(backends)
    for backend in backends:
        found = lengths(proof, backend)
        assert found[0] == max(found), backend
        # a quarter of the rows at a time: each begins with its longest
        steps = [found[at : at + 4] for at in range(0, 36, 4)]
        assert all(step == sorted(step, reverse=True) for step in steps[1:3]), backend


def test_processes_share_one_order(lab: Lab) -> None:
    """Two processes draw the same order each, and take turns; in the second epoch too."""
    sets = (GROUPED, *EPOCHS, "data.train={path: data/chat.jsonl, limit: 48}", "hardware.devices=2")

    def runs(folder: Path) -> dict[str, Run]:
        return {name: lab.compiled(name, folder / name, *sets) for name in ("trl", "llamafactory")}

    proof = lab.compare("grouped by two", runs)
    assert_equal(proof)
    taken = rows(proof.evidence("trl"))
    texts = [tuple(row.ids) for row in taken]
    assert len(texts) == 96
    for epoch in (texts[:48], texts[48:]):
        assert sorted(epoch) == sorted(texts[:48])
    assert texts[:48] != texts[48:]
