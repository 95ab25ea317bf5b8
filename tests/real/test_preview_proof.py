"""The preview's rows against the batches that a proof trained on."""

from __future__ import annotations

import pytest

from ftspec.data.findings import Findings
from ftspec.data.preview import look
from ftspec.data.view import View
from ftspec.plan.readers import Readers, readers
from ftspec.spec.load import load
from ftspec.verify.inputs import rows
from tests.real import test_free, test_preference, test_reward, test_unpaired
from tests.real.conftest import BACKENDS, Lab
from tests.real.test_distillation import taught, teacher
from tests.real.test_online import METHODS, REWARDS, SHARED

__all__ = ["teacher"]
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


def sides(lab: Lab, name: str, *sets: str) -> list[tuple[View, ...]]:
    """What the preview says of each row: one view, or two of a pair."""
    asked = readers(load(lab.spec, sets), (name,))
    assert not asked.unknown
    return [view.sides for view in views(asked, name)]


ANSWERS = {
    "dpo": (test_preference.PAIRS, BACKENDS),
    "simpo": ((*test_preference.PAIRS, *test_free.CASES["simpo"][0]), BACKENDS),
    "kto": (test_unpaired.JUDGED, BACKENDS),
    "reward": (test_reward.SETS, test_reward.BACKENDS),
}
"""Proofs that other tests ask for as well."""


@pytest.mark.parametrize("objective", ANSWERS)
def test_answers_of_a_proof_are_those_of_the_preview(lab: Lab, objective: str) -> None:
    sets, backends = ANSWERS[objective]
    proof = lab.prove(*sets, backends=backends)
    for name in backends:
        said, seen = sides(lab, name, *sets), 0
        for batch in proof.evidence(name).batches:
            ids, labels = batch.unpadded(batch.input_ids), batch.unpadded(batch.labels or ())
            assert batch.indices
            rows_of = len(batch.indices)
            for at, (row, marked) in enumerate(zip(ids, labels, strict=True)):
                side = said[batch.indices[at % rows_of]][at // rows_of]  # chosen answers come first
                assert list(row) == side.input_ids
                assert objective == "reward" or list(marked) == side.labels
                seen += 1
        assert seen >= 16


def test_rows_of_a_teacher_are_those_of_the_preview(lab: Lab, teacher: object) -> None:
    sets = taught("teacher")
    proof = lab.prove(*sets, backends=("trl", "deepspeed"))
    said = sides(lab, "trl", *sets)
    taken = rows(proof.evidence("trl"))
    assert len(taken) == 12
    for row in taken:
        assert row.source is not None
        (side,) = said[row.source]
        assert (list(row.ids), list(row.labels or ())) == (side.input_ids, side.labels)


def test_prompts_of_a_proof_are_those_of_the_preview(lab: Lab) -> None:
    sets = (
        f"method.objective={METHODS['grpo'].replace('REWARDS', REWARDS)}",
        "method.tuner={type: lora}",
        *SHARED,
    )
    evidence = lab.prove(*sets, backends=("trl", "deepspeed")).evidence("trl")
    said = sides(lab, "trl", *sets)
    begun = [tuple(side.input_ids) for (side,) in said]
    asked = {index for each in evidence.rounds for index in each.indices or ()}
    read = [row.ids for row in rows(evidence)]
    assert len(asked) >= 2 and len(read) == 16
    for index in asked:  # its group of completions stands behind it
        assert sum(row[: len(begun[index])] == begun[index] for row in read) >= 4
    assert all(side.open and side.trained_tokens == 0 for (side,) in said)
