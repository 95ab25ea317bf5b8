"""Optimizers that DeepSpeed's JSON names train as what they are read as; no schedule reaches its Adagrad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_equality import FULL

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
STEPS = (FULL, "train.steps=4", "train.learning_rate=1e-3", "train.warmup_steps=0")
CONSTANT = "train.schedule=constant"


def trained(lab: Lab, name: str, optimizer: dict[str, Any], spec: str, schedule: str) -> Proven:
    """TRL by a spec of a constant rate, and the engine by its own section under a schedule."""

    def runs(folder: Path) -> dict[str, Run]:
        place = folder / "deepspeed"
        made = lab.compiled("deepspeed", place, *STEPS, schedule, "hardware.zero=1")
        config = json.loads((place / "ds_config.json").read_text("utf-8"))
        config |= {"optimizer": optimizer, "zero_allow_untested_optimizer": True}
        (place / "ds_config.json").write_text(json.dumps(config), "utf-8")
        own = (CONSTANT, f"train.optimizer={spec}")
        return {"trl": lab.compiled("trl", folder / "trl", *STEPS, *own), "deepspeed": made}

    return lab.compare(name, runs)


def test_torchs_rmsprop(lab: Lab) -> None:
    named = {"type": "RMSprop", "params": {"lr": "auto", "alpha": 0.9, "momentum": 0.5}}
    spec = "{type: rmsprop, smoothing: 0.9, momentum: 0.5}"
    run = trained(lab, "engine-rmsprop", named, spec, CONSTANT).certificate.runs["deepspeed"]
    assert run.conclusion == "equal", run.error or run.first_failure()


def test_no_schedule_reaches_adagrad(lab: Lab) -> None:
    """What is logged falls; what is trained is what a constant rate trains."""
    named = {"type": "Adagrad", "params": {"lr": "auto"}}
    linear = "train.schedule=linear"
    proof = trained(lab, "engine-adagrad", named, "{type: adagrad}", linear)
    ours, theirs = (proof.evidence(name) for name in ("trl", "deepspeed"))
    assert theirs.steps[0].learning_rate != theirs.steps[-1].learning_rate
    losses = [[step.loss for step in one.steps] for one in (ours, theirs)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    checks = {check.name: check.verdict for check in proof.certificate.runs["deepspeed"].checks}
    assert checks["final update"] == "within"
