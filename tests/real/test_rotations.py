"""Orthogonal tuning, and ranks that are allotted while a run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.real.conftest import Lab, reload
from tests.real.test_options import assert_equal, refusal
from tests.real.test_tuners import OFTS, ROTATING, RUN, in_force, proven_adapter

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

CONSTRAINING = {
    "llamafactory": "does not constrain the rotation",
    "deepspeed": "behind the engine's back",
}
"""Who cannot hold a rotation within bounds, and why."""


ALLOTTING = {
    "deepspeed": "gradients are gone",
    "llamafactory": "no other adapter",
    "unsloth": "no others",
}
"""Who cannot move ranks between layers while it trains, and why."""


@pytest.mark.parametrize("name", OFTS)
def test_rotations_train_alike(lab: Lab, name: str) -> None:
    case = OFTS[name]
    proof = proven_adapter(lab, case, ROTATING)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*ROTATING}
    for backend in proof.certificate.runs:
        in_force(proof, case, backend)


@pytest.mark.parametrize("backend", CONSTRAINING)
def test_rotations_within_bounds_are_for_trl(lab: Lab, backend: str) -> None:
    assert CONSTRAINING[backend] in refusal(lab, backend, "method.tuner={type: oft, coft: true}")


def test_rotations_train_alike_over_four_bits(lab: Lab) -> None:
    case = OFTS["four blocks"]
    sets = (*RUN, "model.quantization=nf4", "precision=fp32", f"method.tuner={case.tuner}")
    proof = lab.prove(*sets, backends=ROTATING)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*ROTATING}
    for backend in ROTATING:
        in_force(proof, case, backend)


def test_ranks_fall_as_planned(lab: Lab, tmp_path: Path) -> None:
    """AdaLoRA is for TRL alone: two passes in a step count its penalty once, as one pass does."""
    sets = (
        "train.steps=6", "train.warmup_steps=0",
        "method.tuner={type: adalora, rank: 6, target_rank: 3, final_steps: 2}",
    )  # fmt: skip
    for backend, reason in ALLOTTING.items():
        assert reason in refusal(lab, backend, *sets)
    passes = {"trl": 2, "one pass": 4}
    proof = lab.compare(
        "adalora",
        lambda folder: {
            name: lab.compiled("trl", folder / name, *sets, f"train.micro_batch_size={micro}")
            for name, micro in passes.items()
        },
    )
    two, one = (proof.evidence(name) for name in passes)
    assert [step.loss for step in one.steps] == pytest.approx([s.loss for s in two.steps], rel=1e-6)
    for key, values in two.after.items():
        assert one.after[key] == pytest.approx(values, abs=1e-6), key
    for name in passes:
        evidence = proof.evidence(name)
        kept = {key: values for key, values in evidence.after.items() if "lora_E" in key}
        assert len(kept) == 14
        ranks = [np.count_nonzero(values) for values in kept.values()]
        assert sum(ranks) == 3 * 14 and len({*ranks}) > 1  # the budget, and not shared out evenly
    config = json.loads((proof.model("trl") / "adapter_config.json").read_text("utf-8"))
    assert sum(map(sum, config["rank_pattern"].values())) == 3 * 14
    reload(lab, tmp_path, [proof.model("trl")])
    loaded = load_file(tmp_path / "0.safetensors")
    assert (loaded["#logits"] != loaded["#base"]).any()
