"""Devices that share layers or rows count as one in the batch, whichever file says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.port.conftest import Bring, fate

LLAMAFACTORY = (
    "model_name_or_path: org/model\nstage: sft\ndo_train: true\nfinetuning_type: full\n"
    "dataset: alpaca_en_demo\noutput_dir: o\nper_device_train_batch_size: 2\n"
    "gradient_accumulation_steps: 3\n"
)
TRL = (
    "model_name_or_path: org/model\ndataset_name: org/rows\noutput_dir: o\n"
    "per_device_train_batch_size: 2\ngradient_accumulation_steps: 3\n"
)
LAUNCH = "distributed_type: MULTI_GPU\nnum_machines: 1\nnum_processes: 8\nmixed_precision: 'no'\n"


def engine(size: Any, **more: Any) -> str:
    batch = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
    auto = dict.fromkeys(batch, "auto")
    section = {"tensor_parallel": {"autotp_size": size}, "zero_optimization": {"stage": 1}}
    return json.dumps({**auto, **section, **more})


def test_a_group_of_the_engine_counts_as_one(read: Bring) -> None:
    files = {"ds.json": engine(2), "launch.yaml": LAUNCH}
    imported = read(f"{LLAMAFACTORY}deepspeed: ds.json\n", other=files)
    hardware, train = imported.composed.spec.hardware, imported.composed.spec.train
    assert (hardware.devices, hardware.tensor_parallel) == (8, 2)
    assert (train.batch_size, train.micro_batch_size) == (2 * 3 * 4, 2)
    assert imported.faithful, [one for one in imported.fates if not one.faithful]


def test_without_a_count_there_is_one_group(read: Bring) -> None:
    imported = read(f"{LLAMAFACTORY}deepspeed: ds.json\n", other={"ds.json": engine(4)})
    spec = imported.composed.spec
    assert (spec.hardware.devices, spec.train.batch_size) == (4, 2 * 3)
    assert any("one group of 4 devices" in note for note in imported.notes)


@pytest.mark.parametrize(
    ("numbers", "batch", "devices"),
    [
        # train_batch_size counts each device: 16 = 2 x 2 x 4
        ({"train_batch_size": 16}, 8, 4),
        ({}, 4, 2),
    ],
)
def test_the_engines_own_numbers(
    read: Bring, numbers: dict[str, int], batch: int, devices: int
) -> None:
    said = {"train_micro_batch_size_per_gpu": 2, "gradient_accumulation_steps": 2, **numbers}
    config = json.loads(engine(2)) | {"train_batch_size": None} | said
    config = {key: value for key, value in config.items() if value is not None}
    values = read(json.dumps(config), name="ds.json").composed.values
    assert (values["train.batch_size"], values["train.micro_batch_size"]) == (batch, 2)
    assert (values["hardware.devices"], values["hardware.tensor_parallel"]) == (devices, 2)


def test_trl_trains_another_loss_over_cut_layers(read: Bring) -> None:
    imported = read(f"{TRL}deepspeed: ds.json\n", other={"ds.json": engine(2)})
    kind, why = fate(imported, "tensor_parallel.autotp_size")
    assert (kind, "a part of the words" in why) == ("approximated", True)
    assert imported.composed.values["hardware.tensor_parallel"] == 2


@pytest.mark.parametrize(
    ("main", "size", "why"),
    [
        (LLAMAFACTORY, 3, "so many devices"),
        ("base_model: org/model\ndatasets: []\nmicro_batch_size: 1\n", 2, "how its batch counts"),
    ],
)
def test_what_is_not_known_is_told(read: Bring, main: str, size: int, why: str) -> None:
    imported = read(f"{main}deepspeed: ds.json\n", other={"ds.json": engine(size)})
    kind, told = fate(imported, "tensor_parallel.autotp_size")
    assert (kind, why in told) == ("unknown", True)


def test_devices_that_share_rows_count_as_one_for_a_trainer(read: Bring) -> None:
    grid = "parallelism_config: {parallelism_config_sp_size: 4}\n"
    imported = read(TRL, other={"launch.yaml": f"{LAUNCH}{grid}"})
    values = imported.composed.values
    assert values["hardware.sequence_parallel"] == 4
    assert values["train.batch_size"] == 2 * 3 * 2


@pytest.mark.parametrize(
    ("name", "why"), [("tp_size", "a plan that cuts"), ("cp_size", "ring attention")]
)
def test_other_groups_of_a_launch_are_not_in_a_spec(read: Bring, name: str, why: str) -> None:
    grid = f"parallelism_config: {{parallelism_config_{name}: 2}}\n"
    imported = read(TRL, other={"launch.yaml": f"{LAUNCH}{grid}"})
    kind, told = fate(imported, f"parallelism_config.parallelism_config_{name}")
    assert (kind, why in told) == ("unknown", True)


AXOLOTL = (
    "base_model: org/model\ndatasets: []\nmicro_batch_size: 2\ngradient_accumulation_steps: 1\n"
)


@pytest.mark.parametrize(
    ("more", "devices", "batch", "kind"),
    [
        ("tensor_parallel_size: 2", 2, 2, "renamed"),
        (
            "tensor_parallel_size: 2\ndp_shard_size: 4\nfsdp_config: {fsdp_version: 2}",
            8,
            8,
            "renamed",
        ),
        ("tensor_parallel_size: 3", 1, 2, "unknown"),
        ("tensor_parallel_size: 1", 1, 2, "inert"),
        ("tensor_parallel_size: 2\ndeepspeed: elsewhere.json", 1, 2, "unknown"),
    ],
)
def test_axolotls_groups(read: Bring, more: str, devices: int, batch: int, kind: str) -> None:
    imported = read(f"{AXOLOTL}{more}\n")
    values = imported.composed.values
    assert fate(imported, "tensor_parallel_size")[0] == kind
    assert values.get("hardware.tensor_parallel", 1) == (2 if kind == "renamed" else 1)
    assert (values["hardware.devices"], values["train.batch_size"]) == (devices, batch)
    averaged = values["method.objective.average"]
    assert averaged == ("batches" if batch > 2 else "tokens")


@pytest.mark.parametrize(
    "launch",
    [
        "torchrun --nproc_per_node $GPUS",
        "torchrun --nproc-per-node=$(nvidia-smi -L | wc -l)",
        "accelerate launch --num_processes $GPUS",
        "deepspeed --num_gpus $GPUS",
    ],
)
def test_devices_that_are_typed_answer_a_launcher_that_leaves_them_open(
    read: Bring, launch: str
) -> None:
    command = (
        f"{launch} src/train.py --stage sft --do_train --model_name_or_path org/m --template qwen "
        "--dataset alpaca_en_demo --finetuning_type lora --per_device_train_batch_size 2 --output_dir o\n"
    )
    open_ = read(command, "run.sh").composed.open
    assert len([one for one in open_ if "nproc" in one or "num_" in one]) == 1
    answered = read(command, "run.sh", devices=4)
    assert not answered.composed.open
    assert answered.composed.spec.train.batch_size == 2 * 4 * 1
    assert answered.composed.spec.hardware.devices == 4
