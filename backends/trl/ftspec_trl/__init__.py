"""TRL 1.16: one script around SFTTrainer."""

from __future__ import annotations

from importlib.resources import files

from ftspec.backend import Backend
from ftspec.families.optimizers import needs
from ftspec.families.qat import NEEDS as FEW_BITS
from ftspec.families.quantised import NEEDS
from ftspec.families.script_rows import script_rows
from ftspec.families.sft_script import CONFIG
from ftspec.families.trainers import for_each
from ftspec.families.trl_script import read_trl
from ftspec_trl.fields import MAPS
from ftspec_trl.script import emit, launch

backend = Backend(
    name="trl",
    title="TRL",
    package="trl",
    versions=">=1.16,<1.17",
    maps=MAPS,
    emit=emit,
    read=read_trl,
    launch=launch,
    env=files(__name__) / "env",
    pinned=("trl", "transformers", "peft", "accelerate", "datasets", "torch"),
    rows=script_rows,
    needs={**NEEDS, **FEW_BITS, **for_each(needs(CONFIG))},
)
