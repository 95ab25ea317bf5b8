"""Mixtures of experts: what is known before a run, and what would lose the balance loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.registry import load as backend_of
from ftspec.spec.load import loads

MIXTURE = {"model_type": "qwen3_moe", "num_experts": 4, "output_router_logits": False}
BALANCED = "model.experts.balance_loss=0.01"
TWO_PASSES = ("train.batch_size=8", "train.micro_batch_size=4")


def plan(
    folder: Path, backend: str, config: dict[str, Any], *sets: str, lossy: bool = False
) -> Any:
    (folder / "m").mkdir(exist_ok=True)
    (folder / "m" / "config.json").write_text(json.dumps(config))
    text = (
        "model: ./m\ndata: {train: {path: a.jsonl, format: messages}, overflow: error}\n"
        "method: full\nprecision: fp32\nhardware: {device: cpu}\n"
        "train: {batch_size: 4, micro_batch_size: 4}\n"
    )
    return make_plan(loads(text, str(folder / "spec.yaml"), sets), backend, folder, lossy)


def refusal(folder: Path, backend: str, config: dict[str, Any], *sets: str) -> str:
    with pytest.raises(UnsupportedError) as caught:
        plan(folder, backend, config, *sets)
    return str(caught.value)


def test_a_model_without_experts_has_none(tmp_path: Path) -> None:
    for asked in (BALANCED, "model.experts.freeze_router=true"):
        with pytest.raises(SpecError, match="no mixture of experts"):
            plan(tmp_path, "trl", {"model_type": "llama"}, asked)
    inside = {"model_type": "x", "text_config": MIXTURE}
    assert plan(tmp_path, "trl", inside, BALANCED).native["SFTConfig.router_aux_loss_coef"] == 0.01


@pytest.mark.parametrize("backend", ["trl", "llamafactory"])
def test_parts_of_experts_are_no_modules(tmp_path: Path, backend: str) -> None:
    tuner = "method.tuner={type: lora, targets: [q_proj, down_proj]}"
    with pytest.raises(SpecError, match="there is no `down_proj`"):
        plan(tmp_path, backend, MIXTURE, tuner)
    for other in ({"mlp_only_layers": [0]}, {"model_type": "qwen2_moe"}, {"model_type": "llama"}):
        plan(tmp_path, backend, {**MIXTURE, **other}, tuner)  # it has such modules elsewhere
    plan(tmp_path, backend, MIXTURE, "method.tuner={type: lora, targets: [q_proj]}")


def test_llamafactory_gets_a_part_for_each_pass_and_device(tmp_path: Path) -> None:
    key = "moe_aux_loss_coef"
    assert plan(tmp_path, "llamafactory", MIXTURE).native[key] is None
    assert plan(tmp_path, "llamafactory", MIXTURE, BALANCED).native[key] == 0.01
    sets = (BALANCED, "train.batch_size=8", "hardware.devices=2")
    assert plan(tmp_path, "llamafactory", MIXTURE, *sets).native[key] == 0.005
    assert "has less of the balance loss" in refusal(
        tmp_path, "llamafactory", MIXTURE, BALANCED, *TWO_PASSES
    )
    made = plan(tmp_path, "llamafactory", MIXTURE, BALANCED, *TWO_PASSES, lossy=True)
    assert made.native[key] == 0.005
    backend = backend_of("llamafactory")
    found = backend.maps["sft"].lift(backend.read(made.files())).spec
    assert found["model.experts.balance_loss"] == 0.01


@pytest.mark.parametrize(
    ("config", "sets", "reason"),
    [
        ({**MIXTURE, "model_type": "gpt_oss"}, (BALANCED,), "models of the type gpt_oss"),
        ({**MIXTURE, "output_router_logits": True}, (), "the model's own config.json switches on"),
        (MIXTURE, (BALANCED, "method.objective.loss=dft"), "its DFT loss leaves"),
        (MIXTURE, (BALANCED, "train.label_smoothing=0.1"), "smoothed labels leaves"),
    ],
)
def test_llamafactory_is_refused_what_would_lose_it(
    tmp_path: Path, config: dict[str, Any], sets: tuple[str, ...], reason: str
) -> None:
    said = refusal(tmp_path, "llamafactory", config, *sets)
    assert reason in said


@pytest.mark.parametrize("backend", ["trl", "unsloth", "deepspeed"])
def test_scripts_are_refused_what_would_lose_it(tmp_path: Path, backend: str) -> None:
    for lost in ("train.label_smoothing=0.1", "method.objective.prompt_weight=0.1"):
        assert "balance loss" in refusal(tmp_path, backend, MIXTURE, BALANCED, lost)
        plan(tmp_path, backend, MIXTURE, lost)


def test_only_full_tuning_freezes_a_router(tmp_path: Path) -> None:
    said = refusal(tmp_path, "trl", MIXTURE, "model.experts.freeze_router=true", "method=lora")
    assert "a router that is not named stays as it is" in said


def test_leaves_are_of_stage_3(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="`leaf_modules` needs stage 3"):
        plan(tmp_path, "deepspeed", MIXTURE, "hardware.zero={stage: 2, leaf_modules: X}")
    key = "ds_config.zero_optimization.leaf_module"
    stage = plan(tmp_path, "deepspeed", MIXTURE, "hardware.zero=3").native
    assert len(stage[key]["classes"]) == 3
    named = plan(tmp_path, "deepspeed", MIXTURE, "hardware.zero={stage: 3, leaf_modules: X}")
    assert named.native[key] == {"classes": ["X"]}
    assert "does not shard" in refusal(
        tmp_path, "trl", MIXTURE, "hardware.zero={stage: 3, leaf_modules: X}"
    )


def test_a_models_own_weight(tmp_path: Path) -> None:
    key, own = "SFTConfig.router_aux_loss_coef", "model.experts.balance_loss=model"
    known = {**MIXTURE, "router_aux_loss_coef": 0.02}
    assert plan(tmp_path, "trl", known, own).native[key] == 0.02
    assert plan(tmp_path, "llamafactory", known, own).native["moe_aux_loss_coef"] == 0.02
    with pytest.raises(SpecError, match="says no router_aux_loss_coef"):
        plan(tmp_path, "trl", MIXTURE, own)
    elsewhere = (own, "model.name=org/mixture", "model.dtype=float32")
    made = plan(tmp_path, "trl", MIXTURE, *elsewhere)
    assert made.native[key] is None
    backend = backend_of("trl")
    found = backend.maps["sft"].lift(backend.read(made.files())).spec
    assert found["model.experts.balance_loss"] == "model"
    assert "as a number" in refusal(tmp_path, "llamafactory", MIXTURE, *elsewhere)
