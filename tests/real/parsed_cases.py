"""Configs of LLaMA-Factory for its parser and for `ftspec import`: each key once, and those that meet."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftspec.port.tables import table
from tests.port.test_every_key import other

Keys = Mapping[str, Any]
CHOSEN: Keys = {
    "accelerator_config": {"even_batches": False},
    "adapter_name_or_path": "./adapter",
    "additional_target": "embed_tokens, lm_head",
    "cutoff_len": 64,
    "dataset": "rows, more",
    "eval_dataset": "more",
    "eval_strategy": "epoch",
    "flash_attn": "fa2",
    "fp8": True,
    "hub_strategy": "end",
    "infer_backend": "vllm",
    "lora_alpha": 4,
    "lora_target": ["q_proj", "v_proj"],
    "lr_scheduler_type": "cosine",
    "max_samples": 5,
    "max_steps": 20,
    "optim": "adafactor",
    "packing": True,
    "ref_model": "./model",
    "report_to": ["wandb", "tensorboard"],
    "resume_from_checkpoint": "./adapter",
    "save_strategy": "epoch",
    "template": "chatml_de",
    "val_size": 0.25,
    "warmup_steps": 0.1,
    "weight_decay": 0.1,
}
"""Values of keys whose type does not tell a good one."""
TEN = 10
"""Steps, of which a share is known."""
PAIRS = {"stage": "dpo", "dataset": "pairs"}
JUDGED = {"stage": "kto", "dataset": "judged"}
BEST = {"val_size": 0.25, "load_best_model_at_end": True}
SAVED = {"adapter_name_or_path": "./adapter"}
TUNERS: tuple[Keys, ...] = (
    *({"finetuning_type": kind} for kind in ("lora", "full", "freeze", "oft")),
    {"lora_rank": 4},
    {"lora_rank": 4, "lora_alpha": 64, "use_rslora": True, "lora_dropout": 0.1},
    {"lora_alpha": 0},
    {"use_dora": True, "loraplus_lr_ratio": 16, "loraplus_lr_embedding": 1e-4},
    {"pissa_init": True, "pissa_iter": -1},
    {"use_llama_pro": True, "freeze_trainable_layers": 1},
    {"finetuning_type": "freeze", "use_llama_pro": True, "freeze_trainable_layers": 1},
    {"finetuning_type": "freeze", "freeze_trainable_layers": -1, "freeze_extra_modules": "norm"},
    {"finetuning_type": "oft", "oft_rank": 4, "oft_block_size": 0, "lora_target": "q_proj"},
    {**SAVED, "lora_dropout": 0.5},
    {**SAVED, "create_new_adapter": True},
    {"adapter_name_or_path": "./adapter, ./adapter"},
    *({"finetuning_type": "full", **one} for one in (SAVED, {"pissa_init": True}, {"use_dora": True})),
)  # fmt: skip
BITS: tuple[Keys, ...] = (
    {"quantization_bit": 4, "bf16": True, "quantization_type": "fp4"},
    {"quantization_bit": 4, "bf16": True, "double_quantization": False},
    {"quantization_bit": 8, "bf16": True, "upcast_layernorm": True},
    *({"quantization_bit": 4, "bf16": True, **one} for one in (
        {"finetuning_type": "full"}, {"finetuning_type": "oft"}, {"use_dora": True},
        {"pissa_init": True}, {"resize_vocab": True}, {**SAVED, "create_new_adapter": True},
    )),
    {"quantization_type": "fp4", "double_quantization": False},
    *({key: True} for key in ("bf16", "fp16", "pure_bf16")),
    *({one: True, other: True} for one, other in itertools.combinations(("bf16", "fp16", "pure_bf16"), 2)),
)  # fmt: skip
STEPS: tuple[Keys, ...] = (
    {"warmup_ratio": 0.1, "warmup_steps": 7},
    {"warmup_ratio": 0, "warmup_steps": 7},
    {"warmup_ratio": 1},
    {"max_steps": TEN, "num_train_epochs": 2, "warmup_steps": 0.5},
    {"max_steps": -1, "num_train_epochs": 0.5},
    {"eval_strategy": "steps", "val_size": 2, "logging_steps": 5},
    {"eval_strategy": "steps", "eval_steps": 5, "eval_dataset": "more"},
    {"eval_dataset": "more", "val_size": 0.25},
    {"do_eval": True},
    {"do_eval": True, "eval_dataset": "more"},
    {"eval_strategy": "no", "val_size": 0.25},
    {"save_strategy": "no", "save_steps": 5},
    {"save_steps": 0.5, "save_total_limit": 1},
    {**BEST, "eval_strategy": "epoch", "save_strategy": "epoch", "save_total_limit": 1},
    {**BEST, "eval_strategy": "steps", "eval_steps": 5, "save_steps": 10},
    {**BEST, "eval_strategy": "steps", "eval_steps": 5, "save_steps": 7},
    {**BEST, "eval_strategy": "epoch", "save_strategy": "best", "greater_is_better": False},
    BEST,
    {"dataloader_prefetch_factor": 2},
    {"dataloader_prefetch_factor": 2, "dataloader_num_workers": 1},
)
SCHEDULES: tuple[Keys, ...] = (
    *({"lr_scheduler_type": kind, "warmup_steps": 5, "max_steps": 20} for kind in (
        "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial", "inverse_sqrt",
        "cosine_with_min_lr",
    )),
    {"lr_scheduler_kwargs": {"num_cycles": 2}},
    {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 2}},
    {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
    {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 2.0}},
    {"lr_scheduler_type": "warmup_stable_decay", "max_steps": 20,
     "lr_scheduler_kwargs": {"num_decay_steps": 10, "num_stable_steps": 6}},
)  # fmt: skip
OPTIMIZERS: tuple[Keys, ...] = (
    *({"optim": name} for name in ("adamw_hf", "sgd", "adagrad", "rmsprop", "adamw_8bit", "lion_32bit")),
    {"optim": "sgd", "optim_args": "momentum=0.9", "weight_decay": 0.1},
    *({"finetuning_type": kind, **one} for kind in ("full", "lora") for one in (
        {"use_galore": True, "galore_rank": 4, "galore_target": "q_proj"},
        {"use_badam": True, "weight_decay": 0.01, "badam_switch_mode": "random"},
        {"use_muon": True},
    )),
    {"finetuning_type": "full", "use_galore": True, "use_badam": True},
)  # fmt: skip
ROWS: tuple[Keys, ...] = (
    {"packing": True, "cutoff_len": 64},
    {"neat_packing": True},
    {"mask_history": True, "train_on_prompt": True},
    {"train_on_prompt": True, "default_system": "Be brief."},
    {"template": None, "enable_thinking": True},
    {"enable_thinking": False},
    {"preprocessing_batch_size": 8},
)
OBJECTIVES: tuple[Keys, ...] = (
    *({**PAIRS, "pref_loss": loss, "per_device_train_batch_size": 1} for loss in (
        "sigmoid", "hinge", "ipo", "kto_pair", "orpo", "simpo",
    )),
    *({**PAIRS, **one} for one in (
        {"pref_beta": 0.3, "pref_ftx": 0.5}, {"dpo_label_smoothing": 0.1}, {"ld_alpha": 0.5},
        {"pref_loss": "simpo", "simpo_gamma": 0.7, "dpo_label_smoothing": 0.1},
        {"pissa_init": True}, {"pref_loss": "orpo", "pissa_init": True}, {"train_on_prompt": True},
        {"neat_packing": True}, {"kto_chosen_weight": 2.0}, {"ref_model": "./model"},
    )),
    *({**JUDGED, **one} for one in (
        {}, {"pref_beta": 0.3}, {"kto_chosen_weight": 2.0, "dpo_label_smoothing": 0.1},
        {"disable_shuffling": True, "preprocessing_batch_size": 8}, {"mask_history": True},
        {"disable_shuffling": False, "preprocessing_batch_size": 1000},
    )),
    {"pref_beta": 0.3, "simpo_gamma": 0.7, "kto_rejected_weight": 2.0},
    {"stage": "rm", "dataset": "pairs", "load_best_model_at_end": True},
)  # fmt: skip
TEXTS: tuple[Keys, ...] = (
    *({key: text} for key in ("bf16", "packing", "use_dora", "do_eval") for text in ("true", "false")),
    *({key: "8"} for key in ("lora_rank", "cutoff_len", "save_steps", "seed", "warmup_steps")),
    {"learning_rate": "1e-5"},
)  # fmt: skip
"""In quotes, where it asks for something else: its parser makes nothing of them."""
MACHINE = ("tf32", "ddp_backend")
"""Keys that a parser takes on a GPU alone, and in several processes alone."""
MET = (*TUNERS, *BITS, *STEPS, *SCHEDULES, *OPTIMIZERS, *ROWS, *OBJECTIVES, *TEXTS)
ENTRIES = {
    "rows": {"file_name": "rows.json"},
    "more": {"file_name": "more.json"},
    "pairs": {"file_name": "pairs.json", "ranking": True, "columns": {
        "prompt": "instruction", "query": "input", "chosen": "chosen", "rejected": "rejected"}},
    "judged": {"file_name": "judged.json", "columns": {
        "prompt": "instruction", "query": "input", "response": "output", "kto_tag": "label"}},
}  # fmt: skip


def cases() -> Iterator[Keys]:
    """What is said beside the least that a config needs."""
    yield {}
    for key, (kind, default) in table("llamafactory").calls[""].items():
        if (key not in least() or key in CHOSEN) and key not in MACHINE:
            yield {key: CHOSEN.get(key, other(kind, default))}
    yield from MET


def least() -> Keys:
    """A config of few words."""
    return {
        "model_name_or_path": "./model",
        "stage": "sft",
        "do_train": True,
        "dataset": "rows",
        "dataset_dir": ".",
        "template": "chatml",
        "cutoff_len": 256,
        "output_dir": "saves",
    }


def write_rows(folder: Path) -> None:
    """The data sets that the configs name."""
    asked = [{"instruction": f"Say {n}.", "input": ""} for n in range(8)]
    told = [{**row, "output": f"It is {n}."} for n, row in enumerate(asked)]
    rows = {
        "rows": told,
        "more": told,
        "pairs": [{**row, "chosen": "Yes.", "rejected": "No."} for row in asked],
        "judged": [{**row, "label": n % 2 == 0} for n, row in enumerate(told)],
    }
    for name, found in rows.items():
        (folder / f"{name}.json").write_text(json.dumps(found))
    (folder / "dataset_info.json").write_text(json.dumps(ENTRIES))
