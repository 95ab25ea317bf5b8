"""Settings of DeepSpeed's engine, as it trains: those that are told to change nothing change nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ftspec.env.install import ensure
from ftspec.families.training.zero import DS, engine_text
from ftspec.plan.make import make_plan
from ftspec.port.bring import bring
from ftspec.registry import load
from ftspec.spec.load import loads

pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]
SCRIPT = Path(__file__).parent / "engine_reference.py"
LIBAIO = Path("/usr/include/libaio.h")
BARE = {
    "train_micro_batch_size_per_gpu": 2,
    "gradient_accumulation_steps": 2,
    "gradient_clipping": 1.0,
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
    "steps_per_print": 10**6,
}
DROPPED_TOKENS = {
    "enabled": True, "total_layer_num": 12, "random_ltd_layer_num": 10,
    "random_ltd_layer_id": [*range(1, 11)], "model_mask_name": None, "model_type": "encoder",
    "hidden_state_order": "batch_seq_dim",
    "random_ltd_schedule": {
        "min_value": 4, "max_value": 8, "schedule_type": "fixed_linear",
        "schedule_config": {"require_steps": 2, "seq_per_step": 2},
    },
}  # fmt: skip
CURRICULUM = {
    "enabled": True,
    "curriculum_metrics": {
        "seqlen": {
            "difficulty_type": "value",
            "index_to_sample_path": "x",
            "index_to_metric_path": "y",
        }
    },
}
EFFICIENT = {
    "data_efficiency": {
        "enabled": True,
        "data_routing": {"enabled": True, "random_ltd": DROPPED_TOKENS},
        "data_sampling": {"enabled": True, "num_workers": 0, "curriculum_learning": CURRICULUM},
    }
}
IDLE: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "data efficiency": (2, EFFICIENT),
    "data efficiency, stage 3": (3, EFFICIENT),
    "divided before": (0, {"prescale_gradients": True}),
    "divided before and after": (0, {"gradient_predivide_factor": 2.0}),
    "buckets": (2, {"zero_optimization": {
        "round_robin_gradients": True, "contiguous_gradients": False, "reduce_bucket_size": 1000,
        "allgather_bucket_size": 1000, "overlap_comm": True, "allgather_partitions": False,
        "load_from_fp32_weights": False, "ignore_unused_parameters": False,
        "use_multi_rank_bucket_allreduce": False, "parameter_alignment": True,
        "zero_quantized_weights": True,
    }}),
    "tiles": (3, {"zero_optimization": {
        "sub_group_size": 1000, "stage3_max_live_parameters": 100, "stage3_max_reuse_distance": 100,
        "stage3_prefetch_bucket_size": 100, "stage3_param_persistence_threshold": 10,
        "reduce_bucket_size": 1000, "overlap_comm": True, "memory_efficient_linear": False,
        "stage3_allgather_sequential": True, "zero_hpz_partition_size": 1,
    }}),
    "blocks": (2, {
        "activation_checkpointing": {"partition_activations": True, "number_checkpoints": 2},
        "compile": {"deepcompile": True}, "pipeline": {"stages": 2},
        "checkpoint": {"tag_validation": "Fail"}, "dataloader_drop_last": True,
        "autotuning": {"enabled": False}, "hybrid_engine": {"enabled": False},
        "tensor_parallel": {"autotp_size": 1}, "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32", "gradient_allreduce_op": "mean",
    }),
}  # fmt: skip
REMOVED: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    # settings, what the engine says, the fate of the first of them
    "compression_training.enabled": ({"compression_training": {"enabled": True}}, "removed", "unknown"),
    "elasticity.enabled": ({"elasticity": {"enabled": True}}, "removed", "unknown"),
    "curriculum_learning.enabled": ({"curriculum_learning": {"enabled": True}}, "removed", "unknown"),
    "sparse_gradients": ({"sparse_gradients": True}, "removed", "inert"),
    "nebula.enabled": ({"nebula": {"enabled": True}}, "removed", "inert"),
    "zero_optimization.no_such": ({"zero_optimization": {"no_such": 1}}, "validation error", "unknown"),
}  # fmt: skip
STEPS = {"managed_gradient_accumulation": False}
"""By which the script's own loop says when a step is made."""


