"""Small configs of axolotl: each of its settings with several values, and settings that act on each other."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BASE: dict[str, Any] = {
    "base_model": "./tiny-model",
    "datasets": [{"path": "rows.jsonl", "type": "alpaca"}],
    "micro_batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 1e-4, "num_epochs": 2,
    "sequence_len": 256, "output_dir": "./out",
}  # fmt: skip
LORA = {"adapter": "lora", "lora_r": 8, "lora_alpha": 16, "lora_target_linear": True}
BASES: Mapping[str, dict[str, Any]] = {
    "full": BASE,
    "lora": {**BASE, **LORA},
    "qlora": {**BASE, **LORA, "adapter": "qlora", "load_in_4bit": True},
}
GONE = "<gone>"
"""A key that is taken away."""
SWITCH = (True, False, None)
STEPS: dict[str, Sequence[Any]] = {
    "micro_batch_size": (1, 4, None, GONE, "2"), "gradient_accumulation_steps": (1, 8, None, GONE, "4", 0),
    "batch_size": (8, 3, None), "num_epochs": (1, 3, 0.5, None, GONE, "2"),
    "max_steps": (10, 100, 0, -1, None), "warmup_steps": (0, 1, 2, 10, 0.5, None, "10"),
    "warmup_ratio": (0, 0.03, 0.1, 1.0, None, "0.1"), "eval_batch_size": (1, 8), "logging_steps": (1, None),
}  # fmt: skip
PACE: dict[str, Sequence[Any]] = {
    "evals_per_epoch": (0, 1, 4, None), "eval_steps": (1, 0.25, 0, 50), "val_set_size": (0, 0.1, 20, "0.1"),
    "eval_strategy": ("no", "steps", "epoch"), "evaluation_strategy": ("no", "epoch"),
    "saves_per_epoch": (0, 1, 4), "save_steps": (1, 100, 0.25, 0, 50),
    "save_strategy": ("no", "steps", "epoch", "best"), "save_total_limit": (0, 1, 10, None),
    "load_best_model_at_end": SWITCH, "early_stopping_patience": (3, 0),
    "metric_for_best_model": ("loss", "accuracy"), "test_datasets": ([], None),
}  # fmt: skip
CURVE: dict[str, Sequence[Any]] = {
    "lr_scheduler": (
        *("linear", "constant", "constant_with_warmup", "cosine", "polynomial", "cosine_with_restarts"),
        *("one_cycle", "rex", "reduce_lr_on_plateau", None, "nonsense"),
    ),
    "lr_scheduler_kwargs": ({}, {"num_cycles": 2}, {"min_lr_rate": 0.1}, {"power": 2.0}),
    "cosine_min_lr_ratio": (0, 0.1, 1.0, 1.5, "0.1"), "cosine_constant_lr_ratio": (0, 0.5, 1.0),
    "lr_quadratic_warmup": SWITCH, "learning_rate": (2e-5, "1e-4", 1, GONE),
    "warmup_steps": (0, 3), "max_steps": (50,),
}  # fmt: skip
OPTIMIZER: dict[str, Sequence[Any]] = {
    "optimizer": (
        *("adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_bnb_8bit", "adamw_8bit", "adafactor"),
        *("paged_adamw_8bit", "sgd", "lion_8bit", "lion_32bit", "rmsprop", "adagrad", "galore_adamw"),
        *("lomo", "muon", "dion", "ao_adamw_fp8", "adopt_adamw", "came_pytorch", "adamw_torch_8bit"),
        *("schedule_free_adamw", "adamw_anyprecision", "ademamix", None, "nonsense"),
    ),
    "optim_args": ("beta2=0.9", {"beta1": 0.8}, "", None), "optim_target_modules": (["q_proj"], None),
    "adam_beta1": (0.8, None, "0.8", 0), "adam_beta2": (0.95, None), "adam_epsilon": (1e-6, "1e-6", None),
    "weight_decay": (0, 0.1, None, "0.1"), "max_grad_norm": (0, 0.3, None, "0.5"),
    "loraplus_lr_ratio": (16, 0, None), "loraplus_lr_embedding": (1e-5, "1e-5", None),
    "embedding_lr": (1e-5,), "embedding_lr_scale": (0.5,),
    "lr_groups": ([{"name": "x", "modules": ["embed_tokens"], "lr": 1e-3}],), "seed": (0, 7, None, "3"),
}  # fmt: skip
NUMBERS: dict[str, Sequence[Any]] = {
    "bf16": (True, False, "auto", None, "full", "false", GONE), "fp16": SWITCH, "bfloat16": (True, False),
    "tf32": (True, False, None), "load_in_4bit": SWITCH, "load_in_8bit": SWITCH,
    "gradient_checkpointing": (True, False, None, "offload"),
    "gradient_checkpointing_kwargs": ({"use_reentrant": True}, {}, None),
    "activation_offloading": (True, False, "legacy"), "adapter": ("lora", "qlora", None, ""),
}  # fmt: skip
ADAPTER: dict[str, Sequence[Any]] = {
    "adapter": ("lora", "qlora", None, "llama-adapter", "dora"), "load_in_4bit": SWITCH,
    "lora_r": (4, None, GONE), "lora_alpha": (8, None, GONE), "lora_dropout": (0.05, None, "0.1"),
    "lora_target_linear": SWITCH, "lora_fan_in_fan_out": SWITCH,
    "lora_target_modules": (["q_proj", "v_proj"], "q_proj", [], None, ".*(q|v)_proj"),
    "lora_target_parameters": (["mlp.experts.gate_up_proj"], []),
    "lora_modules_to_save": (["embed_tokens", "lm_head"], []), "lora_rank_pattern": ({"q_proj": 4}, {}),
    "peft_layers_to_transform": ([0, 1], []), "peft_layers_pattern": (["layers"], None),
    "peft_use_dora": SWITCH, "peft_use_rslora": SWITCH, "peft_ensure_weight_tying": (True,),
    "peft_init_lora_weights": (True, False, "gaussian", "pissa", "olora", None),
    "peft_trainable_token_indices": ([1, 2], {"embed_tokens": [1]}),
    "peft_layer_replication": ([[0, 1], [0, 2]],), "peft": ({"loftq_config": {"loftq_bits": 4}}, {}),
    "bnb_config_kwargs": ({"bnb_4bit_quant_type": "fp4"}, {"bnb_4bit_use_double_quant": False}, {}),
    "peft_autocast_adapter_dtype": SWITCH, "lora_bias": ("all",), "lora_exclude_modules": (["q_proj"],),
}  # fmt: skip
ROWS: dict[str, Sequence[Any]] = {
    "sample_packing": SWITCH, "eval_sample_packing": (True, False), "pad_to_sequence_len": SWITCH,
    "attn_implementation": ("sdpa", "eager", "flex_attention", "xformers", "fp8", "nonsense", None),
    "flash_attention": (True, False), "sdp_attention": (True,), "xformers_attention": (True,),
    "val_set_size": (0.1,), "group_by_length": (True, False), "curriculum_sampling": (True, False),
    "dataloader_drop_last": (True, False), "sequence_len": (128, None, GONE, "200"),
    "excess_length_strategy": ("drop", "truncate", "raise", None, "DROP"), "train_on_inputs": SWITCH,
    "multipack_real_batches": (True,), "batch_flattening": (True, "auto"), "streaming": (True, False),
    "sample_packing_sequentially": (True, False), "min_sample_len": (5, None),
    "shuffle_merged_datasets": SWITCH, "dataset_exact_deduplication": SWITCH, "eval_sequence_len": (128,),
    "accelerator_config": ({"split_batches": True}, {}), "auto_find_batch_size": (True, False),
}  # fmt: skip
OTHER: dict[str, Sequence[Any]] = {
    "chat_template": ("chatml", "tokenizer_default", "jinja", None), "tokens": (["<a>"], []),
    "special_tokens": ({"pad_token": "<|im_end|>"}, {}, None), "eot_tokens": ([],),
    "neftune_noise_alpha": (5, 0, None), "noisy_embedding_alpha": (5,), "use_eaft": (True, False),
    "rl": ("nonsense", "", None, False), "dpo_loss_type": (["hinge"],), "rl_beta": (0.2,),
    "rpo_alpha": (1.0,), "dpo_norm_loss": (True, False), "dpo_use_logits_to_keep": (True, False),
    "flash_attn_rms_norm": (True, False), "flash_attn_fuse_mlp": (True,), "flash_optimum": (True,),
    "unsloth_lora_mlp": (True, False), "unsloth_rope": (True,), "rope_scaling": ({"type": "linear"}, None),
    "max_packed_sequence_len": (512, None), "s2_attention": (True,), "relora": (False,),
    "model_quantization_config": ("nonsense",), "push_dataset_to_hub": ("me/d",), "deepcompile": (True,),
    "lisa_n_layers": (2,), "lisa_step_interval": (10,), "jagged_restart_steps": (50,),
    "fsdp_config": ({"offload_params": True}, {}), "fsdp_version": (1, 2),
    "resume_from_checkpoint": ("./ck",),
    "dataloader_num_workers": (0, 4), "remove_unused_columns": (True, False), "save_only_model": (True,),
    "torch_compile": (True, False), "use_tensorboard": (True,), "wandb_project": ("p", ""), "strict": SWITCH,
    "ddp_find_unused_parameters": (True,), "include_tokens_per_second": (True,), "use_pose": (True, False),
    "trainer_cls": ("x.y",), "is_llama_derived_model": (True,),
    "model_config": ({"attention_dropout": 0.1}, {}),
}  # fmt: skip
GROUPS = (STEPS, PACE, CURVE, OPTIMIZER, NUMBERS, ADAPTER, ROWS, OTHER)
PAIRS = 24
"""Of each group: configs with two or three of its settings, drawn by one seed."""


def changed(config: dict[str, Any], key: str, value: Any) -> None:
    """One setting of a config."""
    if value == GONE:
        config.pop(key, None)
    else:
        config[key] = copy.deepcopy(value)


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each config, by what it says beside its base."""
    for group in GROUPS:
        for key, values in group.items():
            for value in values:
                base = "full" if group is OPTIMIZER and key == "optimizer" else "lora"
                config = copy.deepcopy(BASES[base])
                changed(config, key, value)
                yield f"{base}: {key}={value!r}", config
    draw = random.Random(7)  # noqa: S311 - the same configs each time
    for group in GROUPS[:-1]:
        for _ in range(PAIRS):
            base = draw.choice([*BASES])
            config, told = copy.deepcopy(BASES[base]), []
            for key in draw.sample([*group], draw.choice((2, 2, 3))):
                value = draw.choice(group[key])
                changed(config, key, value)
                told.append(f"{key}={value!r}")
            yield f"{base}: {' '.join(told)}", config


