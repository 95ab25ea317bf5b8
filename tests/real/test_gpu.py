"""What only a GPU can do: half precision, quantised bases, fused attention; equal there as well.

`make test-gpu`. Without an NVIDIA GPU these fail: they are left out by their marker, never skipped.
"""

from __future__ import annotations

import pytest

from tests.real.conftest import DEVICE, Lab

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]
CASES = {
    "bf16": ("precision=bf16",),
    "fp16": ("precision=fp16",),
    "tf32": ("precision={compute: fp32, tf32: true}",),
    "bf16, all weights": ("method=full", "precision=bf16", "train.learning_rate=1e-3"),
    "flash attention": (
        "precision=bf16",
        "model.dtype=bfloat16",
        "model.attention=flash_attention_2",
    ),
    "nf4": ("method=lora", "model.quantization=nf4", "precision=bf16"),
    "fsdp": ("hardware.fsdp={cpu_ram_efficient_loading: true}",),
    "fsdp, all weights": ("method=full", "hardware.fsdp={offload_parameters: true}"),
    "fsdp, version 1": ("hardware.fsdp={version: 1}",),
    "fsdp, bf16": ("hardware.fsdp={}", "precision=bf16"),
    "int8": ("method=lora", "model.quantization=int8", "precision=bf16"),
}


def test_the_proofs_are_asked_for_on_a_gpu() -> None:
    assert DEVICE == "cuda", "set FTSPEC_TEST_DEVICE=cuda, as `make test-gpu` does"


@pytest.mark.parametrize("name", CASES)
def test_what_a_gpu_trains_is_equal(lab: Lab, name: str) -> None:
    certificate = lab.prove(*CASES[name], "train.steps=4").certificate
    devices = {run.setting["device"] for run in certificate.runs.values()}
    assert "cpu" not in devices
    assert certificate.verdict == "equal", {
        backend: (run.error or run.first_failure()) for backend, run in certificate.runs.items()
    }