def of_stage(stage: int, more: Mapping[str, Any]) -> dict[str, Any]:
    zero = {"stage": stage, **more.get("zero_optimization", {})}
    return {**BARE, **more, "zero_optimization": zero}


def offloaded(folder: str | None, spec: Path) -> dict[str, Any]:
    """ZeRO's section, as a spec compiles that offloads everything."""
    place = f", offload_folder: {folder}" if folder else ""
    text = (
        "model: {name: org/name}\ndata: {train: {path: a.jsonl, format: messages}, overflow: error}\n"
        "train: {batch_size: 4, micro_batch_size: 2}\nmethod: full\nprecision: fp32\nhardware: {device: cpu, "
        f"zero: {{stage: 3, offload_optimizer: true, offload_parameters: true{place}}}}}\n"
    )
    native = make_plan(loads(text, str(spec)), "deepspeed", spec.parent / "out").native
    assert native[f"{DS}zero_optimization.offload_param"]["device"] == ("nvme" if folder else "cpu")
    zero: dict[str, Any] = json.loads(engine_text(native))["zero_optimization"]
    return {**BARE, "zero_optimization": zero}


Trained = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """What the engine made of each case, all in one process."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "disk").mkdir()
    cases = {f"stage {stage}": of_stage(stage, {}) for stage in (0, 2, 3)}
    cases |= {name: of_stage(*case) for name, case in IDLE.items()}
    cases |= {name: of_stage(2, case[0]) for name, case in REMOVED.items()}
    cases |= {"steps": of_stage(2, STEPS), "memory": offloaded(None, folder / "spec.yaml")}
    if LIBAIO.exists():
        cases["disk"] = offloaded(str(folder / "disk"), folder / "spec.yaml")
    (folder / "configs.json").write_text(json.dumps([*cases.values()]))
    python = ensure(load("deepspeed")).python
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"  # ninja, which compiles operations
    ran = subprocess.run(
        [str(python), str(SCRIPT), "configs.json", "out.json"],
        cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    found = json.loads((folder / "out.json").read_text())
    return dict(zip(cases, found, strict=True))


def fates(settings: Mapping[str, Any], folder: Path) -> dict[str, tuple[str, str]]:
    (folder / "ds.json").write_text(json.dumps(settings))
    return {fate.setting.key: (fate.kind, fate.why) for fate in bring([folder / "ds.json"]).fates}


@pytest.mark.parametrize("name", IDLE)
def test_what_is_told_to_change_nothing_changes_nothing(
    trained: Trained, tmp_path: Path, name: str
) -> None:
    stage, settings = IDLE[name]
    assert trained[name] == trained[f"stage {stage}"]
    told = fates(of_stage(stage, settings), tmp_path)
    bare = fates(of_stage(stage, {}), tmp_path)
    more = {key: kind for key, (kind, _) in told.items() if key not in bare}
    assert more and set(more.values()) == {"inert"}, more


@pytest.mark.parametrize("name", REMOVED)
def test_what_it_has_not_stops_it(trained: Trained, tmp_path: Path, name: str) -> None:
    settings, said, kind = REMOVED[name]
    assert said in trained[name]["error"]
    told, why = fates(of_stage(2, settings), tmp_path)[name]
    assert told == kind
    assert any(word in why for word in ("stops", "in versions that had it", "has no such")), why


def test_a_script_that_says_when_a_step_is_made_trains_otherwise(
    trained: Trained, tmp_path: Path
) -> None:
    assert trained["steps"]["weights"] != trained["stage 2"]["weights"]
    assert fates(of_stage(2, STEPS), tmp_path)["managed_gradient_accumulation"][0] == "unknown"


@pytest.mark.skipif(not LIBAIO.exists(), reason="libaio, which its disk needs, is not here")
def test_what_lies_on_a_disk_trains_as_in_memory(trained: Trained) -> None:
    assert trained["disk"] == trained["memory"]
