"""What a spec's values are in the fields that LLaMA-Factory's parser fills: for `explain` and `diff`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Parsed = Mapping[str, Any]
SILENT: Any = ...
"""Of this config the value says nothing."""
TUNERS = {"freeze": "partial"}
NAMES = {"cosine_with_min_lr": "cosine", "constant_with_warmup": "constant"}
"""Schedules that a spec calls otherwise, beside its other way to part words."""


def _is(key: str) -> Callable[[Parsed], Any]:
    return lambda parsed: parsed[key]


def _or_nothing(key: str) -> Callable[[Parsed], Any]:
    """Nought and nothing are one."""
    return lambda parsed: parsed[key] or None


def _not(key: str) -> Callable[[Parsed], Any]:
    return lambda parsed: not parsed[key]


def _of_lora(key: str) -> Callable[[Parsed], Any]:
    """Of a new adapter."""
    return lambda parsed: parsed[f"finetuning.{key}"] if _is_new(parsed) else SILENT


def _is_new(parsed: Parsed) -> bool:
    lora = parsed["finetuning.finetuning_type"] == "lora"
    return lora and not parsed["model.adapter_name_or_path"]


def _dropout(parsed: Parsed) -> Any:
    """Trainers of preferences switch it off."""
    new = _is_new(parsed) and parsed["finetuning.stage"] == "sft"
    return parsed["finetuning.lora_dropout"] if new else SILENT


def _targets(parsed: Parsed) -> Any:
    names = tuple(parsed["finetuning.lora_target"])
    if not _is_new(parsed):
        return SILENT
    return "all-linear" if names == ("all",) else names


def _schedule(parsed: Parsed) -> Any:
    kind = parsed["training.lr_scheduler_type"]
    return NAMES.get(kind, kind.replace("_with_", "-").replace("_", "-"))


def _of_adam(key: str) -> Callable[[Parsed], Any]:
    """Other optimizers have their own, or those of optim_args."""
    return lambda parsed: (
        parsed[f"training.{key}"] if "adam" in parsed["training.optim"] else SILENT
    )


def _batch(parsed: Parsed) -> int:
    passes: int = parsed["training.gradient_accumulation_steps"]
    return passes * int(parsed["training.per_device_train_batch_size"])


def _length(steps: bool) -> Callable[[Parsed], Any]:
    def said(parsed: Parsed) -> Any:
        by_steps = parsed["training.max_steps"] > 0
        key = "max_steps" if steps else "num_train_epochs"
        return parsed[f"training.{key}"] if by_steps == steps else None

    return said


def _warmup(share: bool) -> Callable[[Parsed], Any]:
    def said(parsed: Parsed) -> Any:
        steps = parsed["training.warmup_steps"]
        if parsed["training.lr_scheduler_type"] == "constant":
            return SILENT  # which takes no notice of it
        return steps if (0 < steps < 1) == share else None

    return said


def _every(kind: str) -> Callable[[Parsed], Any]:
    def said(parsed: Parsed) -> Any:
        strategy = parsed[f"training.{kind}_strategy"]
        if strategy in ("no", "epoch"):
            return None if strategy == "no" else strategy
        return parsed[f"training.{kind}_steps"] if strategy == "steps" else SILENT

    return said


def _compute(parsed: Parsed) -> str:
    if parsed["finetuning.pure_bf16"]:
        return "bf16-pure"
    return next((word for word in ("bf16", "fp16") if parsed[f"training.{word}"]), "fp32")


def _decay(parsed: Parsed) -> float:
    """BAdam's own, whatever is said (optimizers.py of the backend)."""
    badam = parsed["finetuning.use_badam"]
    return 0.01 if badam else float(parsed["training.weight_decay"])


def _bits(parsed: Parsed) -> Any:
    bits = parsed["model.quantization_bit"]
    return {None: None, 8: "int8"}.get(bits, parsed["model.quantization_type"])


EFFECTIVE: Mapping[str, Callable[[Parsed], Any]] = {
    "model.name": _is("model.model_name_or_path"),
    "model.revision": _is("model.model_revision"),
    "model.trust_remote_code": _is("model.trust_remote_code"),
    "model.quantization.type": _bits,
    "method.tuner.type": lambda parsed: TUNERS.get(
        parsed["finetuning.finetuning_type"], parsed["finetuning.finetuning_type"]
    ),
    "method.tuner.rank": _of_lora("lora_rank"),
    "method.tuner.alpha": _of_lora("lora_alpha"),
    "method.tuner.rslora": _of_lora("use_rslora"),
    "method.tuner.dora": _of_lora("use_dora"),
    "method.tuner.plus_ratio": _of_lora("loraplus_lr_ratio"),
    "method.tuner.dropout": _dropout,
    "method.tuner.targets": _targets,
    "data.max_length": _is("data.cutoff_len"),
    "data.eval_size": _or_nothing("data.val_size"),
    "data.shuffle": _not("finetuning.disable_shuffling"),
    "train.epochs": _length(False),
    "train.steps": _length(True),
    "train.batch_size": _batch,
    "train.micro_batch_size": _is("training.per_device_train_batch_size"),
    "train.learning_rate": _is("training.learning_rate"),
    "train.schedule.type": _schedule,
    "train.warmup_steps": _warmup(False),
    "train.warmup_ratio": _warmup(True),
    "train.weight_decay": _decay,
    "train.optimizer.beta1": _of_adam("adam_beta1"),
    "train.optimizer.beta2": _of_adam("adam_beta2"),
    "train.optimizer.eps": _of_adam("adam_epsilon"),
    "train.max_grad_norm": _or_nothing("training.max_grad_norm"),
    "train.neftune_alpha": _or_nothing("training.neftune_noise_alpha"),
    "train.label_smoothing": _is("training.label_smoothing_factor"),
    "train.seed": _is("training.seed"),
    "train.data_seed": _is("training.data_seed"),
    "train.gradient_checkpointing": _not("model.disable_gradient_checkpointing"),
    "train.logging_steps": _is("training.logging_steps"),
    "train.save_steps": _every("save"),
    "train.eval_steps": _every("eval"),
    "train.save_total_limit": _is("training.save_total_limit"),
    "precision.compute": _compute,
    "output.folder": _is("training.output_dir"),
}
"""By spec path, for specs that have it."""
