"""The file of `accelerate launch`: alone, and with an engine in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_engines import AUTO, CONFIG, LAUNCH


@pytest.mark.parametrize(
    ("more", "path", "value"),
    [
        ("mixed_precision: no", "precision.compute", "fp32"),
        ("mixed_precision: fp16", "precision.compute", "fp16"),
        ("distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 3}", "hardware.zero.stage", 3),
        ("use_cpu: true", "hardware.device", "cpu"),
        ("use_cpu: true", "precision.compute", "fp32"),  # what accelerate assumes
    ],
)  # fmt: skip
def test_a_launch_alone(read: Bring, more: str, path: str, value: Any) -> None:
    text = f"compute_environment: LOCAL_MACHINE\nnum_processes: 1\n{more}\n"
    assert read(text, name="launch.yaml").composed.values[path] == value


def test_an_engine_compiles_where_a_launch_asks_for_it(read: Bring) -> None:
    engine = {**AUTO, "compile": {"deepcompile": True}}
    other = {"ds.json": json.dumps(engine), "launch.yaml": LAUNCH + "dynamo_backend: INDUCTOR\n"}
    assert fate(read(CONFIG, other=other), "compile.deepcompile")[0] == "approximated"
    other["launch.yaml"] = LAUNCH + "dynamo_backend: 'NO'\n"
    assert fate(read(CONFIG, other=other), "compile.deepcompile")[0] == "inert"


ENGINE = "distributed_type: DEEPSPEED\ndeepspeed_config: "


ON_DISK = "zero_stage: 3, offload_param_device: nvme, offload_param_nvme_path: /disk/"


@pytest.mark.parametrize(
    ("text", "key", "kind"),
    [
        ("compute_environment: AMAZON_SAGEMAKER\nec2_instance_type: x", "ec2_instance_type", "inert"),
        ("compute_environment: AMAZON_SAGEMAKER\nec2_instance_type: x", "compute_environment", "inert"),
        ("compute_environment: AMAZON_SAGEMAKER\nadditional_args: {a: 1}", "additional_args.a", "unknown"),
        ("compute_environment: LOCAL_MACHINE\nec2_instance_type: x", "ec2_instance_type", "unknown"),
        ("distributed_type: MODEL_PARALLEL", "distributed_type", "unknown"),
        ("distributed_type: NO", "distributed_type", "inert"),
        ("dynamo_config: {dynamo_backend: INDUCTOR, dynamo_mode: default}", "dynamo_config.dynamo_mode",
         "inert"),
        ("dynamo_config: {dynamo_backend: INDUCTOR, dynamo_mode: default}", "dynamo_config.dynamo_backend",
         "approximated"),
        ("distributed_type: MULTI_XPU", "distributed_type", "inert"),
        ("distributed_type: MULTI_GPU\ndeepspeed_config: ds.json", "deepspeed_config", "inert"),
        ("distributed_type: DEEPSPEED\ndeepspeed_config: ds.json", "deepspeed_config", "unknown"),
        ("distributed_type: FSDP\nfsdp_config: full_shard", "fsdp_config", "unknown"),
        ("distributed_type: FSDP\nfsdp_config: null", "fsdp_config", "inert"),
        (f"{ENGINE}{{zero_stage: 2, offload_optimizer_device: CPU}}",
         "deepspeed_config.offload_optimizer_device", "renamed"),
        ("dynamo_config: {dynamo_backend: NO, dynamo_mode: default}", "dynamo_config.dynamo_mode", "inert"),
        ("parallelism_config: {parallelism_config_tp_size: 1}",
         "parallelism_config.parallelism_config_tp_size", "inert"),
        ("parallelism_config: {parallelism_config_tp_size: 2}",
         "parallelism_config.parallelism_config_tp_size", "unknown"),
        ("parallelism_config: {parallelism_config_dp_shard_size: 8}",
         "parallelism_config.parallelism_config_dp_shard_size", "inert"),
        ("parallelism_config: {parallelism_config_dp_shard_size: 4, parallelism_config_cp_size: 2}",
         "parallelism_config.parallelism_config_dp_shard_size", "inert"),
        ("parallelism_config: {parallelism_config_dp_replicate_size: 2, parallelism_config_dp_shard_size: 4}",
         "parallelism_config.parallelism_config_dp_replicate_size", "inert"),
        ("parallelism_config: {parallelism_config_sp_size: 2}",
         "parallelism_config.parallelism_config_sp_size", "renamed"),
        ("distributed_type: MULTI_GPU\nmegatron_lm_config: {megatron_lm_tp_degree: 2}",
         "megatron_lm_config.megatron_lm_tp_degree", "inert"),
        (f"{ENGINE}{{{ON_DISK}}}", "deepspeed_config.offload_param_device", "renamed"),
        (f"{ENGINE}{{{ON_DISK}}}", "deepspeed_config.offload_param_nvme_path", "derived"),
        (f"{ENGINE}{{{ON_DISK}}}".replace("/disk/", "null"), "deepspeed_config.offload_param_device",
         "unknown"),
        (f"{ENGINE}{{zero_stage: 2, offload_optimizer_device: nvme}}",
         "deepspeed_config.offload_optimizer_device", "derived"),
        (f"{ENGINE}{{zero_stage: 3, deepspeed_moe_layer_cls_names: 'A, B'}}",
         "deepspeed_config.deepspeed_moe_layer_cls_names", "derived"),
    ],
)  # fmt: skip
def test_fates_of_a_launchs_settings(read: Bring, text: str, key: str, kind: str) -> None:
    imported = read(f"num_machines: 1\n{text}\n", name="launch.yaml")
    assert fate(imported, key)[0] == kind


def test_what_a_launch_puts_on_a_disk(read: Bring) -> None:
    text = f"num_machines: 1\n{ENGINE}{{{ON_DISK}, deepspeed_moe_layer_cls_names: 'A, B'}}\n"
    zero = read(text, name="launch.yaml").composed.spec.hardware.zero
    assert zero is not None
    assert (zero.offload_parameters, zero.offload_folder) == (True, "/disk")
    assert (zero.offload_optimizer, zero.leaf_modules) == (False, ("A", "B"))


def test_an_old_name_of_bf16_switches_nothing_on_under_accelerate(read: Bring) -> None:
    imported = read(
        json.dumps({"bfloat16": {"enabled": True}, "zero_optimization": {}}), name="ds.json"
    )
    kind, why = fate(imported, "bfloat16.enabled")
    assert kind == "unknown"
    assert "under accelerate" in why


ALONE = "compute_environment: LOCAL_MACHINE\nnum_machines: 1\nnum_processes: 8\n"


@pytest.mark.parametrize(
    ("more", "devices"),
    [
        ("distributed_type: 'NO'\n", 1),  # trl's own single_gpu.yaml says 8 processes as well
        ("distributed_type: NO\n", 1),
        ("distributed_type: null\n", 1),
        ("distributed_type: MULTI_GPU\n", 8),
        ("distributed_type: 'NO'\nmpirun_config: {mpirun_hostfile: hosts}\n", 8),
    ],
)
def test_how_many_processes_accelerate_starts(read: Bring, more: str, devices: int) -> None:
    imported = read(ALONE + more, name="launch.yaml")
    assert imported.composed.values["hardware.devices"] == devices
    told = any("starts one process" in line for line in imported.notes)
    assert told == (devices == 1)


def test_one_process_has_a_batch_of_its_own(read: Bring) -> None:
    launch = ALONE + "distributed_type: 'NO'\nmixed_precision: bf16\n"
    assert read(CONFIG, other={"launch.yaml": launch}).composed.spec.train.batch_size == (
        read(CONFIG).composed.spec.train.batch_size
    )


def test_groups_larger_than_all_devices_leave_a_batch(read: Bring) -> None:
    grid = "parallelism_config: {parallelism_config_cp_size: 512}\n"
    launch = ALONE + "distributed_type: FSDP\nfsdp_config: {fsdp_version: 2}\n" + grid
    imported = read(CONFIG, other={"launch.yaml": launch})
    assert imported.composed.values["train.batch_size"] == 8 * 8


def test_processes_fewer_than_machines_are_asked_about(read: Bring) -> None:
    text = "distributed_type: MULTI_GPU\nnum_machines: 4\nnum_processes: 1\n"
    assert any("it counts those of all" in line for line in read(text, name="l.yaml").composed.open)


MANY = "distributed_type: DEEPSPEED\nnum_machines: 2\nnum_processes: 8\ndeepspeed_config: "


@pytest.mark.parametrize(
    ("text", "key", "kind"),
    [
        (f"{MANY}{{zero_stage: 2, deepspeed_inclusion_filter: 'a@b:0,2'}}",
         "deepspeed_config.deepspeed_inclusion_filter", "unknown"),
        (f"{MANY}{{zero_stage: 2, deepspeed_exclusion_filter: ''}}",
         "deepspeed_config.deepspeed_exclusion_filter", "inert"),
        (f"{MANY}{{zero_stage: 2, deepspeed_multinode_launcher: standard, deepspeed_inclusion_filter: a}}",
         "deepspeed_config.deepspeed_inclusion_filter", "inert"),
        (f"mixed_precision: bf16\n{MANY}{{zero_stage: 2, mixed_precision: fp16}}",
         "deepspeed_config.mixed_precision", "unknown"),
        (f"mixed_precision: bf16\n{MANY}{{zero_stage: 2, mixed_precision: bf16}}",
         "deepspeed_config.mixed_precision", "inert"),
        (f"{MANY}{{zero_stage: 2}}\ndynamo_config: {{}}", "dynamo_config", "inert"),
        (f"{MANY}{{zero_stage: 2}}\nmpirun_config: {{}}", "mpirun_config", "inert"),
    ],
)  # fmt: skip
def test_what_a_section_says_of_the_launch(read: Bring, text: str, key: str, kind: str) -> None:
    imported = read(f"compute_environment: LOCAL_MACHINE\n{text}\n", name="launch.yaml")
    assert fate(imported, key)[0] == kind


@pytest.mark.parametrize(
    ("word", "compute"), [("mixed_precision: bf16\n", "bf16-weights"), ("", "fp32")]
)
def test_what_an_engine_leaves_to_a_launch(read: Bring, word: str, compute: str) -> None:
    """accelerate fills in `auto` by its own word, which is `no` where nothing is said."""
    launch = f"{ENGINE}{{deepspeed_config_file: ds.json}}\nnum_processes: 2\n{word}"
    imported = read(launch, name="launch.yaml", other={"ds.json": json.dumps(AUTO)})
    assert imported.composed.values.get("precision.compute") == compute


@pytest.mark.parametrize("number", ["'8'", "-1", "8.5", "true"])
def test_a_number_of_processes_that_is_none(read: Bring, number: str) -> None:
    text = f"distributed_type: MULTI_GPU\nnum_processes: {number}\n"
    assert fate(read(text, name="launch.yaml"), "num_processes")[0] == "unknown"
    typed = read(text, name="launch.yaml", devices=4)
    assert (fate(typed, "num_processes")[0] == "derived") == (number == "-1")


@pytest.mark.parametrize("kind", ["'NO'", "MULTI_GPU"])
def test_devices_that_are_typed_hold_for_the_batch_and_the_launch(read: Bring, kind: str) -> None:
    launch = ALONE + f"distributed_type: {kind}\nmixed_precision: bf16\n"
    spec = read(CONFIG, other={"launch.yaml": launch}, devices=4).composed.spec
    assert (spec.hardware.devices, spec.train.batch_size) == (4, 4 * 8)
