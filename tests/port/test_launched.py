"""What accelerate's file says of the training itself, beside a trainer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.port.presets import LAUNCHES
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


TYPED = "trl sft --model_name_or_path m --output_dir o --per_device_train_batch_size 2 "
FILE = "model_name_or_path: org/m\ndataset_name: org/r\noutput_dir: o\nper_device_train_batch_size: 2\n"


@pytest.mark.parametrize(
    ("options", "devices", "stage"),
    [
        ("--accelerate_config zero3", 8, 3),
        ("--accelerate_config zero2 --num_processes 4", 4, 2),
        ("--accelerate_config single_gpu", 1, None),
        ("--num_processes 4 --use_deepspeed --zero_stage 1", 4, 1),
        ("--accelerate_config multi_gpu --learning_rate 1e-4", 8, None),
    ],
)
def test_what_trl_hands_to_accelerate(
    read: Bring, options: str, devices: int, stage: int | None
) -> None:
    spec = read(TYPED + options + "\n", name="run.sh").composed.spec
    assert (spec.hardware.devices, spec.train.batch_size) == (devices, 2 * devices)
    assert (spec.hardware.zero and spec.hardware.zero.stage) == stage


@pytest.mark.parametrize("typed", ["", "--num_processes 2"])
def test_a_config_of_trl_that_says_how_it_is_launched(
    read: Bring, tmp_path: Path, typed: str
) -> None:
    text = FILE + "accelerate_config: zero2\nnum_processes: 4\nmixed_precision: bf16\n"
    if typed:
        (tmp_path / "said.yaml").write_text(text)
        imported = read(f"trl sft --config said.yaml {typed}\n", name="run.sh")
    else:
        imported = read(text)
    hardware = imported.composed.spec.hardware
    assert hardware.zero is not None
    assert (hardware.devices, hardware.zero.stage) == (2 if typed else 4, 2)
    assert not any("stops" in one.why for one in imported.fates)


def test_a_file_of_a_launch_that_is_not_here(read: Bring) -> None:
    gone = read(FILE + "accelerate_config: gone.yaml\n")
    assert fate(gone, "accelerate_config")[0] == "unknown"
    here = read(FILE + "accelerate_config: gone.yaml\n", other={"launch.yaml": PLAIN})
    assert fate(here, "accelerate_config")[0] == "derived"
    assert here.composed.spec.hardware.devices == 4


def test_trls_own_launches_are_what_comes_with_it() -> None:
    """`single_gpu` starts one process; the others eight (trl 1.16, trl/accelerate_configs/)."""
    assert sorted(LAUNCHES) == [
        "fsdp1", "fsdp2", "multi_gpu", "single_gpu", "zero1", "zero2", "zero3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("norm", "kind", "clipped"),
    [("0.0", "derived", 1.0), ("0.5", "renamed", 0.5), ("null", "inert", None)],
)
def test_a_norm_of_nothing_is_the_engines_own(
    read: Bring, norm: str, kind: str, clipped: float | None
) -> None:
    """accelerate 1.11 hands on no 0 (DeepSpeedPlugin); DeepSpeed 0.19.8 clips at 1.0 without one."""
    imported = read(
        f"{ENGINE}deepspeed_config: {{gradient_clipping: {norm}}}\n", name="launch.yaml"
    )
    assert fate(imported, "deepspeed_config.gradient_clipping")[0] == kind
    assert imported.composed.values.get("train.max_grad_norm") == clipped


@pytest.mark.parametrize(
    ("kind", "word", "device"),
    [
        ("'NO'", "true", "cpu"),
        ("MULTI_CPU", "true", "cpu"),
        ("MULTI_GPU", "true", None),  # no other launcher hands it on
        ("DEEPSPEED", "true", None),
        ("'NO'", "'no'", "auto"),
        ("MULTI_GPU", "false", "auto"),
    ],
)
def test_where_a_launch_on_cpus_is_one(
    read: Bring, kind: str, word: str, device: str | None
) -> None:
    imported = read(f"distributed_type: {kind}\nnum_processes: 2\nuse_cpu: {word}\n", name="l.yaml")
    assert imported.composed.values.get("hardware.device") == device
    assert any("GPUs are used" in line for line in imported.notes) == (device is None)


GRID = (
    "distributed_type: FSDP\nnum_processes: 8\nfsdp_config: {fsdp_version: 2}\nparallelism_config: "
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("num_processes: 8\nmixed_precision: bf16\n", "a file that does not say it"),
        ("distributed_type: MULTI_GPU\nnum_processes: 2\ngpu_ids: '0'\n", "a single one with MULTI_GPU"),
        ("distributed_type: MULTI_GPU\nnum_processes: 2\ngpu_ids: 0,1\n", ""),
        ("distributed_type: MULTI_GPU\nnum_processes: 2\ngpu_ids: all\n", ""),
        ("distributed_type: 'NO'\nnum_processes: 1\ngpu_ids: 0\n", "a text stands there"),
        ("distributed_type: 'NO'\nnum_processes: 1\ngpu_ids: '0'\n", ""),
        (f"{GRID}{{parallelism_config_dp_shard_size: 2}}\n", "its sizes make 2 devices"),
        (f"{GRID}{{parallelism_config_dp_shard_size: 8}}\n", ""),
        (f"{GRID}{{parallelism_config_dp_shard_size: 4, parallelism_config_dp_replicate_size: 2}}\n", ""),
        (f"{GRID}{{parallelism_config_dp_shard_size: 1}}\n", ""),
        (f"{GRID}{{parallelism_config_dp_shard_size: 4, parallelism_config_sp_size: 4}}\n", ""),
    ],
)  # fmt: skip
def test_where_no_process_starts(read: Bring, text: str, told: str) -> None:
    stops = [
        line for line in read(text, name="launch.yaml").composed.open if "accelerate stops" in line
    ]
    assert len(stops) == bool(told)
    assert all(told in line for line in stops)


@pytest.mark.parametrize(
    ("more", "section", "stops"),
    [
        ("", "fsdp_activation_checkpointing: true", True),  # trl recomputes by itself
        ("", "fsdp_activation_checkpointing: 'on'", True),
        ("gradient_checkpointing: false\n", "fsdp_activation_checkpointing: true", False),
        ("", "fsdp_activation_checkpointing: false", False),
    ],
)
def test_activations_that_are_made_again_twice(
    read: Bring, more: str, section: str, stops: bool
) -> None:
    launch = (
        f"distributed_type: FSDP\nnum_processes: 2\nfsdp_config: {{fsdp_version: 2, {section}}}\n"
    )
    imported = read(NO_HALF + more, other={"launch.yaml": launch})
    assert any("stops at both" in line for line in imported.composed.open) == stops
