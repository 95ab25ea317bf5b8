"""Rows of PPO in a script: trl 0.24's PPOConfig, which has a lock of its own.

Names, defaults and formulas: trl 0.24, trainer/ppo_config.py, ppo_trainer.py and utils.py (OnPolicyConfig);
checked against schemas/native/*.json. The trainer is a loop of its own beside transformers': it makes its
Accelerator itself, draws whole batches in an order of its own, and neither evaluates nor resumes. What it
leaves out and can be added stands in templates/ppo.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.families.objectives.online import OWN, SHARED
from ftspec.families.objectives.preference import BARRED, OBJECTIVE, Bar, trained, trained_by
from ftspec.families.objectives.prompts import limit_row, no_lengths, one_seed_row, prompt_rows
from ftspec.families.objectives.scored import REWARDS, lift_rewards, lower_rewards
from ftspec.families.objectives.vllm import GENERATION
from ftspec.families.trainers import PPO
from ftspec.mapping import MISSING, FieldMap, Lossy, Refuse, Row, constant, field, unsupported

CONFIG = PPO.prefix
LOCK = "ppo"
"""Its environment, beside the others."""
VERSIONS = ">=0.24,<0.25"
"""Versions of trl that the map holds for."""
REASON = "trl 1.16 has no PPO, and 0.24 has"
DRAWN = "the probability of what was drawn is taken again without it (trainer/ppo_trainer.py)"
EPOCHS = (
    "it draws whole batches: rows that fill none at the end of a pass are left out of it, and others drawn "
    "in their place; train.steps is exact"
)
ONE_SEED = "it draws prompts, completions and mini-batches by the trainer's seed"
WHITENED = 8
"""The least completions of a mini-batch whose rewards the trainer whitens."""
BARS: Mapping[str, Bar] = {
    "run.environment": Bar(
        lambda name: name == "aligned",
        "its environment has the versions that the aligned ones share, and there is no newer one",
        "notyet",
        "run.environment: aligned",
    ),
    "precision.compute": Bar(
        lambda compute: compute in ("fp32", "bf16-pure"),
        "it makes its Accelerator without the trainer's precision, which would be ignored "
        "(trainer/ppo_trainer.py)",
        "notyet",
        "precision: fp32, or bf16-pure for full tuning",
    ),
    "train.warmup_shape": Bar(
        lambda shape: shape == "linear",
        "its trainer makes the schedule before it can be told",
        "notimpl",
    ),
    "train.warmup_start": Bar(
        lambda start: start == 0, "its trainer makes the schedule before it can be told", "notimpl"
    ),
    "train.schedule_delay": Bar(
        lambda delay: delay == 0, "its trainer makes the schedule before it can be told", "notimpl"
    ),
    "train.weight_decay_on": Bar(
        lambda on: on == "matrices",
        "its trainer makes the optimizer before it can be told",
        "notimpl",
    ),
    "train.resume": Bar(lambda folder: folder is None, "its loop goes on from no checkpoint"),
    "train.save_steps": Bar(
        lambda steps: steps != "epoch",
        "its loop knows no end of an epoch, and would save nothing",
        hint="train.save_steps: a number of batches",
    ),
    "data.shuffle": Bar(bool, "it always shuffles", hint="data.shuffle: true"),
    "hardware.devices": Bar(
        lambda count: count == 1,
        "it saves `model.policy`, which is not there once several processes wrap the model",
        hint="hardware.devices: 1",
    ),
    "hardware.nodes": Bar(lambda count: count == 1, "several processes cannot save its model"),
    "model.experts.freeze_router": Bar(
        lambda frozen: not frozen,
        "it makes the optimizer with the model, before a router could be frozen",
        "notimpl",
        "leave it out",
    ),
    f"{GENERATION}engine": Bar(
        lambda engine: engine == "transformers", "it draws with transformers alone"
    ),
    "output.hub.repo": Bar(
        lambda repo: repo is None,
        "its model was not seen to reach the hub",
        "notimpl",
        "leave output.hub out",
    ),
}
"""What it refuses beside what all refuse that draw completions."""


def ppo(sft: FieldMap) -> FieldMap:
    """The map of a script backend for PPO, from its supervised one."""
    kept = {path: BARRED[path] for path in SHARED}
    return trained_by(
        sft, PPO, {**kept, **OWN, **BARS}, trained(PPO), *prompt_rows(), *order_rows(), *ppo_rows()
    )


def order_rows() -> tuple[Row, ...]:
    """The order in which the trainer draws prompts: whole batches, always shuffled."""
    return (
        Row(("data.shuffle",), (), lambda _on: (), lambda: True),
        no_lengths(),
        Row(("data.packing",), (), lambda _packing: (), lambda: None),
        limit_row(),
        one_seed_row(CONFIG, ONE_SEED),
        constant(
            f"{CONFIG}dataloader_drop_last",
            True,
            "it draws whole batches only, and goes on with the next pass",
            absent=False,
        ),
    )


def ppo_rows() -> tuple[Row, ...]:
    """The objective's fields, and what a step is."""
    return (
        Row(
            ("train.epochs", "train.steps"),
            (f"{CONFIG}num_train_epochs", f"{CONFIG}total_episodes"),
            _lower_length,
            _lift_length,
            uses=("train.batch_size",),
            reads=(
                f"{CONFIG}per_device_train_batch_size",
                f"{CONFIG}gradient_accumulation_steps",
            ),
            absent=(3.0, None),
        ),
        Row(
            ("train.batch_size", "train.micro_batch_size"),
            (
                f"{CONFIG}per_device_train_batch_size",
                f"{CONFIG}gradient_accumulation_steps",
                f"{CONFIG}local_rollout_forward_batch_size",
            ),
            _lower_batch,
            _lift_batch,
            uses=(f"{OBJECTIVE}mini_batches",),
            reads=(f"{CONFIG}num_mini_batches",),
            absent=(8, 1, 64),
        ),
        Row(
            (f"{OBJECTIVE}rewards",),
            (REWARDS,),
            _lower_rewards,
            lambda made: lift_rewards(made, None),
            uses=("model.trust_remote_code",),
        ),
        field(f"{GENERATION}max_length", f"{CONFIG}response_length", absent=53),
        field(f"{GENERATION}temperature", f"{CONFIG}temperature", absent=0.7),
        unsupported(f"{GENERATION}top_p", DRAWN, neutral=(1.0,)),
        unsupported(f"{GENERATION}top_k", DRAWN, neutral=(0,)),
        unsupported(f"{GENERATION}min_p", DRAWN, neutral=(None,)),
        unsupported(f"{GENERATION}repetition_penalty", DRAWN, neutral=(1.0,)),
        Row((f"{GENERATION}engine",), (), lambda _engine: (), lambda: "transformers"),
        unsupported(f"{GENERATION}memory", "it is vLLM's", neutral=(0.3,)),
        field(f"{OBJECTIVE}missing_end_penalty", f"{CONFIG}missing_eos_penalty", absent=None),
        field(f"{OBJECTIVE}beta", f"{CONFIG}kl_coef", absent=0.05),
        field(f"{OBJECTIVE}kl_estimator", f"{CONFIG}kl_estimator", absent="k1"),
        field(f"{OBJECTIVE}gamma", f"{CONFIG}gamma", absent=1.0),
        field(f"{OBJECTIVE}gae_lambda", f"{CONFIG}lam", absent=0.95),
        field(f"{OBJECTIVE}clip", f"{CONFIG}cliprange", absent=0.2),
        field(f"{OBJECTIVE}value_clip", f"{CONFIG}cliprange_value", absent=0.2),
        field(f"{OBJECTIVE}value_weight", f"{CONFIG}vf_coef", absent=0.1),
        field(f"{OBJECTIVE}iterations", f"{CONFIG}num_ppo_epochs", absent=4),
        field(f"{OBJECTIVE}mini_batches", f"{CONFIG}num_mini_batches", absent=1),
        Row(
            (f"{OBJECTIVE}whiten_rewards",),
            (f"{CONFIG}whiten_rewards",),
            _lower_whitening,
            lambda on: on,
            uses=("train.batch_size", f"{OBJECTIVE}mini_batches"),
            absent=(False,),
        ),
        unsupported("model.experts.balance_loss", "PPO adds no balance loss", neutral=(0.0,)),
        *(
            constant(CONFIG + name, value, reason, absent=absent)
            for name, value, reason, absent in (
                ("stop_token", "eos", "a completion ends with the tokenizer's end token", None),
                ("num_sample_generations", 0, "samples are kept of what is trained on", 10),
                ("model_adapter_name", None, "there is one adapter", None),
                ("ref_adapter_name", None, "the reference is the model without its adapter", None),
            )
        ),
    )


