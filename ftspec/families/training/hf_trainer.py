"""Rows for transformers.TrainingArguments, which all four backends train through.

Names and defaults: transformers 5.6.0, training_args.py; checked against schemas/native/*.json.
``prefix`` is where a backend writes them: `SFTConfig.` in a script, nothing in LLaMA-Factory's YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ftspec.families.training.best import best_row
from ftspec.families.training.launch import NODES, PROCESSES, SEQUENCES, TENSORS
from ftspec.families.training.optimizers import optimizer_rows
from ftspec.families.training.schedules import schedule_rows
from ftspec.families.training.tensors import shared
from ftspec.families.weights.precision import precision_row, scale_row
from ftspec.mapping import MISSING, Refuse, Row, constant, field


def training_rows(prefix: str, absent: Mapping[str, Any] = MappingProxyType({})) -> tuple[Row, ...]:
    """Every TrainingArguments value that can change a result, each written out.

    ``absent`` are the defaults that a subclass of TrainingArguments has changed.
    """
    return tuple(
        replace(
            row,
            keys=tuple(prefix + key for key in row.keys),
            absent=tuple(
                absent.get(key, old) for key, old in zip(row.keys, row.absent, strict=False)
            ),
        )
        for row in (*_ROWS, *_CONSTANTS)
    )


def _lower_length(epochs: float | None, steps: int | None) -> tuple[Any, Any]:
    return (MISSING, steps) if steps else (float(epochs or 1), -1)


def _lift_length(epochs: float, steps: int) -> tuple[float | None, int | None]:
    return (None, steps) if steps > 0 else (float(epochs), None)


def _lower_batch(batch: int, micro: int, replicas: int) -> tuple[int, int]:
    return micro, batch // (micro * replicas)


def _lift_batch(
    micro: int, accumulation: int, processes: Any, nodes: Any, sequences: Any, tensors: Any
) -> tuple[int, int]:
    counts = (1 if count is MISSING else count for count in (processes, nodes, sequences))
    devices, machines, share = counts
    return micro * accumulation * devices * machines // (share * shared(tensors)), micro


def _lower_every(steps: float | str | None) -> tuple[str, Any]:
    if steps is None:
        return "no", MISSING
    return ("epoch", MISSING) if steps == "epoch" else ("steps", steps)


def _lift_every(strategy: str, steps: Any) -> float | str | None:
    if strategy in ("no", "epoch"):
        return None if strategy == "no" else "epoch"
    if strategy != "steps" or not (0 < steps < 1 or float(steps).is_integer()):
        raise Refuse(f"{strategy!r} every {steps!r} is not in a spec yet", "notimpl")
    return float(steps) if steps < 1 else int(steps)


def _lower_hub(repo: str | None, private: bool | None) -> tuple[Any, ...]:
    return (False, MISSING, MISSING) if repo is None else (True, repo, private)


def _lower_trackers(trackers: tuple[str, ...]) -> Any:
    return list(trackers) or "none"


def _lift_trackers(native: Any) -> tuple[str, ...]:
    names = tuple(native) if isinstance(native, list | tuple) else (native,)
    return () if names == ("none",) else names


def _lower_tf32(on: bool, device: str) -> bool:
    if on and device == "cpu":
        raise Refuse("TensorFloat-32 is a format of NVIDIA GPUs", "never")
    return on


def _lower_smoothing(smoothing: float, accumulation: int, dropout: Any, noise: Any) -> float:
    if smoothing and (dropout or noise):
        raise Refuse(
            "trl smooths in a second forward pass, which draws other random numbers for dropout and "
            "NEFTune than the one that trains",
            "notyet",
            "train.label_smoothing: 0, or no dropout and no noise",
        )
    if smoothing and accumulation > 1:
        raise Refuse(
            f"transformers does not divide a smoothed loss by the {accumulation} accumulated "
            "batches: gradients would be that many times too large",
            "notyet",
            "train.micro_batch_size: as large as the batch on one device",
        )
    return smoothing


_ROWS = (
    Row(("output.folder",), ("output_dir",), lambda v: v, lambda v: v),
    Row(
        ("train.epochs", "train.steps"),
        ("num_train_epochs", "max_steps"),
        _lower_length,
        _lift_length,
        absent=(3.0, -1),
    ),
    Row(
        ("train.batch_size", "train.micro_batch_size"),
        ("per_device_train_batch_size", "gradient_accumulation_steps"),
        _lower_batch,
        _lift_batch,
        uses=("derived.replicas",),
        reads=(PROCESSES, NODES, SEQUENCES, TENSORS),
        absent=(8, 1),
    ),
    field("train.learning_rate", "learning_rate", absent=5e-5),
    *schedule_rows(),
    *optimizer_rows(),
    field(
        "train.max_grad_norm", "max_grad_norm", lambda v: v or 0.0, lambda v: v or None, absent=1.0
    ),
    Row(
        ("train.label_smoothing",),
        ("label_smoothing_factor",),
        _lower_smoothing,
        lambda value: value,
        uses=("derived.accumulation_steps", "method.tuner.dropout", "train.neftune_alpha"),
        absent=(0.0,),
    ),
    Row(
        ("train.neftune_alpha",),
        ("neftune_noise_alpha",),
        lambda value: value,
        lambda value: value or None,
        absent=(None,),
    ),
    field("train.seed", "seed", absent=42),
    Row(("train.data_seed",), ("data_seed",), lambda v: v, lambda v: v, absent=(None,)),
    precision_row(),
    scale_row(),
    Row(
        ("precision.tf32",),
        ("tf32",),
        _lower_tf32,
        bool,
        uses=("hardware.device",),
        absent=(None,),
    ),
    Row(
        ("hardware.device",),
        ("use_cpu",),
        lambda device: device == "cpu",
        lambda use_cpu: "cpu" if use_cpu else "cuda",
        absent=(False,),
    ),
    field("train.logging_steps", "logging_steps", lambda v: v, int, absent=500),
    Row(
        ("train.save_steps",),
        ("save_strategy", "save_steps"),
        _lower_every,
        _lift_every,
        absent=("steps", 500),
    ),
    Row(
        ("train.save_total_limit",),
        ("save_total_limit",),
        lambda v: MISSING if v is None else v,
        lambda v: v,
        absent=(None,),
    ),
    Row(
        ("train.eval_steps",),
        ("eval_strategy", "eval_steps", "per_device_eval_batch_size"),
        lambda steps, micro: (*_lower_every(steps), MISSING if steps is None else micro),
        lambda strategy, steps, _micro: _lift_every(strategy, steps),
        uses=("train.micro_batch_size",),
        absent=("no", None, 8),
    ),
    best_row(),
    Row(("output.trackers",), ("report_to",), _lower_trackers, _lift_trackers, absent=("none",)),
    Row(
        ("output.hub.repo", "output.hub.private"),
        ("push_to_hub", "hub_model_id", "hub_private_repo"),
        _lower_hub,
        lambda push, repo, private: (repo, bool(private)) if push else (None, None),
        absent=(False, None, None),
    ),
)

_CONSTANTS = (
    constant("logging_strategy", "steps", "logging is counted in steps", absent="steps"),
    constant("logging_first_step", False, "logging is counted in steps", absent=False),
    constant(
        "logging_nan_inf_filter", False, "a NaN loss must be seen, not averaged away", absent=True
    ),
    constant("dataloader_drop_last", False, "no row is left out in silence", absent=False),
    constant(
        "average_tokens_across_devices",
        True,
        "the loss is the mean over all trained tokens, whatever the number of devices",
        absent=True,
    ),
)
