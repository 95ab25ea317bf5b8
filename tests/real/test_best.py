"""The best weights of a run, and a run that stops when it gets no better: alike in each framework."""

from __future__ import annotations

import json

import pytest
from safetensors.numpy import load_file

from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
STEPS, PATIENCE = 6, 1
WORSE = (
    "data.prepare=ftspec", "data.eval={path: data/chat.jsonl, limit: 4}", "train.eval_steps=1",
    f"train.steps={STEPS}", "train.warmup_steps=0", "train.schedule=constant", "train.learning_rate=0.2",
    f"train.early_stopping={PATIENCE}",
)  # fmt: skip
"""A rate at which the loss of the third step is worse than that of the second."""


def lowest(proof: Proven, backend: str) -> tuple[int, int]:
    """The step with the lowest evaluation loss, and the last one, of a run's own record."""
    (file,) = (proof.folder / backend).rglob("model/trainer_state.json")
    state = json.loads(file.read_text("utf-8"))
    losses = {log["step"]: log["eval_loss"] for log in state["log_history"] if "eval_loss" in log}
    return min(losses, key=lambda step: (losses[step], step)), state["global_step"]


def test_the_best_weights_are_kept_and_the_run_stops(lab: Lab) -> None:
    proof = lab.prove(*WORSE, "train.keep=best")
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    for backend in BACKENDS:
        best, last = lowest(proof, backend)
        assert last == best + PATIENCE < STEPS, backend
        assert len(proof.evidence(backend).steps) == last
        (file,) = (proof.folder / backend).rglob(f"checkpoint-{best}/adapter_model.safetensors")
        saved, kept = load_file(file), load_file(proof.model(backend) / file.name)
        assert saved.keys() == kept.keys()
        assert all((saved[name] == kept[name]).all() for name in saved), backend
        (file,) = (proof.folder / backend).rglob(f"checkpoint-{last}/adapter_model.safetensors")
        assert any((array != kept[name]).any() for name, array in load_file(file).items()), backend
