"""Embeddings and the head have a rate of their own, the same one in every framework that can say it."""

from __future__ import annotations

import pytest

from tests.real.conftest import Lab
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
RATE = 3e-5
RATED = f"train.embedding_learning_rate={RATE}"
SCRIPTS = ("trl", "unsloth", "deepspeed")
SAVED = "method.tuner.modules_to_save=[embed_tokens, lm_head]"
CASES = {
    "adapters": (
        (SAVED, "train.steps=4", "train.learning_rate=1e-3", "data.prepare=ftspec", "train.batch_size=4",
         "train.micro_batch_size=4", "train.warmup_steps=2"), (*SCRIPTS, "axolotl"),
    ),
    "all weights, decay": (
        ("method=full", "train.steps=4", "train.learning_rate=1e-3", "train.weight_decay=0.1",
         "train.schedule=linear"), SCRIPTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_embeddings_have_a_rate_of_their_own(lab: Lab, name: str) -> None:
    sets, backends = CASES[name]
    assert "LoRA+'s rate alone" in refusal(lab, "llamafactory", RATED, *sets)
    proof = lab.prove(RATED, *sets, backends=backends)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(backends)
    for backend in backends:
        peaks = {group.settings["initial_lr"] for group in proof.evidence(backend).groups}
        assert peaks == {RATE, 1e-3}, backend
