"""Rows longer than a model's positions: every kind of RoPE trains alike, and is in force."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.verify.inputs import rows
from ftspec.verify.prove import effective
from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_equality import FULL
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
POSITIONS = 64
SHORT = ("train.steps=2", "model.name=../short")
KINDS = {
    "linear": "{type: linear, factor: 4}",
    "dynamic": "{type: dynamic, factor: 4}",
    "yarn": "{type: yarn, factor: 4, beta_fast: 16, attention_factor: 1.2}",
    "llama3": "{type: llama3, factor: 4, low_freq_factor: 1, high_freq_factor: 3}",
    "base": "{type: base, theta: 500000}",
}


@pytest.fixture(scope="module")
def short(lab: Lab) -> Path:
    """The tiny model, as if it had been trained on rows of 64 tokens."""
    folder = lab.base / "short"
    if not folder.exists():
        shutil.copytree(lab.specs / "tiny-model", folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        config["max_position_embeddings"] = POSITIONS
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def stretched(lab: Lab, kind: str) -> Proven:
    """DeepSpeed's script is TRL's: of most kinds one of the two is enough."""
    backends = BACKENDS if kind == "yarn" else BACKENDS[:3]
    return lab.prove(*SHORT, FULL, f"model.rope={KINDS[kind]}", backends=backends)


@pytest.mark.parametrize("kind", KINDS)
def test_all_stretch_alike(lab: Lab, short: Path, kind: str) -> None:
    proof = stretched(lab, kind)
    assert_equal(proof)
    backends = set(proof.certificate.runs)
    assert backends == set(BACKENDS if kind == "yarn" else BACKENDS[:3])
    lengths = [len(row.ids) for row in rows(proof.evidence("trl"))]
    assert max(lengths) > POSITIONS  # positions beyond the model's own are really trained
    angles = {proof.evidence(backend).setting["angles"] for backend in backends}
    assert len(angles) == 1 and angles != {""}


def test_each_kind_is_in_force(lab: Lab, short: Path) -> None:
    """Other angles, and another loss of the same rows: no two kinds are one."""
    plain = lab.prove("train.steps=2", FULL, backends=("trl", "llamafactory"))
    losses, angles = {}, {}
    for name, proof in {"none": plain, **{kind: stretched(lab, kind) for kind in KINDS}}.items():
        for backend in ("trl", "llamafactory"):
            evidence = proof.evidence(backend)
            # the rows of the first step are short, those of the second are beyond the positions
            losses[backend, name] = [step.loss for step in evidence.steps]
            angles[backend, name] = evidence.setting["angles"]
    for backend in ("trl", "llamafactory"):
        names = ("none", *KINDS)
        assert len({losses[backend, name][1] for name in names}) == len(names), backend
        # dynamic scaling begins with the first row that is too long; before, it is none
        assert losses[backend, "dynamic"][0] == losses[backend, "none"][0]
        still = {angles[backend, name] for name in names if name != "dynamic"}
        assert len(still) == len(KINDS), backend


def test_results_keep_their_positions(lab: Lab, short: Path) -> None:
    proof = stretched(lab, "yarn")
    for backend in BACKENDS:
        config = json.loads((proof.model(backend) / "config.json").read_text("utf-8"))
        assert config["rope_parameters"] == {
            "rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0,
            "original_max_position_embeddings": POSITIONS, "beta_fast": 16.0, "beta_slow": 1.0,
            "attention_factor": 1.2,
        }, backend  # fmt: skip


def test_rows_beyond_the_positions_are_refused(lab: Lab, short: Path) -> None:
    from ftspec.plan.make import make_plan

    loaded, _ = effective(lab.spec, SHORT, None, lab.base / "refused")
    with pytest.raises(SpecError, match="reach 64 tokens"):
        make_plan(loaded, "trl", lab.base / "refused")
