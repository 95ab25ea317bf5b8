"""The script of PPO: models as objects, prompts as token ids, and a trainer out of a copied file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ftspec.backend import File, Job
from ftspec.families.objectives.scored import REWARDS
from ftspec.families.scripts.script import emit_script
from ftspec.families.scripts.script_read import read_script
from ftspec.families.trainers import PPO, argument, trainer_of
from ftspec.families.tuners import adapters
from ftspec.families.weights.rope import rope_keys, rope_parameters
from ftspec.mapping import Flat

TEMPLATES = files("ftspec.families") / "templates"
FILE = "ppo.py"
LOADING = ("revision", "dtype", "attn_implementation", "trust_remote_code")
MODEL = "AutoModelForCausalLM.from_pretrained"


def is_ppo(native: Flat) -> bool:
    """Whether these native values are of this script."""
    return trainer_of(native) is PPO


def emit_ppo(native: Flat, job: Job, title: str) -> list[File]:
    """train.py and ppo.py; rewards.py comes with all rewards."""
    loading = {name: native[f"model.{name}"] for name in LOADING}
    if rope := rope_parameters(native):
        loading["rope_parameters"] = rope
    ((_, scorer),) = native[REWARDS]
    script = emit_script(
        TEMPLATES / "ppo.py.j2",
        native,
        job,
        title,
        name=native["model.name"],
        seed=argument(native, "seed"),
        loading={"": loading},
        scorer={"": scorer},
        pure=native["tuner"] == "full" and native["model.dtype"] == "bfloat16",
    )
    return [script, File.text(FILE, (TEMPLATES / FILE).read_text("utf-8"))]


def read_ppo(written: Sequence[File]) -> dict[str, Any]:
    """Native values of the script and its launch command."""
    read = read_script(written, ("AutoTokenizer.from_pretrained", MODEL))
    native = {key: value for key, value in read.items() if not key.startswith("Auto")}
    native = {"tuner": "full"} | adapters.read_adapter(native)
    given = {name: read[f"{MODEL}.{name}"] for name in LOADING}
    native |= rope_keys(read.get(f"{MODEL}.rope_parameters"))
    native["model.name"] = read["AutoTokenizer.from_pretrained.0"]
    return native | {f"model.{name}": value for name, value in given.items()}
