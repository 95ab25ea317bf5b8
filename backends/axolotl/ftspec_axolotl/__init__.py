"""axolotl 0.19: a YAML config, run by `python -m axolotl.cli.train`."""

from __future__ import annotations

from importlib.resources import files

from ftspec.backend import Apart, Backend
from ftspec.spec.method import OBJECTIVES
from ftspec_axolotl.emit import CONFIG, emit, environment, launch
from ftspec_axolotl.fields import CPT, DPO, EBFT, FREE, KTO, SFT
from ftspec_axolotl.read import read
from ftspec_axolotl.rows import own_rows

SUPPORTED = ">=0.19,<0.20"
SEEING = Apart(
    "vision",
    SUPPORTED,
    "torchvision, without which processors of images do not load, is in no other lock",
)

backend = Backend(
    name="axolotl",
    title="axolotl",
    package="axolotl",
    versions=SUPPORTED,
    maps={"sft": SFT, "cpt": CPT, "dpo": DPO, "kto": KTO, **FREE, "ebft": EBFT},
    emit=emit,
    read=read,
    launch=launch,
    env=files(__name__) / "env",
    pinned=("axolotl", "transformers", "peft", "accelerate", "datasets", "torch"),
    entry=CONFIG,
    probe="module",
    environment=environment,
    columns=("attention_mask",),
    parsing=True,
    rows=own_rows,
    besides={"processor_type": SEEING},
    without={
        name: f"axolotl's {name} is not compiled yet: its rows and its loss were not seen to be those of trl"
        for name in OBJECTIVES
        if name not in ("sft", "cpt", "dpo", "kto", *FREE, "ebft")
    }
    | {
        "ppo": "of its trainers of `rl` none is PPO (utils/schemas/enums.py: RLType)",
        "ebft-strided": "its trainer puts a copy of the model on `cuda:0` and stops where there is none "
        "(core/trainers/ebft/strided.py), so that it was not seen to train",
    },
)
