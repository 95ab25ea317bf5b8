"""PPO: which environment it has, what a batch of it is, and what is refused, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import BuildEnvironment, Plan
from ftspec.plan.wording import sentence
from ftspec.registry import load as load_backend
from ftspec.registry import names
from ftspec.spec.load import loads
from ftspec.spec.online import PPO

SPEC = """\
model: org/model
data: {train: {hub: org/prompts, format: prompt}}
method:
  objective: {type: ppo, rewards: [{by: model, name: org/reward}]}
  tuner: full
train: {steps: 5, batch_size: 16, micro_batch_size: 8}
precision: fp32
hardware: {device: cpu}
"""
SCORED = {"rewards": [{"by": "model", "name": "org/reward"}]}


def planned(*sets: str, backend: str = "trl", lossy: bool = False) -> Plan:
    return make_plan(loads(SPEC, sets=sets), backend, Path("/project/trl"), lossy)


def written(*sets: str) -> dict[str, Any]:
    """The arguments of PPOConfig."""
    native = planned(*sets).native
    return {k.partition(".")[2]: v for k, v in native.items() if k.startswith("PPOConfig.")}


def test_it_trains_in_an_environment_of_its_own_and_the_plan_says_why() -> None:
    plan = planned()
    (build,) = (stage for stage in plan.stages if isinstance(stage, BuildEnvironment))
    assert plan.lock() == build.lock == "ppo"
    assert sentence(build) == (
        f"have the environment trl (ppo, lock {build.key}), because trl 1.16 has no PPO, and 0.24 has"
    )
    pins = next(f.content for f in plan.files() if f.path == "requirements.txt").decode()
    assert "trl==0.24.0\n" in pins
    others = planned("method.objective=sft", "data.train.format=messages", "train.steps=1")
    (build,) = (stage for stage in others.stages if isinstance(stage, BuildEnvironment))
    assert (build.lock, build.why) == ("aligned", "")


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        # one mini-batch: accumulation, and one optimizer step after it
        ((), (8, 2, 8, 1)),
        (("train.micro_batch_size=16",), (16, 1, 16, 1)),
        # several: the trainer cuts the batch itself, and its optimizer waits for one pass alone
        (("method.objective.mini_batches=2",), (16, 1, 8, 2)),
        (("method.objective.mini_batches=4", "train.micro_batch_size=4"), (16, 1, 4, 4)),
    ],
)
def test_a_batch_is_cut_as_the_trainer_counts(
    sets: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    found = written(*sets)
    keys = ("per_device_train_batch_size", "gradient_accumulation_steps")
    keys += ("local_rollout_forward_batch_size", "num_mini_batches")
    assert tuple(found[key] for key in keys) == expected
    assert found["total_episodes"] == 5 * 16


def test_passes_over_the_rows_are_only_nearly_the_same() -> None:
    epochs = ("train.steps=null", "train.epochs=2")
    with pytest.raises(UnsupportedError, match="it draws whole batches") as caught:
        planned(*epochs)
    assert caught.value.problems[0].hint == "--allow-lossy accepts that"
    native = planned(*epochs, lossy=True).native
    assert native["PPOConfig.num_train_epochs"] == 2.0
    assert native["PPOConfig.total_episodes"] is None


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("method.objective.mini_batches=8", "waits for as many passes"),
        ("method.objective.mini_batches=3", "waits for as many passes"),
        ("method.objective.generation.top_p=0.9", "taken again without it"),
        ("method.objective.generation.top_k=50", "taken again without it"),
        ("method.objective.generation.min_p=0.1", "taken again without it"),
        ("method.objective.generation.repetition_penalty=1.1", "taken again without it"),
        ("method.objective.generation.engine=vllm", "transformers alone"),
        (
            "method.objective.rewards=[{by: model, name: a/b, weight: 2}]",
            "takes the score as it is",
        ),
        ("precision=bf16", "its Accelerator without the trainer's precision"),
        ("train.save_steps=epoch", "knows no end of an epoch"),
        ("train.data_seed=7", "by the trainer's seed"),
        ("train.resume=./checkpoint-1", "goes on from no checkpoint"),
        ("data.shuffle=false", "always shuffles"),
        ("data.eval={hub: org/more, format: prompt}", "not drawn to evaluate"),
        ("hardware.devices=2", "saves `model.policy`"),
        ("run.environment=latest", "there is no newer one"),
        ("output.hub=org/name", "not seen to reach the hub"),
    ],
)
def test_what_its_trainer_would_leave_out_is_refused(setting: str, reason: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        planned(setting)
    assert reason in str(caught.value)
    assert len(caught.value.problems) == 1


def test_whitening_wants_eight_completions_in_a_mini_batch() -> None:
    on = "method.objective.whiten_rewards=true"
    assert written(on)["whiten_rewards"] is True
    small = ("train.batch_size=8", "train.micro_batch_size=4", "method.objective.mini_batches=2")
    with pytest.raises(UnsupportedError) as caught:
        planned(on, *small)
    assert caught.value.problems[0].hint == "a train.batch_size of 16 would do"


def test_other_backends_say_what_their_frameworks_lack() -> None:
    reasons = {
        "llamafactory": "written for trl 0.8.6 to 0.9.6",
        "unsloth": "1.15, has no PPO",
        "deepspeed": "PPOConfig has an empty `world_size`",
        "axolotl": "none is PPO",
    }
    assert {*reasons} == {*names()} - {"trl"}
    for name, reason in reasons.items():
        assert "ppo" not in load_backend(name).maps
        with pytest.raises(UnsupportedError, match=reason):
            planned(backend=name)


def test_only_one_reward_model_rewards() -> None:
    assert PPO.model_validate({"type": "ppo", **SCORED}).gae_lambda == 0.95
    for rewards in ([], SCORED["rewards"] * 2, [{"by": "length", "maximum": 9}]):
        with pytest.raises(ValueError, match=r"at least 1|at most 1|begins as the reward model"):
            PPO.model_validate({"type": "ppo", "rewards": rewards})


def test_checkpointing_is_told_to_the_trainer() -> None:
    found = written()
    assert found["gradient_checkpointing"] is True
    assert found["gradient_checkpointing_kwargs"] == {"use_reentrant": False}


def test_rows_are_prompts() -> None:
    with pytest.raises(SpecError, match="ppo learns from its own completions of prompts"):
        planned("data.train.format=alpaca")
