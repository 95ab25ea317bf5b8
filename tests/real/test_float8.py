"""Products in float8, trained: the first loss is the one that a calculation by hand gives."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.registry import load as load_backend
from ftspec.verify.inputs import rows
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_options import refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SHORT = ("train.steps=3", "train.batch_size=2")


def by_hand(lab: Lab, proof: Proven) -> dict[str, float]:
    """The first loss of the same rows, without torchao."""
    first = [row for row in rows(proof.evidence("float8")) if row.step == 1]
    told = proof.folder / "rows.json"
    told.write_text(json.dumps([(list(row.ids), list(row.labels or ())) for row in first]), "utf-8")
    place = ensure(load_backend("trl"))
    script = Path(__file__).with_name("multiplied.py")
    ran = subprocess.run(
        list(map(str, [place.python, script, lab.specs / "tiny-model", told])),
        env=variables(place, {**os.environ}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("method", ["full", "lora"])
def test_products_are_rounded_to_float8(lab: Lab, method: str) -> None:
    def runs(folder: Path) -> dict[str, Run]:
        sets = (*SHORT, f"method={method}", "train.learning_rate=1e-4")
        return {
            name: lab.compiled("trl", folder / name, *sets, f"precision={compute}")
            for name, compute in (("float8", "fp8"), ("bf16", "bf16"))
        }

    proof = lab.compare(f"float8, {method}", runs, reference="bf16")
    expected = by_hand(lab, proof)
    assert expected["layers"] == expected["linear"] - 2  # all but the first and the last
    float8, bf16 = (proof.evidence(name).steps for name in ("float8", "bf16"))
    learnt = [set(proof.evidence(name).trainable) for name in ("float8", "bf16")]
    assert learnt[0] == learnt[1] and len(learnt[0]) > 20
    apart = abs(expected["float8"] - expected["plain"])
    assert apart > 1e-5
    assert abs(float8[0].loss - expected["float8"]) < 0.05 * apart
    assert abs(bf16[0].loss - expected["plain"]) < 0.05 * apart
    # gradients are rounded as well, more coarsely than in bf16, and are no others
    ours, theirs = float8[0].grad_norm, bf16[0].grad_norm
    assert ours is not None and theirs is not None
    assert 1e-5 < abs(ours - theirs) / theirs < 0.1
    assert all(abs(a.loss - b.loss) < 0.01 for a, b in zip(float8, bf16, strict=True))


def test_llama_factory_is_asked_and_trains_without(lab: Lab) -> None:
    def runs(folder: Path) -> dict[str, Run]:
        asked = "native.llamafactory={fp8: true, fp8_backend: torchao}"
        return {
            name: lab.compiled("llamafactory", folder / name, *SHORT, "precision=bf16", *sets)
            for name, sets in (("asked", (asked,)), ("plain", ()))
        }

    proof = lab.compare("float8 that is not heard", runs, reference="plain")
    asked, plain = (proof.evidence(name).steps for name in ("asked", "plain"))
    assert len(asked) == 3
    assert "fp8: true" in (proof.folder / "asked" / "train.yaml").read_text("utf-8")
    assert [(step.loss, step.grad_norm) for step in asked] == [
        (step.loss, step.grad_norm) for step in plain
    ]


def test_where_nothing_multiplies_in_float8(lab: Lab) -> None:
    reasons = {
        "deepspeed": "not in its lock",
        "llamafactory": "it trains without float8",
        "unsloth": "not compiled for it yet",
        "axolotl": "insists on a GPU",
    }
    for backend, reason in reasons.items():
        assert reason in refusal(lab, backend, *SHORT, "precision=fp8")
    rowwise = "precision={compute: fp8, fp8_recipe: rowwise}"
    assert "one scale for a whole tensor" in refusal(lab, "trl", *SHORT, rowwise)
    assert "not under ia3" in refusal(lab, "trl", *SHORT, "precision=fp8", "method=ia3")
