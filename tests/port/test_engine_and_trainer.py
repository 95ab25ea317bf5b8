"""DeepSpeed's JSON beside a trainer: where a run stops, on how many devices, and what is handed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import UnsupportedError
from ftspec.port.carry import carry
from tests.port.conftest import Bring, fate

FACTORY = (
    "model_name_or_path: org/model\nstage: sft\ndo_train: true\ndataset: alpaca_en_demo\n"
    "output_dir: o\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 4\ndeepspeed: ds.json\n"
)
AUTO = {"type": "WarmupLR", "params": {"warmup_num_steps": "auto"}}
WARM = {"type": "WarmupLR", "params": {"warmup_num_steps": 5}}
BATCHED = {"train_batch_size": "auto", "train_micro_batch_size_per_gpu": "auto"}
BATCH = {
    "train_batch_size": 64,
    "train_micro_batch_size_per_gpu": 2,
    "gradient_accumulation_steps": 4,
}
ZERO = {"zero_optimization": {"stage": 2}}


@pytest.mark.parametrize(
    ("engine", "more", "told"),
    [
        ({"scheduler": AUTO, **ZERO}, "", "warm-up is 0 steps"),
        ({"scheduler": AUTO, **ZERO}, "warmup_steps: 10\n", ""),
        ({"scheduler": AUTO, **ZERO}, "warmup_ratio: 0.1\n", ""),
        (
            {"scheduler": WARM, **ZERO},
            "",
            "train.warmup_steps: 5 in ds.json, but the trainer assumes 0",
        ),
        ({"scheduler": WARM, **ZERO}, "warmup_steps: 5\n", ""),
        ({**BATCHED, **ZERO}, "", "gradient_accumulation_steps: none here"),
        ({"train_micro_batch_size_per_gpu": "auto", **ZERO}, "", ""),
        ({"bf16": {"enabled": True}, **ZERO}, "", "bf16.enabled: on here, but off by the trainer"),
        ({"bf16": {"enabled": False}, **ZERO}, "bf16: true\n", "bf16.enabled: off here, but on"),
        ({"bf16": {"enabled": True}, **ZERO}, "bf16: true\n", ""),
        ({"bf16": {"enabled": "auto"}, "fp16": {"enabled": False}, **ZERO}, "bf16: true\n", ""),
        ({"steps_per_print": 1}, "", "accelerate stops at a file without this section"),
    ],
)
def test_where_a_run_stops(read: Bring, engine: dict[str, Any], more: str, told: str) -> None:
    imported = read(FACTORY + more, other={"ds.json": json.dumps(engine)})
    stops = [line for line in imported.composed.open if "stops at" in line]
    assert len(stops) == bool(told)
    assert all(told in line for line in stops)


@pytest.mark.parametrize(
    ("more", "kind", "steps"),
    [("num_train_epochs: 2\n", "inert", None), ("max_steps: 50\n", "renamed", 50)],
)
def test_steps_that_an_engine_counts_are_the_trainers(
    read: Bring, more: str, kind: str, steps: int | None
) -> None:
    """Beside epochs they were its own, and nothing of the two files was understood."""
    decay = {"type": "WarmupDecayLR", "params": {"total_num_steps": 50, "warmup_num_steps": 5}}
    engine = json.dumps({"scheduler": decay, **ZERO})
    imported = read(f"{FACTORY}warmup_steps: 5\n{more}", other={"ds.json": engine})
    assert fate(imported, "scheduler.params.total_num_steps")[0] == kind
    assert imported.composed.spec.train.steps == steps
    assert all(one.faithful for one in imported.fates)


def test_three_numbers_tell_the_devices(read: Bring) -> None:
    alone = read(json.dumps({**BATCH, **ZERO}), name="ds.json")
    assert alone.composed.spec.hardware.devices == 8
    beside = read(FACTORY, other={"ds.json": json.dumps({**BATCH, **ZERO})})
    assert beside.composed.spec.train.batch_size == 64
    assert beside.composed.spec.hardware.devices == 8


def test_numbers_that_are_for_other_devices(read: Bring) -> None:
    imported = read(json.dumps({**BATCH, **ZERO}), name="ds.json", devices=4)
    assert any("that of 8 devices, and there are 4" in line for line in imported.composed.open)


def test_what_people_tune_goes_on_to_the_engine(read: Bring) -> None:
    tuned = {
        "stage": 2,
        "reduce_bucket_size": 5e6,
        "overlap_comm": True,
        "allgather_bucket_size": 5e8,  # the engine's own
        "sub_group_size": "auto",  # nobody fills it in
        "stage3_max_live_parameters": 1,  # not of this stage
    }
    imported = read(FACTORY, other={"ds.json": json.dumps({"zero_optimization": tuned})})
    start = "ds_config.zero_optimization."
    kept = {f"{start}reduce_bucket_size": 5000000, f"{start}overlap_comm": True}
    assert imported.composed.spec.native == {"deepspeed": kept, "llamafactory": kept}
    assert all(fate.faithful for fate in imported.fates)


def test_few_bits_go_on_to_the_engine_alone(tmp_path: Path) -> None:
    zero = {"stage": 3, "zero_quantized_weights": True}
    (tmp_path / "ds.json").write_text(json.dumps({"zero_optimization": zero}))
    (tmp_path / "train.yaml").write_text(FACTORY)
    with pytest.raises(UnsupportedError) as failed:
        carry([tmp_path / "train.yaml", tmp_path / "ds.json"], "trl", tmp_path / "out")
    assert any("zero_quantized_weights" in one.message for one in failed.value.problems)
