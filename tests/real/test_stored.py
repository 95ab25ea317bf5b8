"""LoRA over checkpoints that are quantised already: who takes them trains alike, over the right numbers."""

from __future__ import annotations

import pytest
from filelock import FileLock

from ftspec.verify.checks import compare
from tests.real.conftest import Lab, Proven
from tests.real.stored import make_fp8, make_groups, make_mxfp4
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
TAKERS = ("trl", "llamafactory", "deepspeed")
STEPS = ("train.steps=3",)


@pytest.fixture(scope="module")
def checkpoints(lab: Lab) -> Lab:
    """The laboratory, with the checkpoints beside its tiny model."""
    with FileLock(f"{lab.base}/stored.lock"):
        if not (lab.specs / "stored").exists():
            for make in (make_fp8, make_mxfp4, make_groups):
                make(lab.specs / "tiny-model", lab.specs / "stored")
    return lab


FP8 = ("model=./stored/fp8", "model.stored={type: fp8, dequantize: true}")
MXFP4 = ("model=./stored/mxfp4", "model.stored={type: mxfp4, dequantize: true}")
GPT_OSS = (
    "precision=bf16", "model.attention=eager", "model.experts.balance_loss=0", "train.steps=3",
    "train.learning_rate=1e-3",
)  # fmt: skip
"""sdpa has no place for its attention sinks."""


def test_unpacked_fp8_trains_alike(checkpoints: Lab) -> None:
    proof = checkpoints.prove(*STEPS, *FP8, backends=TAKERS)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(TAKERS)
    whole = checkpoints.prove(*STEPS, "model=./stored/fp8-whole", backends=("trl", "deepspeed"))
    for backend in TAKERS:
        assert_same_base(proof, backend, whole, "trl")
    assert "stops at a checkpoint in fp8" in refusal(checkpoints, "axolotl", *STEPS, *FP8)


def assert_same_base(proof: Proven, backend: str, whole: Proven, other: str) -> None:
    """The frozen weights are those of the whole copy, bit by bit, and so is what was trained over them."""
    one, two = proof.evidence(backend), whole.evidence(other)
    assert one.frozen == two.frozen
    assert one.frozen_sizes == two.frozen_sizes
    assert not [each for each in compare(two, one) if each.outcome.verdict == "differs"]


def test_unpacked_mxfp4_trains_alike(checkpoints: Lab) -> None:
    pair = ("trl", "deepspeed")
    proof = checkpoints.prove(*MXFP4, *GPT_OSS, backends=pair)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(pair)
    whole = checkpoints.prove("model=./stored/mxfp4-whole", *GPT_OSS, backends=pair)
    for backend in pair:
        assert_same_base(proof, backend, whole, backend)
        assert set(proof.evidence(backend).frozen_sizes) == {"bfloat16"}
    assert "not there any more" in refusal(checkpoints, "llamafactory", *MXFP4, *GPT_OSS)
    assert "insists on a GPU" in refusal(checkpoints, "axolotl", *MXFP4, *GPT_OSS)


GROUPED = (
    "train.steps=3", "train.learning_rate=1e-3",
    "method.tuner.targets=[q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]",
)  # fmt: skip
UNPACKING = 2e-4
"""The kernel unpacks into float16 before it multiplies; over GPTQ peft also rounds a new adapter to it."""


@pytest.mark.parametrize("kind", ["gptq", "awq"])
def test_adapters_train_over_packed_weights(checkpoints: Lab, kind: str) -> None:
    pair = ("trl", "deepspeed")
    proof = checkpoints.prove(f"model=./stored/{kind}", *GROUPED, backends=pair)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(pair)
    whole = checkpoints.prove("model=./stored/groups-whole", *GROUPED, backends=pair)
    packed, plain = proof.evidence("trl"), whole.evidence("trl")
    # the linear layers hold no weights of their own any more: embeddings, head and norms are left
    assert [count for count, _ in packed.frozen_sizes.values()] == [7]
    assert [count for count, _ in plain.frozen_sizes.values()] == [21]
    assert len(packed.steps) == len(plain.steps) == 3
    for one, two in zip(packed.steps, plain.steps, strict=True):
        assert one.loss == pytest.approx(two.loss, rel=UNPACKING)
    assert packed.steps[0].loss != plain.steps[0].loss
