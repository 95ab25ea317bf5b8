"""Rows that several devices share: who can, and what becomes of the batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Launch, Plan
from ftspec.registry import load as backend_of
from ftspec.registry import names
from ftspec.spec.load import loads

SHARED = ("hardware.sequence_parallel=4", "run.environment=latest")


def plan(backend: str, *sets: str) -> Plan:
    text = (
        "model: {name: org/name, attention: flash_attention_2}\n"
        "data: {train: {path: a.jsonl, format: messages}, overflow: error}\n"
        "train: {batch_size: 12, micro_batch_size: 1}\nhardware: {device: cuda, devices: 8}\n"
    )
    return make_plan(loads(text, "nowhere/spec.yaml", sets), backend, Path("nowhere/out"))


def test_devices_that_share_a_row_count_as_one() -> None:
    with pytest.raises(SpecError, match="cannot be split"):
        plan("deepspeed")  # 12 rows over 8 devices
    made = plan("deepspeed", *SHARED)
    assert made.native["SFTConfig.gradient_accumulation_steps"] == 6
    (launch,) = (stage for stage in made.stages if isinstance(stage, Launch))
    assert "--nproc-per-node=8" in launch.argv
    assert {k: v for k, v in launch.environ.items() if "PARALLELISM" in k} == {
        "ACCELERATE_USE_PARALLELISM_CONFIG": "true",
        "PARALLELISM_CONFIG_SP_SIZE": "4",
        "PARALLELISM_CONFIG_SP_BACKEND": "deepspeed",
        "PARALLELISM_CONFIG_SP_SEQ_LENGTH_IS_VARIABLE": "true",
        "PARALLELISM_CONFIG_SP_ATTN_IMPLEMENTATION": "flash_attention_2",
    }
    backend = backend_of("deepspeed")
    found = backend.maps["sft"].lift(backend.read(made.files())).spec
    assert found["hardware.sequence_parallel"] == 4
    assert found["train.batch_size"] == 12


@pytest.mark.parametrize("backend", sorted(set(names()) - {"deepspeed"}))
def test_others_share_no_rows(backend: str) -> None:
    with pytest.raises(UnsupportedError, match=r"hardware\.sequence_parallel = 4"):
        plan(backend, *SHARED)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("run.environment=aligned", "accelerate 1.11"),
        ("model.attention=eager", "sdpa and flash attention only"),
        ("hardware.device=cpu", "needs GPUs"),
        ("data.packing=documents", "where documents share a row"),
        ("method.objective.loss=dft", "method.objective.loss: dft would be lost"),
        ("train.label_smoothing=0.1", "train.label_smoothing would be lost"),
    ],
)
def test_what_split_rows_cannot_have_is_refused(more: str, reason: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        plan("deepspeed", *SHARED, more)
    assert reason in str(caught.value)


def test_devices_are_a_multiple() -> None:
    with pytest.raises(SpecError, match="6 devices cannot share rows by 4"):
        plan("deepspeed", *SHARED, "hardware.devices=6")
