"""LLaMA-Factory 0.9.5: a YAML config and dataset_info.json, run by `llamafactory-cli train`."""

from __future__ import annotations

from importlib.resources import files

from ftspec.backend import Backend
from ftspec.families.training.optimizers import needs
from ftspec_llamafactory import engine, positions, tokens
from ftspec_llamafactory.answers import rows
from ftspec_llamafactory.emit import CONFIG, emit, environment, launch
from ftspec_llamafactory.fields import CPT, DPO, KTO, ORPO, SFT, SIMPO
from ftspec_llamafactory.read import read

backend = Backend(
    name="llamafactory",
    title="LLaMA-Factory",
    package="llamafactory",
    versions=">=0.9.5,<0.9.6",
    maps={"sft": SFT, "cpt": CPT, "dpo": DPO, "kto": KTO, "orpo": ORPO, "simpo": SIMPO},
    emit=emit,
    read=read,
    launch=launch,
    env=files(__name__) / "env",
    pinned=("llamafactory", "transformers", "peft", "accelerate", "datasets", "torch"),
    needs={
        "quantization_bit": "bitsandbytes",
        "use_galore": "galore-torch",
        "use_badam": "badam",
        engine.KEY: "deepspeed",
        **needs(""),
    },
    besides={engine.KEY: engine.LOCK},
    entry=CONFIG,
    probe="llamafactory",
    environment=environment,
    packed=("attention_mask", "position_ids"),
    alternating=True,
    without={
        **dict.fromkeys(
            ("grpo", "rloo", "online-dpo"),
            "of its stages none draws completions in groups, and its ppo is another method",
        ),
        "ppo": "its stage ppo is written for trl 0.8.6 to 0.9.6 and stops under any other "
        "(train/ppo/trainer.py), and the rest of it needs trl 0.18 to 0.24 (extras/misc.py)",
        "cpo": "it has no such loss",
        "gkd": "no stage of it learns from a teacher's probabilities; what one wrote trains as sft",
        "reward": "its reward models score with a head of another form, with a bias and a dropout that no "
        "key switches off, and full tuning trains the output head beside it (spec.md#reward)",
    },
    rows=rows,
    model_copy=lambda native: {**positions.model_files(native), **tokens.model_files(native)},
)
