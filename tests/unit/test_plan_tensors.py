"""Layers that several devices share: who can, and what becomes of the batch and of the count of tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.errors import SpecError, UnsupportedError
from ftspec.families.training.tensors import LAYERS
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Launch, Plan
from ftspec.registry import load as backend_of
from ftspec.spec.load import loads

SHARED = ("hardware.tensor_parallel=4", "hardware.zero=1")


def plan(backend: str, *sets: str) -> Plan:
    text = (
        "model: {name: org/name, dtype: float32}\nmethod: full\n"
        "data: {train: {path: a.jsonl, format: messages}, overflow: error}\n"
        "train: {batch_size: 6, micro_batch_size: 1}\nhardware: {device: cuda, devices: 4}\n"
    )
    return make_plan(loads(text, "nowhere/spec.yaml", sets), backend, Path("nowhere/out"))


@pytest.mark.parametrize("backend", ["deepspeed", "llamafactory"])
def test_devices_that_share_layers_count_as_one(backend: str) -> None:
    with pytest.raises(SpecError, match="cannot be split"):
        plan(backend)  # 6 rows over 4 devices
    made = plan(backend, *SHARED)
    (file,) = (file for file in made.files() if file.path == "ds_config.json")
    engine = json.loads(file.content)
    assert engine["tensor_parallel"] == {"autotp_size": 4, "partition_config": LAYERS}
    assert engine["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True
    (launch,) = (stage for stage in made.stages if isinstance(stage, Launch))
    assert "--nproc-per-node=4" in launch.argv or launch.environ["NPROC_PER_NODE"] == "4"
    (steps,) = (made.native[key] for key in made.native if "gradient_accumulation_steps" in key[-40:]
                and not key.startswith("ds_config"))  # fmt: skip
    assert steps == 6
    found = backend_of(backend)
    lifted = found.maps["sft"].lift(found.read(made.files())).spec
    assert (lifted["hardware.tensor_parallel"], lifted["train.batch_size"]) == (4, 6)


def test_tokens_are_counted_by_each_device_where_trl_would_count_them_again() -> None:
    key = "SFTConfig.average_tokens_across_devices"
    assert plan("deepspeed", *SHARED).native[key] is False
    assert plan("deepspeed", "train.batch_size=8").native[key] is True
    assert plan("llamafactory", *SHARED).native[key.partition(".")[2]] is True
    with pytest.raises(UnsupportedError, match="once for each of its devices"):
        plan("deepspeed", *SHARED, "hardware.devices=8")
    assert plan("llamafactory", *SHARED, "hardware.devices=8")  # two groups


@pytest.mark.parametrize("backend", ["trl", "unsloth", "axolotl"])
def test_others_share_no_layers(backend: str) -> None:
    with pytest.raises(UnsupportedError, match=r"hardware\.tensor_parallel = 4"):
        plan(backend, *SHARED)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("hardware.zero=3", "transformers 5.6 stops at stage 3"),
        ("method=lora", "method.tuner.type: lora"),
        ("train.optimizer=adafactor", "train.optimizer.type: adafactor"),
        ("train.label_smoothing=0.1", "train.label_smoothing: 0.1"),
        ("data.packing=documents", "data.packing: documents"),
        ("run.environment=latest", "only with the aligned versions"),
        ("method.objective.loss=dft", "method.objective.loss: dft"),
        ("train.embedding_learning_rate=1e-5", "train.embedding_learning_rate: 1e-05"),
        ("output.quantization=nf4", "output.quantization: nf4"),
        ("data.eval_size=7 train.eval_steps=2 train.early_stopping=2", "train.early_stopping: 2"),
    ],
)
def test_what_cut_layers_were_not_seen_beside_is_refused(more: str, reason: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        plan("deepspeed", *SHARED, *more.split())
    assert reason in str(caught.value)


def test_llamafactory_cuts_by_the_engine_alone() -> None:
    for more in ((), ("hardware.zero=0",)):  # stage 0 has no engine there
        with pytest.raises(UnsupportedError, match="engine cuts layers"):
            plan("llamafactory", SHARED[0], *more)
    assert plan("deepspeed", SHARED[0], "hardware.zero=0")


def test_a_model_with_other_layers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "phi3"}), "utf-8")
    text = (
        "model: {name: ./model, dtype: float32}\nmethod: full\n"
        "data: {train: {path: a.jsonl, format: messages}}\n"
        "train: {batch_size: 6, micro_batch_size: 1}\nhardware: {device: cuda, devices: 4}\n"
    )
    loaded = loads(text, str(tmp_path / "spec.yaml"), SHARED)
    with pytest.raises(UnsupportedError, match="type phi3"):
        make_plan(loaded, "deepspeed", tmp_path / "out")


def test_devices_are_a_multiple_of_both() -> None:
    with pytest.raises(SpecError, match="6 devices cannot share layers by 4"):
        plan("deepspeed", *SHARED, "hardware.devices=6")
    with pytest.raises(SpecError, match="4 devices cannot share layers by 4"):
        plan("deepspeed", *SHARED, "hardware.sequence_parallel=2")
