"""Training that foresees a rounding, and copies of results in few bits: loaded again, they say the same."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.registry import load as load_backend
from ftspec.verify.inputs import rows
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SHORT = ("train.steps=3",)


def looked_at(lab: Lab, proof: Proven, backend: str, qat: dict[str, Any] | None) -> dict[str, Any]:
    """What another process finds in the result and its copy."""
    first = [row for row in rows(proof.evidence(backend)) if row.step == 1]
    case = proof.folder / f"{backend}-case.json"
    told = {"qat": qat, "rows": [(list(row.ids), list(row.labels or ())) for row in first]}
    case.write_text(json.dumps(told), "utf-8")
    place = ensure(load_backend(backend))
    script = Path(__file__).with_name("rounded.py")
    command = [place.python, script, proof.model(backend), lab.specs / "tiny-model", case]
    ran = subprocess.run(
        list(map(str, command)),
        env=variables(place, {**os.environ}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("activations", [None, "int8"])
def test_what_was_trained_rounded_is_saved_rounded(lab: Lab, activations: str | None) -> None:
    qat = {"weights": "int4", "group_size": 32, "activations": activations}
    told = f"train.qat={{weights: int4, activations: {activations or 'null'}}}"
    sets = (*SHORT, "method=full", told, "output.quantization=qat")
    assert "torchao" in refusal(lab, "deepspeed", *sets)
    assert "it has no such training" in refusal(lab, "llamafactory", *sets)
    assert "rounded otherwise than it was trained" in refusal(lab, "trl", *sets, "method=lora")

    def runs(folder: Path) -> dict[str, Run]:
        whole = lab.compiled("trl", folder / "whole", *SHORT, "method=full")
        return {"trl": lab.compiled("trl", folder / "trl", *sets), "whole": whole}

    proof = lab.compare(f"rounded in training, {activations}", runs)
    found = looked_at(lab, proof, "trl", qat)
    assert found["off_trained"] == 0  # the copy calculates what was trained, to the last digit
    assert found["kinds"] == ["IntxUnpackedToInt8Tensor"] and found["head"] == "torch.float32"
    assert 0.001 < found["off_whole"] < 5 * found["spread"]
    assert found["bytes"] < 0.8 * found["whole_bytes"] and found["template"]
    # the first loss is that of the rounded base, not of the whole one
    losses = [proof.evidence(name).steps[0].loss for name in ("trl", "whole")]
    expected = [found["first_loss_rounded"], found["first_loss_whole"]]
    assert losses == pytest.approx(expected, rel=1e-6)
    assert abs(expected[0] - expected[1]) > 1e-5


def test_copies_of_a_merged_adapter(lab: Lab) -> None:
    sets = (*SHORT, "output.quantization=nf4")
    assert "gptqmodel alone" in refusal(lab, "llamafactory", *sets)
    assert "has them already" in refusal(lab, "trl", *sets, "method=qlora")
    proof = lab.prove(*sets, backends=("trl", "deepspeed"))
    assert_equal(proof)
    found = looked_at(lab, proof, "trl", None)
    assert found["kinds"] == ["Params4bit"] and found["off_trained"] == 0
    assert 0.001 < found["off_whole"] < found["spread"] and found["template"]
    assert found["bytes"] < 0.8 * found["whole_bytes"]
    ours, theirs = (
        (proof.model(name) / "quantized" / "model.safetensors").read_bytes()
        for name in ("trl", "deepspeed")
    )
    assert np.array_equal(np.frombuffer(ours, "u1"), np.frombuffer(theirs, "u1"))
