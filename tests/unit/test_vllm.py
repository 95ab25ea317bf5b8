"""Completions that vLLM draws: compiled for a GPU, refused elsewhere, and kept where recipes are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import BuildEnvironment
from ftspec.registry import load as load_backend
from ftspec.spec.load import loads
from tests.port.conftest import fate, read

__all__ = ["read"]

SPEC = """\
version: 1
model: {name: org/name, dtype: float32}
data: {train: {hub: org/prompts, format: prompt}, max_length: 64}
method:
  objective: {type: OBJECTIVE, rewards: [{by: regex, pattern: a}], generation: {engine: vllm, memory: 0.4}}
  tuner: full
train: {steps: 4, batch_size: 8, micro_batch_size: 8}
hardware: {device: cuda}
"""
OBJECTIVES = {"grpo": "GRPOConfig", "rloo": "RLOOConfig", "online-dpo": "OnlineDPOConfig"}


def spec(objective: str, *sets: str) -> Any:
    return loads(SPEC.replace("OBJECTIVE", objective), sets=sets)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_is_compiled_for_a_gpu_with_every_setting(objective: str, tmp_path: Path) -> None:
    plan = make_plan(spec(objective), "trl", tmp_path)
    config = OBJECTIVES[objective]
    native = {k.removeprefix(f"{config}."): v for k, v in plan.native.items() if "vllm" in k}
    assert native["use_vllm"] is True
    assert native["vllm_gpu_memory_utilization"] == 0.4
    assert (native["vllm_mode"], native["vllm_tensor_parallel_size"]) == ("colocate", 1)
    assert ("vllm_importance_sampling_mode" in native) == (objective == "grpo")
    (build,) = (stage for stage in plan.stages if isinstance(stage, BuildEnvironment))
    assert (plan.lock(), build.lock) == ("vllm", "vllm")
    assert "vLLM draws" in build.why
    texts = {file.path: file.content.decode() for file in plan.files()}
    assert "vllm==0.26.0" in texts["requirements.txt"]
    assert "use_vllm=True" in texts["train.py"]
    trl = load_backend("trl")
    lifted = trl.maps[objective].lift(trl.read(plan.files())).spec
    assert lifted["method.objective.generation.engine"] == "vllm"
    assert lifted["method.objective.generation.memory"] == 0.4


def test_without_it_nothing_of_it_is_written(tmp_path: Path) -> None:
    plain = SPEC.replace("OBJECTIVE", "grpo").replace("engine: vllm, memory: 0.4", "completions: 8")
    plan = make_plan(loads(plain), "trl", tmp_path)
    assert {k: v for k, v in plan.native.items() if "vllm" in k} == {"GRPOConfig.use_vllm": False}
    assert plan.lock() == "aligned"


@pytest.mark.parametrize(
    ("backend", "sets", "reason"),
    [
        ("trl", ("hardware.device=cpu",), "draws on an NVIDIA GPU alone"),
        ("trl", ("run.environment=latest",), "over the aligned versions"),
        ("deepspeed", (), "in the lock of the trl backend alone"),
    ],
)
def test_where_it_cannot_be_it_is_refused(
    backend: str, sets: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        make_plan(spec("grpo", *sets), backend, tmp_path)


def test_memory_belongs_to_it() -> None:
    with pytest.raises(SpecError, match="`memory` belongs to the engine `vllm`"):
        spec("grpo", "method.objective.generation.engine=transformers")


RECIPE = """\
model_name_or_path: org/model
dataset_name: org/prompts
torch_dtype: bfloat16
use_vllm: true
vllm_gpu_memory_utilization: 0.7
num_generations: 16
max_completion_length: 512
beta: 0.01
reward_funcs: [accuracy, tag_count]
reward_weights: [1.0, 0.5]
per_device_train_batch_size: 16
max_steps: 5
"""


def test_a_recipe_keeps_it(read: Any) -> None:
    imported = read(RECIPE, "config.yaml")
    found = imported.composed.values
    assert found["method.objective.type"] == "grpo"
    assert found["method.objective.generation.engine"] == "vllm"
    assert found["method.objective.generation.memory"] == 0.7
    assert found["method.objective.generation.completions"] == 16
    rewards = found["method.objective.rewards"]
    assert [(r["function"], r["weight"]) for r in rewards] == [
        ("accuracy", 1.0),
        ("tag_count", 0.5),
    ]


@pytest.mark.parametrize("setting", ["vllm_mode: server", "vllm_tensor_parallel_size: 2"])
def test_another_way_to_run_it_is_told(read: Any, setting: str) -> None:
    imported = read(f"{RECIPE}{setting}\n", "config.yaml")
    kind, why = fate(imported, setting.partition(":")[0])[:2]
    assert kind not in ("exact", "inert"), why
