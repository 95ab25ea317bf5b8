"""What only a GPU can do: half precision, quantised bases, FSDP, paged states; equal there as well.

`make test-gpu`. Without an NVIDIA GPU these fail: they are left out by their marker, never skipped.
"""

from __future__ import annotations

import pytest

from ftspec.verify.certificate import Certificate
from tests.real.conftest import DEVICE, Lab

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]
WHOLE = ("method=full", "precision=bf16", "hardware.zero=0")
CASES = {
    "bf16": ("precision=bf16",),
    "bf16 over a base in bf16": ("precision=bf16", "model.dtype=bfloat16"),
    "fp16": ("precision=fp16",),
    "float32": ("data.prepare=ftspec",),
    "float32, all weights": ("method=full",),
    "tf32": ("precision={compute: fp32, tf32: true}",),
    "bf16, all weights": ("method=full", "precision=bf16", "train.learning_rate=1e-3"),
    "nf4": ("method=lora", "model.quantization=nf4", "precision=bf16"),
    "fsdp": ("hardware.fsdp={cpu_ram_efficient_loading: true}",),
    "fsdp, all weights": ("method=full", "hardware.fsdp={offload_parameters: true}"),
    "fsdp, version 1, all weights": ("method=full", "hardware.fsdp={version: 1}"),
    "fsdp, bf16": ("hardware.fsdp={}", "precision=bf16"),
    "int8": ("method=lora", "model.quantization=int8", "precision=bf16"),
    "nf4, the rest in bf16": ("model.quantization=nf4", "model.dtype=bfloat16", "precision=bf16"),
    "rows in one, apart": ("data.packing=documents", "precision=bf16"),
    "checkpoints of activations": ("train.gradient_checkpointing=true", "precision=bf16"),
    "states in 8 bits": (*WHOLE, "train.optimizer=adamw-8bit"),
    "paged states": (*WHOLE[1:], "train.optimizer=paged-adamw"),
    "paged states in 8 bits": (*WHOLE, "train.optimizer=paged-adamw-8bit"),
    # the sign of a gradient near zero is what rounding makes of it: in float32
    "lion in 8 bits": (*WHOLE[::2], "train.optimizer=lion-8bit", "train.learning_rate=1e-4"),
}
ALIKE = ("data.prepare=ftspec", "train.micro_batch_size=4", "train.warmup_steps=2")
"""What axolotl and the others do alike: rows, and a batch in one pass."""
OF_AXOLOTL = {
    "fp32": (),
    "bf16": ("precision=bf16", "model.dtype=bfloat16"),
    "nf4": ("precision=bf16", "model.dtype=bfloat16", "model.quantization=nf4"),
}


def test_the_proofs_are_asked_for_on_a_gpu() -> None:
    assert DEVICE == "cuda", "set FTSPEC_TEST_DEVICE=cuda, as `make test-gpu` does"


@pytest.mark.parametrize("name", CASES)
def test_what_a_gpu_trains_is_equal(lab: Lab, name: str) -> None:
    assert_equal(lab.prove(*CASES[name], "train.steps=4").certificate)


@pytest.mark.parametrize("name", OF_AXOLOTL)
def test_what_axolotl_trains_on_a_gpu_is_equal(lab: Lab, name: str) -> None:
    sets = (*ALIKE, *OF_AXOLOTL[name], "train.steps=4")
    assert_equal(lab.prove(*sets, backends=("trl", "axolotl")).certificate)


def assert_equal(certificate: Certificate) -> None:
    devices = {run.setting["device"] for run in certificate.runs.values()}
    assert "cpu" not in devices
    assert certificate.verdict == "equal", {
        backend: (run.error or run.first_failure()) for backend, run in certificate.runs.items()
    }
