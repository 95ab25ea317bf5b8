"""Keys of transformers' TrainingArguments, which LLaMA-Factory's and trl's configs hold.

What is not here is simply a native key. ``prefix`` stands before the names, as in `SFTConfig.`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from ftspec.families.training.optimizers import NAMES, SYNONYMS
from ftspec.port.fates import Setting
from ftspec.port.formats.fsdp import argument_rules
from ftspec.port.formats.order import STRATEGY, by_length, length_column, order_seed
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    engine_file,
    engine_inside,
    group,
    inert,
    one_of,
    renamed,
    unknown,
    unless,
)

ACCEPTED: Mapping[str, str] = {
    "logging_nan_inf_filter": "what is shown, not what is trained",
    "logging_first_step": "what is shown, not what is trained",
    "per_device_eval_batch_size": "it evaluates in other batches, and trains the same",
    "gradient_checkpointing_kwargs": "both ways recompute the same activations",
}
"""Values that ftspec writes otherwise, whatever the source says."""
IDLE: Mapping[str, str] = {
    "num_train_epochs": "max_steps stands in its place",
    "save_steps": "nothing is saved in steps",
    "eval_steps": "nothing is evaluated in steps",
    "per_device_eval_batch_size": "nothing is evaluated",
    "hub_model_id": "nothing is pushed",
    "hub_private_repo": "nothing is pushed",
    "save_total_limit": "what it says anyway",
}
"""Values that have no effect beside others, where lowering leaves them out."""


KERNEL = "the same mathematics in other kernels: results differ by rounding"


def _synonym(word: str) -> str:
    return NAMES[SYNONYMS[word]]


def plain(prefix: str = "") -> Rule:
    """A native key; of a section, all of it."""

    def rule(setting: Setting, context: Context) -> Outcome:
        root = setting.key.split(".", 1)[0].split("[", 1)[0]
        value = setting.value if root == setting.key else context.get(root)
        return Outcome("exact", {f"{prefix}{root}": value})

    return rule


CONSTANT = "constant"
NO_WARMUP = "the schedule `constant` has no warm-up (transformers, optimization.py, get_scheduler)"


WITHOUT_ADAM = ("adafactor", "sgd", "adagrad", "rmsprop")
OWN_ADAM = ("use_muon", "use_adam_mini")
"""Optimizers that LLaMA-Factory makes itself, with Adam's settings whatever `optim` says.

https://github.com/hiyouga/LLaMA-Factory/blob/v0.9.4/src/llamafactory/train/trainer_utils.py
"""
UNREAD = "transformers hands this optimizer nothing of Adam's (trainer_optimizer.py)"
SHARED = "a share of all steps, which a spec counts"
NO_NOISE = "noise of nothing: it only draws random numbers"
WITHOUT = ("linear", "constant", "constant_with_warmup")
"""Schedules that take no arguments."""


def bare_schedule(rule: Rule) -> Rule:
    """Arguments of a schedule that has none (transformers, optimization.py, get_scheduler)."""

    def checked(setting: Setting, context: Context) -> Outcome:
        kind = context.get("lr_scheduler_type", "linear")
        if setting.value not in (None, "", {}) and kind in WITHOUT:
            return Outcome(
                "unknown", why=f"transformers stops: its schedule {kind} takes no arguments"
            )
        return rule(setting, context)

    return checked


def is_five(context: Context, prefix: str) -> bool:
    """Whether it runs on transformers 5, where the warm-up's ratio is a number of steps below 1."""
    return context.assumed(f"{prefix}warmup_ratio") is None


