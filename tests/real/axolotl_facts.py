"""What a config trains with, as plain values: by axolotl's own arguments, and by a spec's port to TRL.

Both trainers are transformers', so most facts are its TrainingArguments. Where the two rightly say a thing
otherwise, it is brought into one form here, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ROWS = 4000
"""Rows that axolotl's steps are counted of; axolotl_arguments.py has the same."""
NAMES = {
    "adamw_torch": "adamw_torch_fused", "adamw_bnb_8bit": "adamw_8bit", "lion_32bit": "lion",
    "rmsprop_32bit": "rmsprop",
}  # fmt: skip
"""Optimizers by the name that a port writes: another name, or another implementation of the same numbers."""
ASSUMED = {
    "sgd": "momentum=0.0,nesterov=false",
    "rmsprop": "alpha=0.99,momentum=0.0,eps=1e-08,centered=false",
    "adagrad": "lr_decay=0.0,eps=1e-10",
    "adamw_torch_8bit": "bf16_stochastic_round=false",
    "adamw_torch_4bit": "bf16_stochastic_round=false",
}
"""What an optimizer assumes where its arguments say nothing; a port writes it out."""
CURVES: Mapping[str, dict[str, Any]] = {
    "cosine": {"num_cycles": 0.5},
    "cosine_with_restarts": {"num_cycles": 1},
    "polynomial": {"power": 1.0, "lr_end": 1e-7},
    "cosine_with_min_lr": {"num_cycles": 0.5},
}
"""The same of a schedule."""
LORA = {
    "r": 8, "lora_alpha": 8, "lora_dropout": 0.0, "use_rslora": False, "use_dora": False,
    "bias": "none", "init_lora_weights": True,
}  # fmt: skip
"""peft's defaults."""
NOTHING = (
    *("modules_to_save", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern"),
    *("trainable_token_indices", "layer_replication", "ensure_weight_tying", "exclude_modules"),
    *("loftq_config", "target_parameters"),
)
"""LoRA's settings of which an empty one is none."""
OWN = (
    *("lr_groups", "jagged_restart_steps", "lisa_n_layers"),
    *("alternate_lr_scheduler_type", "relora_prune_ratio"),
)
"""axolotl's own arguments that a spec has not: a config that sets them may not be taken for understood."""
COMPARED: Mapping[str, tuple[str, ...]] = {
    "dpo": ("beta", "loss_type", "label_smoothing", "max_length", "precompute_ref_log_probs"),
    "kto": ("beta", "desirable_weight", "undesirable_weight", "max_length"),
    "orpo": ("beta", "max_length"),
}
"""Arguments of trl's trainers of pairs, by what `rl` names."""
Facts = dict[str, Any]


def theirs(found: Mapping[str, Any]) -> Facts:
    """Of what axolotl made of a config."""
    said, cfg, total = found["arguments"], found["cfg"], found["total"]
    kind, steps = said["lr_scheduler_type"], said["max_steps"]
    parabola = bool(said.get("lr_quadratic_warmup")) and kind == "cosine"
    low = said.get("cosine_min_lr_ratio") or None
    low = low if kind == "cosine" and not parabola else None
    curve = {**CURVES.get(kind, {}), **(said["lr_scheduler_kwargs"] or {})}
    if kind == "cosine_with_min_lr" and "min_lr_rate" in curve:
        kind, low = "cosine", curve.pop("min_lr_rate")
    if low == 1:  # a cosine from the peak to the peak
        kind, curve, low = "constant_with_warmup", {}, None
    facts = {
        "optim": NAMES.get(said["optim"], said["optim"]),
        "arguments of the optimizer": pairs(said["optim_args"], said["optim"]),
        "another optimizer": found.get("optimizer"),
        "schedule": kind,
        "curve": curve,
        "lowest rate": low,
        "lowest rate before the end": bool(low and said.get("cosine_constant_lr_ratio")),
        "parabola": parabola,
        # transformers' constant rate does not look at it
        "warm-up": 0 if kind == "constant" else warmup(said["warmup_steps"], total),
        "steps": steps if steps > 0 else counted(said),
        "recomputes": bool(said["gradient_checkpointing"] or cfg.get("gradient_checkpointing")),
        "dtype": found["dtype"],
        "keeps the best": said["load_best_model_at_end"],
        "saves": every(said["save_strategy"], said["save_steps"], total),
        "shuffles": not said.get("curriculum_sampling"),
        "packs": bool(said.get("sample_packing")),
        "length": cfg.get("sequence_len"),
        "LoRA+": said.get("loraplus_lr_ratio"),
        "rate of embeddings in LoRA+": said.get("loraplus_lr_ratio")
        and said.get("loraplus_lr_embedding"),
        "rate of embeddings": (
            not said.get("loraplus_lr_ratio")
            and (
                said["learning_rate"] * said["embedding_lr_scale"]
                if said.get("embedding_lr_scale")
                else said.get("embedding_lr")
            )
        )
        or None,
        "split batches": bool((said["accelerator_config"] or {}).get("split_batches")),
        "shards": bool(said["fsdp"]),
        "engine": bool(said["deepspeed"]),
        "weighs tokens": "compute_loss_func" in found["kwargs"],
        "goes on": bool(cfg.get("resume_from_checkpoint")),
        "few bits": bits(found["few"] or {}),
        "adapter": "lora" in found,
        "adapter that is there": cfg.get("lora_model_dir") or None,
    }
    facts |= {name: said.get(name) for name in OWN}
    facts |= {name: listed(said.get(name)) for name in compared(cfg.get("rl"))}
    return facts | shared(said.get) | adapter(found.get("lora"))


def ours(native: Mapping[str, Any], values: Mapping[str, Any], assumed: Any, total: int) -> Facts:
    """Of what TRL's script is written with; ``assumed`` are the defaults of its config."""
    config = next(key.partition(".")[0] for key in native if key.endswith(".learning_rate"))

    def said(name: str) -> Any:
        return native.get(f"{config}.{name}", assumed.get(name, ("", None))[1])

    kind, curve, low = said("lr_scheduler_type"), dict(said("lr_scheduler_kwargs") or {}), None
    if kind == "cosine_with_min_lr" and "min_lr_rate" in curve:
        kind, low = "cosine", curve.pop("min_lr_rate")
    steps = said("max_steps")
    names = ("max_steps", "num_train_epochs", "per_device_train_batch_size")
    counts = {name: said(name) for name in (*names, "gradient_accumulation_steps")}
    steps = steps if steps and steps > 0 else counted(counts)
    lora = {key.partition(".")[2]: native[key] for key in native if key.startswith("LoraConfig.")}
    few = {key.partition(".")[2]: native[key] for key in native if key.startswith("BitsAndBytes")}
    facts = {
        "optim": NAMES.get(said("optim"), said("optim")),
        "arguments of the optimizer": pairs(said("optim_args"), said("optim")),
        "another optimizer": None,
        "schedule": kind,
        "curve": {**CURVES.get(kind, {}), **curve},
        "lowest rate": low,
        "lowest rate before the end": False,
        "parabola": values.get("train.warmup_shape") == "quadratic",
        "warm-up": 0 if kind == "constant" else warmup(said("warmup_steps"), steps),
        "steps": steps,
        "recomputes": bool(said("gradient_checkpointing")),
        "dtype": native.get("model.dtype"),
        "keeps the best": bool(said("load_best_model_at_end")),
        "saves": every(said("save_strategy"), said("save_steps"), total),
        "shuffles": bool(values.get("data.shuffle")),
        "packs": values.get("data.packing") == "documents",
        "length": values.get("data.max_length"),
        "LoRA+": values.get("method.tuner.plus_ratio"),
        "rate of embeddings in LoRA+": values.get("method.tuner.plus_ratio")
        and values.get("method.tuner.plus_embedding_rate"),
        "rate of embeddings": values.get("train.embedding_learning_rate"),
        "split batches": False,
        "shards": values.get("hardware.fsdp.sharding_strategy") is not None,
        "engine": False,
        "weighs tokens": values.get("method.objective.loss") == "eaft",
        "goes on": bool(values.get("train.resume")),
        "few bits": bits(few),
        "adapter": bool(lora) or values.get("method.tuner.adapter") is not None,
        "adapter that is there": values.get("method.tuner.adapter"),
    }
    facts |= dict.fromkeys(OWN)
    words = {"DPOConfig": "dpo", "KTOConfig": "kto", "ORPOConfig": "orpo"}
    facts |= {name: listed(said(name)) for name in compared(words.get(config))}
    return facts | shared(said) | adapter(lora or None)


def compared(word: str | None) -> tuple[str, ...]:
    """What is compared of an objective beside the rest."""
    return COMPARED.get({"ipo": "dpo"}.get(word or "", word or ""), ())


def shared(said: Any) -> Facts:
    """Arguments that both trainers have, under the same names."""
    names = (
        *("learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "seed"),
        *("per_device_train_batch_size", "gradient_accumulation_steps", "dataloader_drop_last"),
        *("label_smoothing_factor", "neftune_noise_alpha", "save_total_limit"),
        *("optim_target_modules",),
    )
    facts = {name: said(name) for name in names}
    facts |= {name: bool(said(name)) for name in ("bf16", "fp16", "tf32", "auto_find_batch_size")}
    order = said("train_sampling_strategy")  # of rows in their order, `shuffles` speaks
    # core/trainers/base.py, _get_train_sampler asks for these two first
    other = said("sample_packing") or said("curriculum_sampling")
    facts["groups by length"] = order == "group_by_length" and not other
    if not any(word in str(said("optim")) for word in ("adam", "lion")):
        facts |= dict.fromkeys(("adam_beta1", "adam_beta2", "adam_epsilon"))  # nothing reads them
    facts["max_grad_norm"] = said("max_grad_norm") or 0.0
    return facts


def adapter(lora: Mapping[str, Any] | None) -> Facts:
    """What LoRA is made with."""
    if lora is None:
        return {}
    facts: Facts = {f"LoRA {name}": lora.get(name, LORA[name]) for name in LORA}
    facts |= {f"LoRA {name}": listed(lora.get(name)) or None for name in NOTHING}
    targets = lora.get("target_modules")
    every_one = targets == "all-linear" or "all-linear" in (targets or ())
    named = targets if isinstance(targets, str) else sorted(targets or ())
    facts["LoRA targets"] = "all-linear" if every_one else named
    return facts


def bits(few: Mapping[str, Any]) -> Any:
    """How a base is held in few bits."""
    if few.get("load_in_4bit"):
        names = ("quant_type", "use_double_quant", "compute_dtype")
        return [few.get(f"bnb_4bit_{name}") for name in names]
    return "eight" if few.get("load_in_8bit") else few.get("quant_method")


def pairs(text: str | None, optimizer: str) -> dict[str, str]:
    """Arguments of an optimizer, with what it assumes."""
    parts = f"{ASSUMED.get(optimizer, '')},{text or ''}".replace(" ", "").split(",")
    return dict(part.split("=") for part in parts if part)  # type: ignore[misc]


def warmup(steps: float, total: int) -> int:
    """Steps of the warm-up; transformers 5 takes a number below 1 for a share, and rounds up."""
    return math.ceil(steps * total) if 0 < steps < 1 else int(steps)


def counted(said: Mapping[str, Any]) -> int:
    """Steps of all epochs, of rows that stand alone."""
    batch = said["per_device_train_batch_size"] * said["gradient_accumulation_steps"]
    return int(ROWS * said["num_train_epochs"] // batch)


def every(strategy: str, steps: float, total: int) -> Any:
    """When it saves: a word, or a number of steps."""
    if strategy != "steps":
        return strategy
    return math.ceil(steps * total) if steps < 1 else int(steps)


def listed(value: Any) -> Any:
    """Tuples as the lists that JSON has."""
    return [listed(one) for one in value] if isinstance(value, list | tuple) else value
