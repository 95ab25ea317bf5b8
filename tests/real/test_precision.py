"""Number formats: what is asked for is what trains, and what a CPU cannot do is refused for it."""

from __future__ import annotations

import pytest

from tests.real.conftest import Lab
from tests.real.test_equality import FULL
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
PURE = (FULL, "precision=bf16-pure", "train.steps=3", "train.learning_rate=1e-3")


def test_weights_in_bfloat16_train_alike(lab: Lab) -> None:
    assert "insists on a GPU" in refusal(lab, "llamafactory", *PURE)
    assert "float32 copies" in refusal(lab, "deepspeed", *PURE)
    proof = lab.prove(*PURE)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "unsloth"}
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        assert {tensor.dtype for tensor in evidence.trainable.values()} == {"bfloat16"}
        assert evidence.setting["autocast"] == ""  # nothing lowers the type: the weights have it
        assert any((evidence.after[name] != begun).any() for name, begun in evidence.before.items())


@pytest.mark.parametrize("backend", ["trl", "llamafactory", "unsloth", "deepspeed"])
@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (("precision=fp16",), "float16 does not run on a CPU"),
        (("precision=bf16-pure",), "is for full tuning"),
        ((FULL, "precision=fp32", "model.dtype=bfloat16"), "multiplied in bfloat16"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_nothing_is_changed_in_silence(
    lab: Lab, backend: str, sets: tuple[str, ...], reason: str
) -> None:
    assert reason in refusal(lab, backend, *sets)
