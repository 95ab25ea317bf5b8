"""Values of every field of trl's configs that are worth a try, and fields that speak to each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ftspec.port.tables import table

CLASSES: Mapping[str, str] = {
    "sft": "SFTConfig", "dpo": "DPOConfig", "kto": "KTOConfig", "reward": "RewardConfig",
    "orpo": "ORPOConfig", "cpo": "CPOConfig", "simpo": "CPOConfig", "grpo": "GRPOConfig",
    "rloo": "RLOOConfig",
}  # fmt: skip
SCHEDULES = (
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
    "inverse_sqrt", "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay",
    "reduce_lr_on_plateau", "greedy",
)  # fmt: skip
OPTIMIZERS = (
    "adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_apex_fused", "adafactor",
    "adamw_anyprecision", "adamw_torch_4bit", "adamw_torch_8bit", "ademamix", "sgd", "adagrad",
    "adamw_bnb_8bit", "adamw_8bit", "ademamix_8bit", "lion_8bit", "lion_32bit", "paged_adamw_32bit",
    "paged_adamw_8bit", "paged_ademamix_32bit", "paged_lion_32bit", "paged_lion_8bit", "rmsprop",
    "rmsprop_bnb", "rmsprop_bnb_8bit", "galore_adamw", "lomo", "adalomo", "grokadamw",
    "schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd", "apollo_adamw",
    "stable_adamw", "flash_adamw", "muon",
)  # fmt: skip
DPO_LOSSES = (
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
    "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
)  # fmt: skip
ADAPTED = {"use_peft": True, "lora_target_modules": ["q_proj", "v_proj"], "lora_dropout": 0.0}
HELD_OUT = {"test_split_size": 0.25}
STRATEGIES = ("no", "steps", "epoch")
WORDS: Mapping[str, tuple[Any, ...]] = {
    "eval_strategy": STRATEGIES,
    "save_strategy": (*STRATEGIES, "best"),
    "logging_strategy": STRATEGIES,
    "lr_scheduler_type": SCHEDULES,
    "optim": OPTIMIZERS,
    "hub_strategy": ("end", "every_save", "checkpoint", "all_checkpoints"),
    "train_sampling_strategy": ("random", "sequential", "group_by_length"),
    "truncation_mode": ("keep_start", "keep_end"),
    "packing_strategy": ("bfd", "bfd_split", "wrapped", "bfd-requeue"),
    "report_to": ("none", "all", "wandb", ["wandb", "tensorboard"], []),
    "f_divergence_type": ("reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"),
    "scale_rewards": ("group", "batch", "none", True, False),
    "importance_sampling_level": ("token", "sequence", "sequence_token"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "vllm_mode": ("server", "colocate"),
    "vllm_model_impl": ("vllm", "transformers"),
    "vllm_importance_sampling_mode": (
        "token_truncate", "token_mask", "sequence_truncate", "sequence_mask",
    ),
    "pad_to_multiple_of": ("auto", "none", "null", 8, 64, "16", None),
    "dtype": ("auto", "float32", "bfloat16", "float16", None, "float64"),
    "attn_implementation": ("eager", "sdpa", "flash_attention_2", "kernels-community/flash-attn", None),
    "bnb_4bit_quant_type": ("nf4", "fp4"),
    "bnb_4bit_quant_storage": ("uint8", "bfloat16", "float32", None),
    "lora_task_type": ("CAUSAL_LM", "SEQ_CLS"),
    "lora_target_modules": (
        "q_proj", ["q_proj"], ["q_proj", "v_proj"], "all-linear", ["all-linear"], "q.*|v.*", ["q.*"],
    ),
    "lora_modules_to_save": (["embed_tokens", "lm_head"], "lm_head", None, []),
    "lora_target_parameters": (["mlp.experts.gate_up_proj"], None),
    "model_revision": ("main", "v2", "1234567"),
    "cache_implementation": ("static", "dynamic", None),
    "log_level": ("info", "passive"),
    "include_num_input_tokens_seen": (True, False, "no"),
    "optim_args": ("ns_steps=3", "betas=0.8", None),
    "optim_target_modules": (["q_proj"], "all-linear", None),
    "lr_scheduler_kwargs": ({"num_cycles": 3}, {"min_lr": 1e-6}, {}, '{"num_cycles": 3}', None),
    "gradient_checkpointing_kwargs": (
        {"use_reentrant": True}, {"use_reentrant": False}, {"selective": True}, None,
    ),
    "model_init_kwargs": ({"torch_dtype": "bfloat16"}, {"dtype": "bfloat16"}, {"use_cache": False}, {}, None),
    "dataset_kwargs": ({"skip_prepare_dataset": True}, {}, None),
    "generation_kwargs": ({"no_repeat_ngram_size": 3}, {}, None),
    "chat_template_kwargs": ({"enable_thinking": False}, {}, None),
    "accelerator_config": (
        {"split_batches": True}, {"dispatch_batches": True}, {"even_batches": False},
        {"use_seedable_sampler": False}, {"gradient_accumulation_kwargs": {"sync_each_batch": True}}, None,
    ),
    "label_names": (["labels"], None),
    "loss_weights": ([1.0], [0.5], None),
    "reward_weights": ([1.0], [0.5], [2], None),
    "reward_clip_range": ([-1.0, 1.0], [-5, 5], [-1, 2], None),
    "include_for_metrics": (["loss"], []),
    "liger_kernel_config": ({"rope": True}, None),
    "fsdp": ("full_shard", "", None, True, False, "full_shard auto_wrap"),
    "fsdp_config": ({"fsdp_version": 2}, None),
    "deepspeed": (None,),
    "parallelism_config": (None,),
    "resume_from_checkpoint": ("ckpt", True, False, "true", None),
    "chat_template_path": ("org/template", "own.jinja", None),
    "hub_token": ("hf_x",),
    "max_length": (256, 1, "256", None, 0, 4096, -1),
    "neftune_noise_alpha": (5.0, 5, "5", 0, 0.1, None),
    "max_steps": (-1, 5, "5", 0, 1, 1000),
    "num_train_epochs": (1, 2.5, "3", 0.5, 0),
    "warmup_steps": (0, 3, 0.1, "0.1", 1, 1.0, 0.5, 100, "1e-1"),
    "warmup_ratio": (0, 0.1, "0.1", 0.0, 1.0, 0.03, 3),
    "save_steps": (5, 0.2, "5", 2.5, 1, 0),
    "eval_steps": (5, 0.2, "5", 2.5, 1, 0, None),
    "logging_steps": (1, 5, 0.2, "5", 2.5, 0),
    "learning_rate": (1e-4, "1e-4", "2e-5", 0, 1),
    "weight_decay": (0.1, "0.1", 0, 0.0),
    "max_grad_norm": (0.5, 0, 0.0, "0.3", 10, -1, None),
    "label_smoothing_factor": (0.1, 0, 0.0, "0.1"),
    "gradient_accumulation_steps": (1, 2, "4", 0),
    "per_device_train_batch_size": (1, 2, "4", 16, 0),
    "seed": (0, 7, "7", 3407),
    "data_seed": (0, 7, "7", None),
    "save_total_limit": (1, 3, 0, None),
    "loss_type": (),
    "beta": (0.0, 0.01, 0.5, "0.2", 1, 2),
    "ld_alpha": (0.5, 0, 1, None),
    "label_smoothing": (0.0, 0.1, 0.4, "0.1"),
    "epsilon_high": (0.28, "0.28", None),
    "epsilon": (0.1, "0.3", 0.2),
    "delta": (1.5, 2, None),
    "num_generations": (2, 4, 8, "4", 16),
    "steps_per_generation": (1, 2, 4, None),
    "generation_batch_size": (8, 16, 32, None),
    "top_k": (0, 50, "50", -1, None),
    "top_p": (1.0, 0.9, "0.95", 0),
    "min_p": (0.0, 0.1, None, 1.0),
    "temperature": (0.7, 1, "0.9", 0.0),
    "repetition_penalty": (1.1, 1, 1.0, 0.9),
    "max_completion_length": (64, "128", None, 1),
    "num_iterations": (1, 2, "3", 0),
    "bf16": (True, False, None, "true", "no"),
    "fp16": (True, False, "true"),
    "tf32": (True, False, None, "no"),
}  # fmt: skip
LOSSES: Mapping[str, tuple[Any, ...]] = {
    "sft": ("nll", "dft", "chunked_nll"),
    "dpo": (*DPO_LOSSES, ["sigmoid"], ["sigmoid", "sft"], ["sigmoid", "bco_pair", "sft"], "kto_pair"),
    "kto": ("kto", "apo_zero_unpaired"),
    "cpo": ("sigmoid", "hinge", "ipo", "alphapo"),
    "simpo": ("simpo",),
    "grpo": ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"),
}  # fmt: skip


def guesses(kind: str, default: Any) -> tuple[Any, ...]:
    """Values by the type that the framework declares."""
    names = set(re.findall(r"\w+", kind))
    nothing = (None,) if "None" in names else ()
    if "bool" in names and "str" not in names:
        return (True, False, "true", *nothing)
    if "int" in names and "float" not in names:
        return (1, 3, "7", *nothing)
    if "float" in names:
        return (0.25, 1, "0.5", *nothing)
    if "dict" in names:
        return ({}, *nothing)
    if "list" in names:
        return (["x"], *nothing)
    return ("x", *nothing)


def fields(trainer: str) -> dict[str, tuple[str, Any]]:
    """Every field that a config of the trainer may have."""
    calls = table("trl").calls
    return {**calls[CLASSES[trainer]], **calls["ModelConfig"]}


SKIPPED = frozenset(
    (
        *("model_name_or_path", "output_dir", "chat_template_path", "resume_from_checkpoint"),
        *("ddp_backend", "local_rank", "hub_token", "debug", "eos_token", "pad_token"),
    )
)
"""What names files, processes, secrets and tokens."""
QUANTISED = ("bnb_4bit_quant_type", "bnb_4bit_quant_storage", "use_bnb_nested_quant")
OF_ADAPTERS = (
    *("use_rslora", "use_dora", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"),
    *("lora_task_type", "lora_modules_to_save", "lora_target_parameters", "use_peft"),
    *("load_in_4bit", "load_in_8bit"),
)
BESIDE: Mapping[str, dict[str, Any]] = {
    **{name: {**ADAPTED, "load_in_4bit": True} for name in QUANTISED},
    **{name: dict(ADAPTED) for name in OF_ADAPTERS},
    "num_train_epochs": {"max_steps": -1},
    "optim_target_modules": {"optim": "galore_adamw"},
    "packing_strategy": {"packing": True},
    "lr_scheduler_kwargs": {"lr_scheduler_type": "cosine_with_restarts"},
    "eval_strategy": HELD_OUT,
    "eval_steps": {**HELD_OUT, "eval_strategy": "steps"},
    "load_best_model_at_end": {**HELD_OUT, "eval_strategy": "steps", "eval_steps": 500},
    "scale_rewards": {"reward_weights": [1.0]},
}
"""What a field needs beside it to be read at all."""


def singles(trainer: str) -> Iterator[dict[str, Any]]:
    """One field at a time: of the supervised trainer all, of others what they have otherwise."""
    calls = table("trl").calls
    shared = {} if trainer == "sft" else {**calls["SFTConfig"], **calls["ModelConfig"]}
    for name, (kind, default) in fields(trainer).items():
        if name in SKIPPED or shared.get(name) == (kind, default):
            continue
        values = LOSSES.get(trainer, ()) if name == "loss_type" else WORDS.get(name)
        for value in values if values is not None else guesses(kind, default):
            yield {**({} if value == "no" else BESIDE.get(name, {})), name: value}
