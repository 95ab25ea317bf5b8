"""LLaMA-Factory's PPO is another one than TRL's."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_llamafactory import LEAST

PPO = LEAST.replace("stage: sft", "stage: ppo")


def test_its_ppo_is_read_as_another_one(read: Bring) -> None:
    imported = read(
        PPO
        + "reward_model: saves/reward\nppo_epochs: 2\nppo_whiten_rewards: true\nppo_buffer_size: 1\n"
        "max_new_tokens: 64\ntop_p: 1.0\ntop_k: 0\n"
    )
    objective = imported.composed.spec.method.objective.model_dump(exclude_defaults=True)
    assert objective == {
        "rewards": ({"by": "model", "name": "org/model", "adapter": "saves/reward"},),
        "generation": {"max_length": 64, "temperature": 0.95},
        "beta": 0.2,
        "iterations": 2,
        "whiten_rewards": True,
    }
    assert imported.composed.spec.method.objective.type == "ppo"
    kinds = {key: fate(imported, key)[0] for key in ("stage", "reward_model", "ppo_epochs")}
    assert kinds == {
        "stage": "approximated",
        "reward_model": "approximated",
        "ppo_epochs": "renamed",
    }
    assert imported.composed.open == (
        "PPO learns from prompts: which rows have a column `prompt`?",
    )
    assert "a head on the model itself" in fate(imported, "stage")[1]


@pytest.mark.parametrize(
    ("more", "key", "kind", "rewards"),
    [
        ("reward_model: a/b\nreward_model_type: full", "reward_model", "approximated", "a/b"),
        ("reward_model: http://x\nreward_model_type: api", "reward_model", "unknown", "TODO"),
        ("reward_model: a/b\nreward_model_type: oft", "reward_model", "unknown", "TODO"),
        ("reward_model: a.B\nreward_model_type: env", "reward_model_type", "unknown", "TODO"),
        ("ppo_buffer_size: 4", "ppo_buffer_size", "unknown", "TODO"),
        ("ppo_score_norm: true", "ppo_score_norm", "unknown", "TODO"),
        ("ppo_target: 6.0", "ppo_target", "unknown", "TODO"),
    ],
)
def test_what_of_its_ppo_no_spec_has(
    read: Bring, more: str, key: str, kind: str, rewards: str
) -> None:
    imported = read(PPO + more)
    assert fate(imported, key)[0] == kind
    (reward,) = imported.composed.values["method.objective.rewards"]
    assert reward == {"by": "model", "name": rewards}
    assert len(imported.composed.open) == (2 if rewards == "TODO" else 1)


def test_settings_of_ppo_are_idle_in_other_stages(read: Bring) -> None:
    imported = read(LEAST + "ppo_epochs: 2\nreward_model: a/b\nmax_new_tokens: 8\ntop_p: 0.5\n")
    for key in ("ppo_epochs", "reward_model", "max_new_tokens", "top_p"):
        assert fate(imported, key)[0] == "inert"
    assert imported.composed.spec.method.objective.type == "sft"