PAIRED: dict[str, Sequence[Any]] = {
    "rl_beta": (0.2, 0.0), "dpo_beta": (0.3, 0.0), "orpo_alpha": (0.4,), "trl": ({"beta": 0.05}, {}),
    "kto_desirable_weight": (2.0, 0), "kto_undesirable_weight": (0.5,), "dpo_label_smoothing": (0.1, 0.0),
    "dpo_loss_type": (["hinge"], ["ipo"], ["robust"]), "dpo_loss_weights": ([1.0],),
    "precompute_ref_log_probs": (True,), "lr_quadratic_warmup": (True,), "curriculum_sampling": (True,),
    "group_by_length": (True,), "cosine_min_lr_ratio": (0.1,), "sequence_len": (128,), "max_steps": (20,),
    "neftune_noise_alpha": (5,), "use_eaft": (True,), "remove_unused_columns": (True,),
    "dpo_use_liger_kernel": (True,), "sample_packing": (True,), "gradient_checkpointing": (True,),
}  # fmt: skip
"""Settings where pairs or judged answers are learned."""


def paired() -> Iterator[tuple[str, dict[str, Any]]]:
    """The same, of objectives that `rl` names."""
    base = {**BASES["lora"], "micro_batch_size": 4, "remove_unused_columns": False}
    base["datasets"] = [{"path": "pairs.jsonl", "type": "chatml.argilla"}]
    for word in ("dpo", "ipo", "kto", "orpo"):
        for key, values in PAIRED.items():
            for value in values:
                config = {**copy.deepcopy(base), "rl": word, key: value}
                yield f"{word}: {key}={value!r}", config
