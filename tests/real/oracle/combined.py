"""Fields that speak to each other, drawn together: the same draws every time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from tests.real.oracle.values import ADAPTED, CLASSES, HELD_OUT, LOSSES, WORDS, fields, guesses

ARGUMENTS = (
    {"num_cycles": 3}, {"num_cycles": 0.3}, {"min_lr_rate": 0.1}, {"min_lr": 1e-6}, {"power": 2.0},
    {"lr_end": 1e-8}, {"lr_end": 0.0, "power": 1.0}, {"timescale": 50}, {"num_decay_steps": 3},
    {"num_decay_steps": 3, "min_lr_ratio": 0.1}, {},
    {"num_decay_steps": 4, "num_stable_steps": 3, "decay_type": "linear"},
)  # fmt: skip
"""Of schedules."""
TOGETHER: tuple[tuple[str, ...], ...] = (
    ("warmup_steps", "warmup_ratio", "lr_scheduler_type", "lr_scheduler_kwargs", "max_steps"),
    ("bf16", "fp16", "dtype", "load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type", "use_bnb_nested_quant"),
    ("lora_r", "lora_alpha", "lora_dropout", "lora_modules_to_save", "use_rslora", "use_dora"),
    ("optim", "optim_args", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    ("eval_strategy", "eval_steps", "save_strategy", "save_steps", "load_best_model_at_end", "logging_steps"),
    ("per_device_train_batch_size", "gradient_accumulation_steps", "max_steps", "gradient_checkpointing"),
    ("seed", "data_seed", "train_sampling_strategy", "dataloader_drop_last", "max_length"),
)  # fmt: skip
OWN: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "sft": (
        ("max_length", "packing", "packing_strategy", "padding_free", "truncation_mode"),
        ("assistant_only_loss", "completion_only_loss", "loss_type", "packing"),
    ),
    "dpo": (
        ("beta", "loss_type", "loss_weights", "label_smoothing", "f_divergence_type", "ld_alpha"),
        ("precompute_ref_log_probs", "sync_ref_model", "disable_dropout", "truncation_mode"),
    ),
    "kto": (("beta", "loss_type", "desirable_weight", "undesirable_weight", "sync_ref_model"),),
    "reward": (("center_rewards_coefficient", "max_length", "lora_task_type"),),
    "orpo": (("beta", "max_length", "max_completion_length"),),
    "cpo": (("beta", "loss_type", "cpo_alpha", "label_smoothing", "alpha"),),
    "simpo": (("beta", "cpo_alpha", "simpo_gamma", "label_smoothing"),),
    "grpo": (
        ("num_generations", "generation_batch_size", "steps_per_generation", "gradient_accumulation_steps"),
        ("scale_rewards", "loss_type", "epsilon", "epsilon_high", "delta", "multi_objective_aggregation"),
        ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_completion_length"),
        ("use_vllm", "vllm_mode", "vllm_importance_sampling_correction", "vllm_importance_sampling_mode"),
    ),
    "rloo": (("num_generations", "normalize_advantages", "reward_clip_range", "beta", "num_iterations"),),
}  # fmt: skip


def combined(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Trainers, each with two to five fields of one or two groups."""
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    for _ in range(count):
        trainer = draw.choice((*CLASSES, "sft", "sft", "dpo", "grpo"))
        groups = draw.sample((*TOGETHER, *OWN[trainer] * 2), draw.choice((1, 1, 2)))
        names = [
            name
            for group in groups
            for name in draw.sample(group, min(len(group), draw.randint(2, 4)))
        ]
        case = {name: _value(draw, trainer, name) for name in names if name in fields(trainer)}
        if case.get("eval_strategy", "no") != "no":
            case = {**HELD_OUT, **case}
        if any(name.startswith(("lora_", "use_rs", "use_do", "load_in")) for name in case):
            case = {**ADAPTED, **case}
        if trainer == "reward" and case.get("use_peft"):
            case = {"lora_task_type": "SEQ_CLS", **case}
        yield trainer, case


def _value(draw: random.Random, trainer: str, name: str) -> Any:
    if name == "lr_scheduler_kwargs":
        return draw.choice(ARGUMENTS)
    known = LOSSES.get(trainer, ()) if name == "loss_type" else WORDS.get(name)
    return draw.choice(known or guesses(*fields(trainer)[name]))
