"""What accelerate's file says of the training itself, beside a trainer."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate

SILENT = (
    "model_name_or_path: org/model\ndataset_name: org/rows\noutput_dir: o\n"
    "per_device_train_batch_size: 2\ngradient_accumulation_steps: 4\nbf16: {bf16}\n"
)
PLAIN = "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nnum_processes: 4\n"
ENGINE = PLAIN.replace("MULTI_GPU", "DEEPSPEED")
NO_HALF = SILENT.format(bf16="false")


@pytest.mark.parametrize(
    ("trainer", "launch", "compute"),
    [
        ("false", "mixed_precision: fp16\n", "fp16"),  # the environment's word holds
        ("false", "fp16: true\n", "fp16"),
        ("false", "fp16: true\nmixed_precision: bf16\n", "bf16"),
        ("false", "mixed_precision: 'no'\n", "fp32"),
        ("true", "mixed_precision: fp16\n", "bf16"),
        ("true", "mixed_precision: 'no'\n", "bf16"),
    ],
)
def test_who_says_the_precision(read: Bring, trainer: str, launch: str, compute: str) -> None:
    imported = read(SILENT.format(bf16=trainer), other={"launch.yaml": PLAIN + launch})
    assert imported.composed.spec.precision.compute == compute


@pytest.mark.parametrize(
    ("section", "trainer", "told"),
    [
        ("deepspeed_config: {zero_stage: 2}\nmixed_precision: bf16\n", "false", "neither bf16"),
        ("deepspeed_config: {zero_stage: 2}\nmixed_precision: bf16\n", "true", ""),
        ("deepspeed_config: {gradient_accumulation_steps: 1}\n", "true", "1 here, but 4"),
        ("deepspeed_config: {gradient_accumulation_steps: 4}\n", "true", ""),
        ("deepspeed_config: {gradient_accumulation_steps: auto}\n", "true", ""),
        ("deepspeed_config: {gradient_clipping: 0.5}\n", "true", "the trainer assumes 1"),
        ("deepspeed_config: {gradient_clipping: 1.0}\n", "true", ""),
        (
            "deepspeed_config: {deepspeed_config_file: ds.json, zero_stage: 3}\nmixed_precision: bf16\n",
            "true",
            "zero_stage, mixed_precision: accelerate stops",
        ),
    ],
)
def test_where_transformers_and_accelerate_stop(
    read: Bring, section: str, trainer: str, told: str
) -> None:
    imported = read(SILENT.format(bf16=trainer), other={"launch.yaml": ENGINE + section})
    stops = [line for line in imported.composed.open if "stops" in line]
    assert len(stops) == bool(told)
    assert all(told in line for line in stops)


def test_an_engine_without_a_stage_has_the_second(read: Bring) -> None:
    imported = read(NO_HALF, other={"launch.yaml": ENGINE + "deepspeed_config: {}\n"})
    assert imported.composed.values["hardware.zero.stage"] == 2


def test_keys_that_nothing_reads_there_are_told(read: Bring) -> None:
    section = "deepspeed_config: {zero_stage: 3, reduce_bucket_size: 1000}\n"
    imported = read(NO_HALF, other={"launch.yaml": ENGINE + section})
    assert fate(imported, "deepspeed_config.reduce_bucket_size")[0] == "inert"
    assert any("reduce_bucket_size: accelerate reads no such" in line for line in imported.notes)


@pytest.mark.parametrize("kind", ["MULTI_GPU", "FSDP"])
def test_a_number_of_processes_that_nobody_says_is_told(read: Bring, kind: str) -> None:
    launch = f"distributed_type: {kind}\nmixed_precision: bf16\nnum_machines: 1\n"
    imported = read(NO_HALF, other={"launch.yaml": launch})
    assert any("num_processes is not said" in line for line in imported.notes)
