"""TRL 1.16: one script around SFTTrainer and its siblings; and PPO, which TRL 0.24 has."""

from __future__ import annotations

from importlib.resources import files

from ftspec.backend import Apart, Backend
from ftspec.families.objectives.ppo import LOCK, REASON, VERSIONS
from ftspec.families.rows.images import READ
from ftspec.families.rows.script_rows import script_rows
from ftspec.families.scripts.sft_script import CONFIG
from ftspec.families.trainers import GRPO, ONLINE_DPO, RLOO, for_each
from ftspec.families.training.fsdp import environment
from ftspec.families.training.optimizers import needs
from ftspec.families.weights.float8 import NEEDS as IN_FLOAT8
from ftspec.families.weights.qat import NEEDS as FEW_BITS
from ftspec.families.weights.quantised import NEEDS
from ftspec.families.weights.stored import NEEDS as UNPACKED
from ftspec.families.weights.stored import apart
from ftspec_trl.fields import MAPS
from ftspec_trl.script import emit, launch, read

DRAWING = tuple(f"{each.prefix}use_vllm" for each in (GRPO, RLOO, ONLINE_DPO))
"""Keys that let vLLM draw completions."""
SUPPORTED = ">=1.16,<1.17"
SEEING = Apart(
    "vision", SUPPORTED, "torchvision, with which transformers reads images, is in no other lock"
)
VLLM = Apart("vllm", SUPPORTED, "vLLM draws completions, and is in no other lock")

backend = Backend(
    name="trl",
    title="TRL",
    package="trl",
    versions=SUPPORTED,
    maps=MAPS,
    emit=emit,
    read=read,
    launch=launch,
    environment=environment,
    env=files(__name__) / "env",
    apart={"ppo": Apart(LOCK, VERSIONS, REASON)},
    pinned=("trl", "transformers", "peft", "accelerate", "datasets", "torch"),
    rows=script_rows,
    besides={READ: SEEING, **dict.fromkeys(DRAWING, VLLM), **apart(SUPPORTED)},
    needs={
        **NEEDS,
        READ: "torchvision pillow",
        **FEW_BITS,
        **IN_FLOAT8,
        **UNPACKED,
        **for_each(needs(CONFIG)),
        **dict.fromkeys(DRAWING, "vllm"),
    },
)
