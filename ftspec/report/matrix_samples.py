"""The values that the matrix tries, and what a spec must say besides for each to mean anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftspec.spec.online import ONLINE

SAMPLES: Mapping[str, Sequence[Any]] = {
    "model.chat_template": ("tokenizer", "chatml", "llama3", "qwen3", "template.jinja"),
    "model.template_options": ({"enable_thinking": True}, {"enable_thinking": False}),
    "data.system": ("Be brief.",),
    "data.turn_flag": ("train",),
    "data.eval_size": (0.1, 1.0, 500.0),
    "data.draw_seed": (7,),
    "data.split_rows": (64,),
    "data.min_length": (16,),
    "data.max_prompt_length": (512,),
    "model.special_tokens.bos": ("<s>",),
    "model.special_tokens.eos": ("</s>",),
    "model.special_tokens.pad": ("<pad>",),
    "model.special_tokens.unk": ("<unk>",),
    "model.new_tokens.tokens": (("<tool>", "</tool>"),),
    "model.new_tokens.multiple": (1, 64),
    "model.experts.balance_loss": (0.001,),
    "model.images.train": (("language",), ("language", "projector", "vision")),
    "model.images.min_pixels": (1024,),
    "model.images.max_pixels": (589824,),
    "model.images.max_width": (512,),
    "model.images.square": (336,),
    "model.images.learned": (True, False),
    "model.rope.factor": (4.0,),
    "model.rope.theta": (1e6,),
    "model.rope.original_length": (8192,),
    "model.rope.beta_fast": (32.0,),
    "model.rope.beta_slow": (1.0,),
    "model.rope.attention_factor": (1.1,),
    "model.rope.low_freq_factor": (1.0,),
    "model.rope.high_freq_factor": (4.0,),
    "method.tuner.dropout": (0.1,),
    "method.tuner.targets": ("all-linear", ("q_proj", "v_proj"), {"pattern": r".*\.[qv]_proj"}),
    "method.tuner.exclude": (("down_proj",), {"pattern": r".*\.layers\.0\..*"}),
    "method.tuner.layers": ((0, 1),),
    "method.tuner.parameters": (("mlp.experts.gate_up_proj",),),
    "method.tuner.rank_pattern": ({"q_proj": 32},),
    "method.tuner.alpha_pattern": ({"q_proj": 64},),
    "method.tuner.trainable_tokens": ((0, 1),),
    "method.tuner.init.iterations": (16,),
    "method.tuner.init.rho": (1.5,),
    "method.tuner.target_rank": (4,),
    "method.tuner.initial_steps": (10,),
    "method.tuner.final_steps": (10,),
    "method.tuner.interval": (10,),
    "method.tuner.orthogonality": (0.1,),
    "train.embedding_learning_rate": (1e-5,),
    "method.tuner.plus_ratio": (16.0,),
    "method.tuner.plus_embedding_rate": (1e-5,),
    "method.tuner.modules_to_save": (("lm_head",),),
    "method.tuner.adapter": ("./adapter",),
    "method.tuner.block_size": (32,),
    "method.tuner.eps": (1e-4,),
    "method.tuner.feedforward": (("down_proj",),),
    "method.tuner.hidden_size": (128,),
    "method.tuner.rank_dropout": (0.1,),
    "method.tuner.module_dropout": (0.1,),
    "method.tuner.last_layers": (2,),
    "method.tuner.first_layers": (2,),
    "method.tuner.expanded_layers": (2,),
    "method.tuner.patterns": ((r"model\.layers\.[01]\.",),),
    "method.tuner.modules": (("self_attn",), ("self_attn.o_proj",)),
    "method.objective.prompt_weight": (0.1,),
    "method.objective.entropy_power": (1.0, 0.5),
    "method.objective.entropy_tokens": (20, 50),
    "method.objective.entropy_scale": (3.0, 1.0),
    "method.objective.anchor_weight": (0.1, 0.05),
    "method.objective.label_smoothing": (0.1,),
    "method.objective.ld_alpha": (0.5,),
    "method.objective.sft_weight": (1.0,),
    "method.objective.reference": ("./other",),
    "method.objective.clip_high": (0.28,),
    "method.objective.delta": (4.0,),
    "method.objective.reward_limit": (5.0,),
    "method.objective.generation.min_p": (0.05,),
    "precision.loss_scale.fixed": (128.0,),
    "data.max_length": (None, 2048),
    "train.epochs": (2.0,),
    "train.steps": (100,),
    "train.warmup_steps": (10,),
    "train.warmup_start": (1e-6,),
    "train.schedule_delay": (1,),
    "train.schedule.cycles": (1.0,),
    "train.schedule.min_ratio": (0.1,),
    "train.schedule.power": (2.0,),
    "train.schedule.end_rate": (1e-6,),
    "train.schedule.timescale": (100,),
    "train.schedule.stable_steps": (50,),
    "train.schedule.decay_steps": (20,),
    "train.optimizer.momentum": (0.9,),
    "train.optimizer.targets": (("q_proj", "v_proj"),),
    "train.weight_decay": (0.1,),
    "train.max_grad_norm": (None, 1.0),
    "train.label_smoothing": (0.1,),
    "train.neftune_alpha": (5.0,),
    "train.qat.group_size": (128,),
    "train.save_steps": (100, 0.5, "epoch"),
    "train.eval_steps": (100, 0.5, "epoch"),
    "train.early_stopping": (3,),
    "train.resume": ("./checkpoint-10",),
    "hardware.devices": (2,),
    "hardware.nodes": (2,),
    "hardware.zero.offload_folder": ("/local_nvme/run",),
    "hardware.zero.leaf_modules": (("GptOssMLP",),),
    "hardware.fsdp.transformer_layer_cls_to_wrap": (("LlamaDecoderLayer",),),
    "hardware.fsdp.min_num_params": (10**8,),
    "output.trackers": tuple(
        (name,) for name in ("tensorboard", "wandb", "mlflow", "swanlab", "trackio")
    ),
    "output.hub.repo": ("org/name",),
}
"""Values of open types that stand for all others; closed lists are read from the models."""
TUNERS: Mapping[str, Mapping[str, Any]] = {
    "partial": {"embeddings": True},
    "peft": {"kind": "HRA", "options": {"target_modules": "all-linear"}},
}
"""The least that a tuner needs, where its name is not enough."""
NEEDED: Mapping[str, Any] = {
    "model.rope.factor": 4.0,
    "model.rope.theta": 1e6,
    "model.rope.original_length": 8192,
}
"""Fields that a variant which has them cannot do without, where no model can be looked at."""
BESIDE: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("train.optimizer.type", "galore"): {"method.tuner.type": "full"},
    ("train.optimizer.type", "badam"): {"method.tuner.type": "full", "train.weight_decay": 0.01},
}
"""Variants that make sense beside certain other values alone."""
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    "gkd": {"teacher": "org/teacher"},
    **{name: {"rewards": [{"by": "regex", "pattern": "[0-9]+"}]} for name in ONLINE},
    "ppo": {"rewards": [{"by": "model", "name": "org/reward"}]},
}
"""The least that an objective needs, where its name is not enough."""
PREPARED: Mapping[str, Any] = {"data.prepare": "ftspec", "model.dtype": "float32"}
"""What some backends ask of every spec: rows that ftspec prepared, weights that are known to be float32."""
ROUNDED: Mapping[str, Any] = {"precision.compute": "bf16"}
"""What Unsloth asks of every spec on a GPU: it rounds there, whatever it is told."""
OMITTED = frozenset(
    {
        "version", "run.backends", "run.environment", "run.telemetry", "native", "data.train",
        "data.eval", "output.folder", "output.hub.private",
    }
)  # fmt: skip
"""Paths that ftspec answers for alike on every backend."""
TUNER = "method.tuner."
WHOLE: Mapping[str, str | tuple[str, ...]] = {
    f"{TUNER}type": TUNER,
    "precision.compute": ("precision.fp8", "precision.loss_scale."),
    "hardware.fsdp.sharding_strategy": "hardware.fsdp.",
    "model.stored.type": "model.stored.",
}
"""Where a value is refused, what belongs to it alone is refused with it."""
NEW = "model.new_tokens."
IMAGES = "model.images."
SHOWN: Mapping[str, Mapping[str, Any]] = {
    "sft": {"columns": {"images": "images"}},
    "dpo": {"columns": {"images": "images"}},
}
"""By objective, what a source says whose rows have images."""
SHARED = (
    "data.",
    "train.",
    "method.tuner.init.",
    "method.objective.entropy_",
    "method.objective.anchor_",
    "method.objective.sum_",
    NEW,
    IMAGES,
)
"""Sections whose fields are answered for together: a refusal stands at the first of them."""
NEEDS: Mapping[str, Mapping[str, Any]] = {
    "method.tuner.layers": {"targets": ["q_proj", "v_proj"]},
    "method.tuner.init.iterations": {"init": "pissa"},
    "method.tuner.init.rho": {"init": "eva"},
    "method.tuner.plus_embedding_rate": {"plus_ratio": 16.0},
    "train.embedding_learning_rate": {"modules_to_save": ["lm_head"]},
}
"""What else a tuner must say for a field to mean anything."""
LEARNED: Mapping[str, Mapping[str, Any]] = {
    **{
        f"method.objective.entropy_{name}": {"loss": "eaft"}
        for name in ("power", "tokens", "scale")
    },
    "method.objective.anchor_weight": {"loss": "asft"},
    "method.objective.sum_passes": {"loss": "asft", "average": "batches"},
}
"""What else an objective must say for a field to mean anything."""
