"""Unsloth 2026.10: a script that imports unsloth first, then trains with trl's SFTTrainer."""

from __future__ import annotations

from importlib.resources import files

from ftspec.backend import Backend
from ftspec.families.scripts.sft_script import CONFIG
from ftspec.families.trainers import for_each
from ftspec.families.training.optimizers import needs
from ftspec_unsloth.fields import MAPS
from ftspec_unsloth.quantised import LOAD
from ftspec_unsloth.rows import rows
from ftspec_unsloth.script import emit, launch, read

backend = Backend(
    name="unsloth",
    title="Unsloth",
    package="unsloth",
    versions=">=2026.10.9,<2026.11",
    without={
        "gkd": "distillation was not seen to train with its patches",
        "reward": "reward models were not seen to train with its patches",
        **dict.fromkeys(
            ("grpo", "rloo", "online-dpo"),
            "it puts a trainer of its own in the place of trl's, which was not seen to draw on a CPU",
        ),
        "ppo": "the trl that it trains with, 1.15, has no PPO",
    },
    maps=MAPS,
    emit=emit,
    read=read,
    launch=launch,
    env=files(__name__) / "env",
    pinned=(
        "unsloth",
        "unsloth-zoo",
        "trl",
        "transformers",
        "peft",
        "accelerate",
        "datasets",
        "torch",
        "torchvision",
        "torchao",
        "xformers",
        "certifi",
    ),
    needs={
        **{f"{LOAD}{name}": "bitsandbytes" for name in ("load_in_4bit", "load_in_8bit")},
        **for_each(needs(CONFIG)),
    },
    overrides=("certifi>=2026.1.1",),  # it asks for a certifi newer than some package indexes have
    first_import="unsloth",
    rows=rows,
    defaults={
        "model.quantization.storage": ("uint8", "its loader has no setting for it"),
    },
)
