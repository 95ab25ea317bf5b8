"""Reward models: a new head that scores whole answers, alike in both backends that train one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import Lab
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
BACKENDS = ("trl", "deepspeed")
SETS = (
    "method.objective={type: reward, center: 0.01}",
    "data.train=data/preferences.jsonl",
    "train.steps=4",
    "train.learning_rate=1e-3",
)


def test_reward_models_train_alike(lab: Lab) -> None:
    assert "a head of another form" in refusal(lab, "llamafactory", *SETS)
    assert "were not seen to train" in refusal(lab, "unsloth", *SETS)
    proof = lab.prove(*SETS, backends=BACKENDS)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*BACKENDS}
    taken = rows(proof.evidence("trl"))
    assert len(taken) == 2 * 4 * 4  # a chosen and a rejected answer of each pair
    assert all(row.labels and set(row.labels) == {MASKED} for row in taken)
    # the head trained, and was saved with the adapter, for peft to find it
    saved = proof.weights("trl")
    (head,) = (name for name in saved if name.endswith("score.weight"))
    assert saved[head].shape[0] == 1
    assert np.isfinite(saved[head]).all()
    config = json.loads((proof.model("trl") / "adapter_config.json").read_text())
    assert "score" in config["modules_to_save"]
    assert config["task_type"] == "SEQ_CLS"
    losses = [step.loss for step in proof.certificate.runs["trl"].steps]
    assert losses[-1] != losses[0]
