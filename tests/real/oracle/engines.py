"""DeepSpeed's JSON, a key at a time, beside a config of trl that says the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PLAIN: Mapping[str, Any] = {
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "train_batch_size": "auto",
    "gradient_clipping": "auto",
    "bf16": {"enabled": "auto"},
    "zero_optimization": {"stage": 2},
}
ZERO: Mapping[str, tuple[Any, ...]] = {
    "overlap_comm": (True,),
    "contiguous_gradients": (False,),
    "reduce_bucket_size": ("auto", 5e8),
    "allgather_partitions": (False,),
    "reduce_scatter": (False,),
    "round_robin_gradients": (True,),
    "sub_group_size": (1e9,),
    "stage3_gather_16bit_weights_on_model_save": (True, False),
    "stage3_prefetch_bucket_size": ("auto",),
    "stage3_param_persistence_threshold": ("auto", 1e5),
    "stage3_max_live_parameters": (1e9,),
    "zero_hpz_partition_size": (1,),
    "zero_quantized_weights": (True, False),
    "leaf_module": ({"classes": ["a.Block"]},),
    "offload_optimizer": (
        {"device": "cpu"},
        {"device": "none"},
        {"device": "nvme", "nvme_path": "/n"},
    ),
    "offload_param": ({"device": "cpu"}, {"device": "none"}, {"device": "nvme", "nvme_path": "/n"}),
}
OTHER: Mapping[str, tuple[Any, ...]] = {
    "bf16": (
        {"enabled": True},
        {"enabled": True, "immediate_grad_update": False},
        {"enabled": True, "check_grad_overflow": False},
        {"enabled": True, "bf16_master_weights_and_grads": True},
    ),
    "gradient_clipping": (1.0, 0.5),
    "train_micro_batch_size_per_gpu": (8, 4),
    "gradient_accumulation_steps": (1, 2),
    "train_batch_size": (8, 16),
    "communication_data_type": ("fp16",),
    "data_types": ({"grad_accum_dtype": "fp32"}, {"grad_accum_dtype": "bf16"}),
    "torch_autocast": ({"enabled": True, "dtype": "bfloat16"}, {"enabled": False}),
    "activation_checkpointing": ({"partition_activations": True},),
    "prescale_gradients": (True,),
    "gradient_allreduce_op": ("sum",),
    "elasticity": ({"enabled": True, "max_train_batch_size": 100, "micro_batch_sizes": [4]},),
    "steps_per_print": (10,),
    "wall_clock_breakdown": (True,),
    "zero_allow_untested_optimizer": (True,),
}
ADAM = {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}
OPTIMIZERS: tuple[tuple[str, dict[str, Any]], ...] = (
    *((kind, ADAM) for kind in ("AdamW", "Adam", "adam", "Lamb", "OneBitAdam", "Lion", "SGD")),
    ("SGD", {"lr": "auto", "weight_decay": "auto", "momentum": 0.9, "nesterov": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 2e-5}),
    ("AdamW", {"lr": 1e-4}),
    ("AdamW", {**ADAM, "betas": [0.9, 0.999], "eps": 1e-8}),
    ("AdamW", {**ADAM, "betas": [0.8, 0.999]}),
    *(
        ("AdamW", {**ADAM, name: on})
        for name in ("adam_w_mode", "bias_correction")
        for on in (True, False)
    ),
    ("AdamW", {**ADAM, "torch_adam": True}),
    ("AdamW", {**ADAM, "amsgrad": True}),
)
HALVES = (
    *({}, {"loss_scale": 0}, {"loss_scale": 128}, {"initial_scale_power": 12}),
    *({"loss_scale_window": 500}, {"hysteresis": 4}, {"consecutive_hysteresis": True}),
    *({"min_loss_scale": 2}, {"fp16_master_weights_and_grads": True}),
)


def engines() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What the config says beside, and the engine's settings."""
    for stage in (0, 1, 2, 3):
        yield {}, {**PLAIN, "zero_optimization": {"stage": stage}}
        yield {"bf16": False}, {**PLAIN, "zero_optimization": {"stage": stage}}
    for name, values in ZERO.items():
        for value in values:
            for stage in (1, 2, 3):
                yield {}, {**PLAIN, "zero_optimization": {"stage": stage, name: value}}
    for name, values in OTHER.items():
        for value in values:
            yield {}, {**PLAIN, name: value}
            yield {"gradient_accumulation_steps": 2, "max_grad_norm": 0.5}, {**PLAIN, name: value}
    yield {}, {name: value for name, value in PLAIN.items() if name != "gradient_clipping"}
    for kind, params in OPTIMIZERS:
        yield {"weight_decay": 0.1}, {**PLAIN, "optimizer": {"type": kind, "params": params}}
    for half in HALVES:
        yield (
            {"fp16": True},
            {**PLAIN, "bf16": {"enabled": False}, "fp16": {"enabled": True, **half}},
        )