def _lower_length(epochs: float | None, steps: int | None, batch: int) -> Any:
    if steps:
        return MISSING, steps * batch
    return Lossy((float(epochs or 1), None), EPOCHS)


def _lift_length(
    epochs: float, episodes: int | None, micro: int, accumulation: int
) -> tuple[float | None, int | None]:
    if episodes is None:
        return float(epochs), None
    return None, -(
        -episodes // (micro * accumulation)
    )  # it trains whole batches: num_total_batches


def _lower_batch(batch: int, micro: int, parts: int) -> tuple[int, int, int]:
    if parts == 1:
        return micro, batch // micro, micro
    if batch % parts or batch // parts != micro:
        raise Refuse(
            "its optimizer waits for as many passes as a whole batch has, not a mini-batch: that has to go "
            "through the model in one piece",
            "notyet",
            f"train.micro_batch_size: {batch // parts}"
            if batch % parts == 0
            else "other mini_batches",
        )
    return batch, 1, micro


def _lift_batch(micro: int, accumulation: int, rollout: int, parts: Any) -> tuple[int, int]:
    batch = micro * accumulation
    return (batch, rollout) if parts not in (1, MISSING) else (batch, micro)


def _lower_rewards(rewards: tuple[dict[str, Any], ...], trust: bool) -> Any:
    if rewards[0]["weight"] != 1:
        raise Refuse("it takes the score as it is", "notimpl", "leave the weight out")
    return lower_rewards(rewards, trust)


def _lower_whitening(on: bool, batch: int, parts: int) -> bool:
    if on and batch // parts < WHITENED:
        raise Refuse(
            f"it whitens the rewards of at least {WHITENED} completions in a mini-batch",
            hint=f"a train.batch_size of {WHITENED * parts} would do",
        )
    return on
