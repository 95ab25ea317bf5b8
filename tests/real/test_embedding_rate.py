"""Embeddings and the head have a rate of their own, the same one in every framework that can say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.verify.verify import Run
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


@pytest.mark.parametrize("zero", ["2", "3", "{stage: 2, offload_optimizer: true}"])
def test_the_engine_shards_both_groups(lab: Lab, zero: str) -> None:
    sets = (RATED, *CASES["all weights, decay"][0])

    def runs(folder: Path) -> dict[str, Run]:
        return {
            "trl": lab.compiled("trl", folder / "trl", *sets),
            "deepspeed": lab.compiled(
                "deepspeed", folder / "deepspeed", *sets, f"hardware.zero={zero}"
            ),
        }

    proof = lab.compare(f"two rates, zero {zero}", runs)
    assert_equal(proof)
    peaks = {group.settings["initial_lr"] for group in proof.evidence("deepspeed").groups}
    assert peaks == {RATE, 1e-3}
