"""DeepSpeed 0.19: not a trainer but an engine.

The script is TRL's; ds_config.json and the launch command are its own.
"""

from __future__ import annotations

from importlib.resources import files

from ftspec.backend import Backend
from ftspec.families.rows.script_rows import script_rows
from ftspec.families.scripts.sft_script import CONFIG
from ftspec.families.trainers import for_each
from ftspec.families.training.optimizers import needs
from ftspec.families.weights.qat import NEEDS as FEW_BITS
from ftspec.families.weights.quantised import NEEDS
from ftspec.families.weights.stored import NEEDS as UNPACKED
from ftspec.families.weights.stored import apart
from ftspec_deepspeed.emit import emit, environment, launch, read
from ftspec_deepspeed.fields import MAPS

SUPPORTED = ">=0.19.8,<0.20"
backend = Backend(
    name="deepspeed",
    title="DeepSpeed",
    package="deepspeed",
    versions=SUPPORTED,
    maps=MAPS,
    emit=emit,
    read=read,
    launch=launch,
    env=files(__name__) / "env",
    pinned=("deepspeed", "trl", "transformers", "peft", "accelerate", "datasets", "torch"),
    besides=apart(SUPPORTED),
    needs={**NEEDS, **FEW_BITS, **UNPACKED, **for_each(needs(CONFIG))},
    defaults={
        "hardware.zero.stage": (
            2,
            "optimizer states and gradients are sharded where a spec is silent",
        ),
        "hardware.zero.offload_optimizer": (False, "nothing is moved to CPU memory unasked"),
        "hardware.zero.offload_parameters": (False, "nothing is moved to CPU memory unasked"),
    },
    environment=environment,
    without={
        "ppo": "trl 1.16, which it trains with, has no PPO; and trl 0.24's PPOConfig has an empty "
        "`world_size`, with which transformers stops where it makes the engine's batch "
        "(integrations/deepspeed.py)",
    },
    rows=script_rows,
)
