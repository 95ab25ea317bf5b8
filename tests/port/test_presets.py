"""Engines' files that a config names: those that come with a tool, and those that are found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.port.bring import bring
from tests.port.conftest import Bring, fate
from tests.port.test_engines import CONFIG

AXOLOTL = (
    "base_model: org/model\ndatasets: [{path: rows.jsonl, type: alpaca}]\nmicro_batch_size: 1\n"
    "learning_rate: 1.0e-4\nbf16: true\ndeepspeed: "
)


@pytest.mark.parametrize(
    ("text", "stage", "optimizer", "parameters"),
    [
        (AXOLOTL + "deepspeed_configs/zero1.json", 1, False, False),
        (AXOLOTL + "/workspace/axolotl/deepspeed_configs/zero2.json", 2, True, False),
        (AXOLOTL + "deepspeed_configs/zero3_bf16.json", 3, False, False),
        (AXOLOTL + "deepspeed_configs/zero3_bf16_cpuoffload_params.json", 3, False, True),
        (AXOLOTL + "deepspeed_configs/zero3_bf16_cpuoffload_all.json", 3, True, True),
        (
            CONFIG.replace("ds.json", "examples/deepspeed/ds_z0_config.json") + "bf16: true",
            0,
            False,
            False,
        ),
        (
            CONFIG.replace("ds.json", "examples/deepspeed/ds_z3_offload_config.json")
            + "bf16: true",
            3,
            True,
            True,
        ),
    ],
)
def test_files_that_come_with_a_tool_are_known(
    read: Bring, text: str, stage: int, optimizer: bool, parameters: bool
) -> None:
    imported = read(text + "\n")
    zero = imported.composed.spec.hardware.zero
    assert zero is not None
    assert (zero.stage, zero.offload_optimizer, zero.offload_parameters) == (
        stage,
        optimizer,
        parameters,
    )
    assert imported.composed.spec.precision.compute == "bf16-weights"
    kind, why = fate(imported, "deepspeed")
    assert kind == "derived"
    assert "'s own " in why
    assert imported.faithful, [one for one in imported.fates if not one.faithful]


@pytest.mark.parametrize(
    "name",
    [
        "zero9.json",
        "my/zero2.json",
        "deepspeed_configs/mine.json",
        "examples/deepspeed/ds_z3_config.json",
    ],
)
def test_other_files_are_asked_for(read: Bring, name: str) -> None:
    assert fate(read(AXOLOTL + name + "\n"), "deepspeed")[0] == "unknown"


def test_a_file_that_is_there_stands_before_the_one_that_comes_with_a_tool(read: Bring) -> None:
    own = {"deepspeed_configs/zero2.json": json.dumps({"zero_optimization": {"stage": 1}})}
    imported = read(AXOLOTL + "deepspeed_configs/zero2.json\n", other={})
    assert imported.composed.values["hardware.zero.stage"] == 2
    imported = read(AXOLOTL + "deepspeed_configs/zero2.json\n", other=own)
    assert imported.composed.values["hardware.zero.stage"] == 1


def test_a_file_is_found_below_the_root_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "z.json").write_text('{"zero_optimization": {"stage": 3}}')
    config = tmp_path / "recipes" / "small" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(AXOLOTL + "engine/z.json\n")
    imported = bring([config])
    assert imported.composed.values["hardware.zero.stage"] == 3
    assert fate(imported, "deepspeed")[0] == "derived"
