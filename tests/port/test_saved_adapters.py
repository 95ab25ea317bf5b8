"""What a saved adapter says, of whatever kind: each option is compared, or told as one that is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.port.compare import compare
from ftspec.port.effective import Meaning, meaning
from ftspec.port.unsaid import unsaid
from ftspec.report.port import effects_as_json, explained
from tests.port.test_traces import ADAPTER


def saved(folder: Path, **more: Any) -> Meaning:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({**ADAPTER, **more}, indent=1))
    return meaning([folder])


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"use_dora": True}, "method.tuner.dora"),
        ({"use_rslora": True}, "method.tuner.rslora"),
        ({"rank_pattern": {"q_proj": 4}}, "method.tuner.rank_pattern"),
        ({"alpha_pattern": {"q_proj": 4}}, "method.tuner.alpha_pattern"),
        ({"modules_to_save": ["lm_head"]}, "method.tuner.modules_to_save"),
        ({"init_lora_weights": "pissa_niter_16"}, "method.tuner.init.type"),
        ({"init_lora_weights": "olora"}, "method.tuner.init.type"),
        ({"trainable_token_indices": [1, 2]}, "method.tuner.trainable_tokens"),
        ({"peft_type": "IA3"}, "method.tuner.type"),
        ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 20}, "method.tuner.type"),
        ({"peft_type": "OFT", "r": 0, "oft_block_size": 32}, "method.tuner.type"),
        ({"peft_type": "VERA", "r": 256}, "method.tuner.type"),
        ({"peft_type": "ADALORA", "target_r": 8}, "method.tuner.type"),
        ({"peft_type": "HRA"}, "method.tuner.type"),
    ],
)
def test_an_option_that_differs_is_a_difference(
    tmp_path: Path, more: dict[str, Any], path: str
) -> None:
    one, other = saved(tmp_path / "one"), saved(tmp_path / "other", **more)
    found = [line.path for line in compare(one, other) if line.weight == "training"]
    assert path in found


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"layer_replication": [[0, 4], [2, 5]]}, "layer_replication"),
        ({"lora_bias": True}, "lora_bias"),
        ({"alora_invocation_tokens": [1, 2]}, "alora_invocation_tokens"),
        ({"init_lora_weights": "loftq"}, "init_lora_weights"),
        ({"target_modules": None}, "target_modules"),
        ({"brand_new": 5}, "brand_new"),
        ({"peft_type": "NEXT"}, "peft_type"),
        ({"peft_type": 5}, "peft_type"),
        ({"r": "8"}, "r"),
        ({"lora_alpha": [8]}, "lora_alpha"),
        ({"lora_alpha": 10**400}, "lora_alpha"),
        ({"base_model_name_or_path": 3}, "base_model_name_or_path"),
        ({"peft_type": "OFT", "init_weights": False}, "init_weights"),
        ({"peft_type": "OFT", "use_cayley_neumann": False}, "use_cayley_neumann"),
        ({"peft_type": "IA3", "init_ia3_weights": False}, "init_ia3_weights"),
    ],
)
def test_what_no_spec_says_is_told_with_its_line(
    tmp_path: Path, more: dict[str, Any], key: str
) -> None:
    sides = saved(tmp_path / "one"), saved(tmp_path / "other", **more)
    lines = unsaid(*sides)
    (line,) = [line for line in lines if f": {key}: " in line and "one/" not in line]
    assert "other/adapter_config.json:" in line
    compare(*sides)  # which reckons with numbers alone


OFF = {
    "lora_bias": False,
    "layer_replication": None,
    "loftq_config": {},
    "megatron_core": "megatron.core",
    "qalora_group_size": 16,
    "peft_version": "0.18.1",
    "runtime_config": {"ephemeral_gpu_offload": False},
    "inference_mode": True,
    "target_modules": ["q_proj", "v_proj"],
    "fan_in_fan_out": False,
    "task_type": "CAUSAL_LM",
}


def test_releases_of_peft_that_write_more_defaults_save_the_same(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one"), saved(tmp_path / "other", **OFF)
    assert (compare(one, other), unsaid(one, other)) == ((), ())


def test_the_head_of_a_reward_model_is_no_choice_of_anyone(tmp_path: Path) -> None:
    found = saved(tmp_path / "one", task_type="SEQ_CLS", modules_to_save=["classifier", "score"])
    assert found.values["method.objective.type"] == "reward"
    assert (found.values["method.tuner.modules_to_save"], found.lost) == ((), ())


def test_explain_tells_what_no_path_says(tmp_path: Path) -> None:
    found = saved(tmp_path / "one", peft_type=["LORA"])
    assert [line for line in explained(found) if "peft_type: ['LORA']" in line]
    assert [fate["key"] for fate in effects_as_json(found)["fates"]] == ["peft_type"]
