"""The preview's rows against the batches that a proof trained on."""

from __future__ import annotations

import pytest

from ftspec.data.findings import Findings
from ftspec.data.preview import look
from ftspec.data.view import View
from ftspec.plan.readers import Readers, readers
from ftspec.spec.load import load
from ftspec.verify.inputs import rows
from tests.real.conftest import BACKENDS, Lab

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]


def test_the_batches_of_a_proof_are_the_rows_of_the_preview(lab: Lab) -> None:
    """What really went through the models, row by row, and how many steps were foretold."""
    sets = ("train.steps=null", "train.epochs=0.5", "train.batch_size=6")
    proof = lab.prove(*sets)
    assert proof.certificate.verdict == "equal"
    asked = readers(load(lab.spec, sets), BACKENDS)
    for name in BACKENDS:
        evidence = proof.evidence(name)
        said = views(asked, name)
        taken = rows(evidence)
        assert len(taken) >= 30
        for row in taken:
            assert row.source is not None
            assert list(row.ids) == said[row.source].input_ids
            assert list(row.labels or ()) == said[row.source].labels
        assert evidence.setting["max_steps"] == asked.steps(len(said))[1] == 6


def views(asked: Readers, name: str) -> list[View]:
    (group,) = (group for group in asked.groups if name in group.backends)
    looked = look(asked.sources("train"), asked.folder, asked.tokens, [group.rule], Findings())
    return [row.views[0] for row in looked if isinstance(row.views[0], View)]
