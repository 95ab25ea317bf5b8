"""The curve of the warm-up, a schedule that is late, and decay of every weight: as DeepSpeed makes them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ftspec.verify.verify import Run
from tests.real.conftest import Lab
from tests.real.test_equality import FULL
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
STEPS, WARMUP, PEAK, START, DECAY = 6, 3, 1e-3, 1e-4, 0.1
PLAIN = (
    FULL,
    f"train.steps={STEPS}",
    f"train.warmup_steps={WARMUP}",
    f"train.learning_rate={PEAK}",
    f"train.weight_decay={DECAY}",
)
LINE = (f"train.schedule={{type: polynomial, power: 1.0, end_rate: {START}}}", "hardware.zero=0")
LATE = (
    "train.warmup_shape=log",
    "train.schedule_delay=1",
    "train.weight_decay_on=all",
    f"train.warmup_start={START}",
)
ENGINE = {
    "optimizer": {
        "type": "AdamW",
        "params": {
            "lr": "auto",
            "betas": "auto",
            "eps": "auto",
            "weight_decay": "auto",
            "torch_adam": True,
        },
    },
    "scheduler": {
        "type": "WarmupDecayLR",
        "params": {
            "warmup_min_lr": START,
            "warmup_max_lr": "auto",
            "warmup_num_steps": "auto",
            "total_num_steps": "auto",
        },
    },
}
"""Sections of a ds_config.json, as transformers' documentation has them; torch's Adam, which a CPU has."""


def rate(step: int) -> float:
    """What WarmupDecayLR comes to after so many steps: runtime/lr_schedules.py."""
    late = max(0, step - 1)
    risen = math.log(late + 1) / math.log(WARMUP)
    share = risen if late < WARMUP else (STEPS - late) / (STEPS - WARMUP)
    return START + (PEAK - START) * share


def test_the_engines_own_optimizer_and_schedule(lab: Lab) -> None:
    def runs(folder: Path) -> dict[str, Run]:
        found = {
            "own": lab.compiled("deepspeed", folder / "own", *PLAIN, *LINE),
            "said": lab.compiled("deepspeed", folder / "said", *PLAIN, *LINE, *LATE),
        }
        config = folder / "own" / "ds_config.json"
        config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | ENGINE), "utf-8")
        return found

    proof = lab.compare("steps of the engine", runs, reference="own")
    (found,) = (run for name, run in proof.certificate.runs.items() if name == "said")
    apart = [check.name for check in found.checks if check.verdict not in ("equal", "within")]
    assert apart == ["optimizer groups", "learning rates"]  # which the engine shows otherwise
    own, said = proof.evidence("own"), proof.evidence("said")
    rates = [step.learning_rate for step in said.steps]
    assert rates == pytest.approx([rate(step) for step in range(STEPS)])
    shown = [step.learning_rate for step in own.steps]  # from the second step on, the next one's
    assert shown[1:] == pytest.approx([rate(step + 1) for step in range(1, STEPS)])
    for evidence in (own, said):
        groups = [group for group in evidence.groups if group.count]
        assert {group.settings["weight_decay"] for group in groups} == {DECAY}
    assert len(own.steps) == len(said.steps) == STEPS
    moved = [abs(one.loss - other.loss) for one, other in zip(own.steps, said.steps, strict=True)]
    assert max(moved) < 1e-6
    assert abs(own.steps[0].loss - own.steps[-1].loss) > 0.05


@pytest.mark.parametrize("shape", ["log", "quadratic"])
def test_scripts_train_so_alike(lab: Lab, shape: str) -> None:
    sets = (*PLAIN, *LATE[1:], f"train.warmup_shape={shape}")
    proof = lab.prove(*sets, backends=("trl", "unsloth", "deepspeed"))
    assert_equal(proof)
    curve = {"log": math.log(2) / math.log(WARMUP), "quadratic": 1 / WARMUP**2}[shape]
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        rates = [step.learning_rate for step in evidence.steps]
        assert rates[:3] == pytest.approx([START, START, START + (PEAK - START) * curve]), backend
        assert {group.settings["weight_decay"] for group in evidence.groups if group.count} == {
            DECAY
        }


def test_where_no_trainer_can_be_told(lab: Lab) -> None:
    for sets in LATE:
        assert "no key says otherwise" in refusal(lab, "llamafactory", *PLAIN, sets)
    assert "its first rate" in refusal(lab, "deepspeed", *PLAIN, LINE[0])
    assert "a line or a parabola" in refusal(lab, "axolotl", *PLAIN, LATE[0])
    before = ("train.warmup_shape=quadratic", "train.schedule=linear")
    assert "before half a cosine" in refusal(lab, "axolotl", *PLAIN, *before)
