"""The script, its launch command, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ftspec.backend import File, Job
from ftspec.emit.literal import Code
from ftspec.families.scripts.script import (
    SCRIPT,
    arguments,
    companions,
    emit_script,
    referring,
    template_file,
)
from ftspec.families.scripts.script_read import read_reference, read_script
from ftspec.families.scripts.sft_script import CONFIG
from ftspec.families.trainers import TRAINERS, argument
from ftspec.families.training.launch import torchrun
from ftspec.families.weights.rope import rope_keys, rope_parameters
from ftspec.mapping import Flat
from ftspec.read.python import stored_of
from ftspec_unsloth.fields import ADAPT
from ftspec_unsloth.quantised import LOAD

TITLE = "Unsloth"
TEMPLATE = files(__package__) / "templates" / "train.py.j2"
CALLS = (
    *("FastLanguageModel.from_pretrained", "FastLanguageModel.get_peft_model"),
    "AutoModelForCausalLM.from_pretrained",
    *(trainer.name for trainer in TRAINERS),
)
LOADING = ("revision", "dtype", "attn_implementation", "trust_remote_code")


WORKERS = f"{CONFIG}dataset_num_proc"
"""On a GPU it starts as many processes as there are cores, and each packs rows by itself
(unsloth_zoo, dataset_utils.py): which rows meet would hang on the machine."""


def launch(native: Flat) -> Sequence[str]:
    """Argv."""
    return torchrun(native, SCRIPT)


def emit(native: Flat, job: Job) -> Sequence[File]:
    """train.py, launch.sh, requirements.txt."""
    loading = {
        "model_name": native["model.name"],
        **{name: native[f"model.{name}"] for name in LOADING},
        **arguments(native, LOAD),
    }
    if rope := rope_parameters(native):
        loading["rope_scaling"] = rope
    # else a hub model may be exchanged for another upload, such as one that is quantised otherwise
    loading["use_exact_model_name"] = True
    on_cpu = argument(native, "use_cpu")
    if on_cpu:
        loading["device_map"] = "cpu"
    else:
        loading["dtype"] = _typed(native["model.dtype"])
    new = {**arguments(native, "LoraConfig."), **arguments(native, ADAPT)}
    alone = {WORKERS: 1} if argument(native, "packing") else {}
    script = emit_script(
        TEMPLATE,
        {**alone, **native},
        job,
        TITLE,
        copied=("full", "partial"),
        referring={"": referring(native, _plainly(native))},
        loading={"": loading},
        lora={"": new} if len(new) > 2 else {},
        quantised=native[f"{LOAD}load_in_4bit"] or native[f"{LOAD}load_in_8bit"],
        told=None if on_cpu or native["model.dtype"] != "auto" else _stored(native),
        typed=not on_cpu and native["model.dtype"] != "auto",
    )
    return [script, *template_file(native), *companions(job, TITLE, launch(native), {})]


def _typed(dtype: str) -> Code:
    """Its loader for GPUs stops at a type's name, and takes bfloat16 for None (models/loader.py)."""
    return Code("stored" if dtype == "auto" else f"torch.{dtype}")


def _named(written: str, model: str) -> str:
    """The type's name, of what stands in a script."""
    return "auto" if written == stored_of(model) else written.removeprefix("torch.")


def _stored(native: Flat) -> dict[str, Any]:
    """How the configuration is read that names the type of the checkpoint's weights."""
    named = {name: native[f"model.{name}"] for name in ("revision", "trust_remote_code")}
    return {"model_name": native["model.name"], **named}


def _plainly(native: Flat) -> dict[str, Any]:
    """How transformers loads what Unsloth's loader loads."""
    loading = {name: native[f"model.{name}"] for name in LOADING}
    rope = rope_parameters(native)
    return {**loading, "rope_parameters": rope} if rope else loading


def read(written: Sequence[File]) -> Flat:
    """Native values of an emitted folder; nothing is executed."""
    read = read_script(written, CALLS)
    native: dict[str, Any] = {k: v for k, v in read.items() if not k.startswith(CALLS)}
    loaded = arguments(read, "FastLanguageModel.from_pretrained.")
    adapted = arguments(read, "FastLanguageModel.get_peft_model.")
    native["model.name"] = loaded.pop("model_name")
    native |= read_reference(read, native["model.name"])
    for name in ("device_map", "use_exact_model_name"):
        loaded.pop(name, None)
    native |= rope_keys(loaded.pop("rope_scaling", None))
    loaded["dtype"] = _named(loaded["dtype"], native["model.name"])
    native |= {f"model.{name}": loaded.pop(name) for name in LOADING}
    native |= {f"{LOAD}{name}": value for name, value in loaded.items()}
    if native.get(WORKERS) == 1 and argument(native, "packing"):
        native.pop(WORKERS)
    for name in ("random_state", "use_gradient_checkpointing"):
        if name in adapted:
            native[f"{ADAPT}{name}"] = adapted.pop(name)
    native |= {f"LoraConfig.{name}": value for name, value in adapted.items()}
    return {"tuner": "full" if native[f"{LOAD}full_finetuning"] else "lora"} | native