@cache
def training_rules(prefix: str = "") -> dict[str, Rule]:
    """Keys that are more than a native key: one table for all who ask, which nobody changes."""
    same = plain(prefix)

    def ratio(setting: Setting, context: Context) -> Outcome:
        if context.get("lr_scheduler_type") == CONSTANT:
            return Outcome("derived", why=NO_WARMUP, of=("train.schedule.type",))
        five = is_five(context, prefix)
        if setting.value is None or (not setting.value and not five):
            return Outcome("inert", why="no warm-up is asked for by it")
        if context.get("warmup_steps") and not five:
            return Outcome("inert", why="transformers 4 takes warmup_steps where both are set")
        return Outcome("renamed", {f"{prefix}warmup_steps": setting.value})

    def steps(setting: Setting, context: Context) -> Outcome:
        if context.get("lr_scheduler_type") == CONSTANT:
            return Outcome("derived", why=NO_WARMUP, of=("train.schedule.type",))
        by_ratio = context.get("warmup_ratio")
        if by_ratio is not None and (is_five(context, prefix) or not setting.value):
            why = "warmup_ratio stands in its place"
            if setting.value and setting.value != by_ratio:
                return Outcome("inert", why=f"{why}; transformers 4 took warmup_steps", loud=True)
            return Outcome("inert", why=why)
        return same(setting, context)

    def deepspeed(setting: Setting, context: Context) -> Outcome:
        if setting.value is None:
            return Outcome("inert", why="no engine")
        if isinstance(context.get("deepspeed"), dict):
            return engine_inside(setting, context)
        return engine_file(setting, context)

    def pushed(setting: Setting, context: Context) -> Outcome:
        native: dict[str, Any] = {f"{prefix}push_to_hub": setting.value}
        if setting.value and not context.get("hub_model_id"):
            folder = str(context.get("output_dir") or "")
            native[f"{prefix}hub_model_id"] = folder.rstrip("/").rpartition("/")[2] or None
            return Outcome("derived", native, why="the folder's name is the repository's")
        return Outcome("exact", native)

    def strategy(setting: Setting, context: Context) -> Outcome:
        native: dict[str, Any] = {f"{prefix}eval_strategy": setting.value}
        if setting.value == "steps" and context.get("eval_steps") is None:
            every = context.get("logging_steps") or context.assumed(f"{prefix}logging_steps")
            native[f"{prefix}eval_steps"] = every  # transformers: as often as it logs
        return Outcome("exact" if setting.key == "eval_strategy" else "renamed", native)

    def logged(setting: Setting, context: Context) -> Outcome:
        share, total = setting.value, context.get("max_steps")
        if not isinstance(share, float) or not 0 < share < 1:
            return same(setting, context)
        if isinstance(total, int) and total > 0:  # transformers: state.compute_steps
            return Outcome(
                "derived", {f"{prefix}logging_steps": math.ceil(share * total)}, why=SHARED
            )
        why = f"{SHARED}; how often it logs changes nothing that is trained"
        return Outcome("approximated", why=why)

    def unless_set(*switches: str) -> Rule:
        """Inert without another setting, which alone has it read."""

        def rule(setting: Setting, context: Context) -> Outcome:
            if any(context.get(switch) for switch in switches):
                return same(setting, context)
            return Outcome("inert", why=f"nothing reads it without {switches[0]}")

        return rule

    def noise(setting: Setting, context: Context) -> Outcome:
        if setting.value != 0 or setting.value is False:
            return same(setting, context)
        why = f"{NO_NOISE}, so that dropout draws others"
        return Outcome("approximated", why=why if context.get("lora_dropout") else NO_NOISE)

    def of_adam(setting: Setting, context: Context) -> Outcome:
        engine = context.companions.get("deepspeed")
        others = any(map(context.get, OWN_ADAM)) or (engine and "optimizer" in engine.data)
        if context.get("optim") in WITHOUT_ADAM and not others:
            return Outcome("inert", why=UNREAD)
        return same(setting, context)

    fused = renamed(f"{prefix}optim", lambda _: "adamw_torch_fused", "the same AdamW, fused kernel")
    return {
        "warmup_ratio": ratio,
        "logging_steps": logged,
        "warmup_steps": steps,
        "deepspeed": deepspeed,
        "deepspeed.": deepspeed,
        **argument_rules(),
        "neftune_noise_alpha": noise,
        **dict.fromkeys(("adam_beta1", "adam_beta2", "adam_epsilon"), of_adam),
        "push_to_hub": pushed,
        "optim": one_of(
            adamw_torch=fused,
            adamw_hf=renamed(
                f"{prefix}optim",
                lambda _: "adamw_torch_fused",
                "transformers' own AdamW, since gone",
            ),
            **{
                word: renamed(f"{prefix}optim", _synonym, "another name for it")
                for word in SYNONYMS
            },
            otherwise=same,
        ),
        "lr_scheduler_kwargs": bare_schedule(same),
        "lr_scheduler_kwargs.": bare_schedule(same),
        "eval_strategy": strategy,
        "evaluation_strategy": strategy,
        "per_gpu_train_batch_size": renamed(f"{prefix}per_device_train_batch_size"),
        "per_gpu_eval_batch_size": renamed(f"{prefix}per_device_eval_batch_size"),
        "no_cuda": renamed(f"{prefix}use_cpu"),
        "push_to_hub_model_id": renamed(f"{prefix}hub_model_id"),
        "do_train": inert("a spec is for training"),
        "do_eval": inert("whether it evaluates follows from the strategy"),
        "do_predict": inert("predicts after the training, from the same weights"),
        "overwrite_output_dir": inert("a run of ftspec has a folder of its own"),
        "remove_unused_columns": unless(
            (True,), "columns that the model does not take are left out anyway", unknown("columns")
        ),
        "group_by_length": by_length(f"{prefix}{STRATEGY}"),
        "data_seed": order_seed(same),
        "length_column_name": length_column,
        "use_liger_kernel": unless((False, None), "torch's kernels", inert(KERNEL)),
        "torch_compile": unless((False, None), "nothing is compiled", inert(KERNEL)),
        **group(
            "how fast, not what",
            "dataloader_num_workers",
            "dataloader_pin_memory",
            "dataloader_persistent_workers",
            "dataloader_prefetch_factor",
            "dataset_num_proc",
            "preprocessing_num_workers",
            "preprocessing_batch_size",
            "ddp_timeout",
            "ddp_find_unused_parameters",
            "ddp_bucket_cap_mb",
            "ddp_broadcast_buffers",
            "low_cpu_mem_usage",
            "torch_empty_cache_steps",
            "eval_accumulation_steps",
            "ddp_backend",
            "ddp_static_graph",
            "local_rank",
            "activation_offloading",
        ),
        **group(
            "how it evaluates, not what it trains",
            "batch_eval_metrics",
            "include_for_metrics",
            "eval_do_concat_batches",
            "eval_use_gather_object",
            "prediction_loss_only",
            "bf16_full_eval",
            "fp16_full_eval",
            "eval_packing",
        ),
        "use_cache": inert("what generation keeps; training keeps nothing"),
        "full_determinism": inert("the same mathematics in kernels that repeat to the last digit"),
        "liger_kernel_config": inert(KERNEL),
        "liger_kernel_config.": inert(KERNEL),
        "torch_compile_backend": inert(KERNEL),
        "torch_compile_mode": inert(KERNEL),
        "ignore_data_skip": unless_set("resume_from_checkpoint"),
        "metric_for_best_model": unless_set("load_best_model_at_end", "early_stopping_steps"),
        "greater_is_better": unless_set("load_best_model_at_end", "early_stopping_steps"),
        **group(
            "what is shown or kept, not what is trained",
            "log_level",
            "log_level_replica",
            "log_on_each_node",
            "logging_dir",
            "logging_first_step",
            "disable_tqdm",
            "run_name",
            "save_only_model",
            "save_safetensors",
            "hub_strategy",
            "hub_always_push",
            "hub_revision",
            "include_num_input_tokens_seen",
            "include_tokens_per_second",
            "skip_memory_metrics",
            "save_on_each_node",
            "enable_jit_checkpoint",
            "restore_callback_states_from_checkpoint",
            "debug",
            "project",
            "trackio_space_id",
            "trackio_bucket_id",
            "trackio_static_space_id",
        ),
    }
