"""The script that TRL and DeepSpeed share: the trainer loads the model by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ftspec.backend import File, Job
from ftspec.families.objectives import gkd
from ftspec.families.rows import images
from ftspec.families.scripts.script import (
    arguments,
    emit_script,
    referring,
)
from ftspec.families.scripts.script_read import read_reference, read_script
from ftspec.families.trainers import TRAINERS, argument, trainer_of
from ftspec.families.tuners import adapters
from ftspec.families.weights import stored
from ftspec.families.weights.float8 import FLOAT8
from ftspec.families.weights.qat import QAT
from ftspec.families.weights.quantised import CALL as QUANTISED
from ftspec.families.weights.rope import rope_keys, rope_parameters
from ftspec.families.weights.tokens import added
from ftspec.mapping import Flat

TEMPLATE = files("ftspec.families") / "templates" / "train.py.j2"
LOADING = ("revision", "dtype", "attn_implementation")
"""Arguments of from_pretrained that the trainer passes on (model_init_kwargs)."""
CALLS = (
    "AutoTokenizer.from_pretrained",
    "AutoModelForCausalLM.from_pretrained",
    "AutoModelForImageTextToText.from_pretrained",
    "AutoProcessor.from_pretrained",
    "PeftModel.from_pretrained",
    *(trainer.name for trainer in TRAINERS),
)


def emit_trl(native: Flat, job: Job, title: str) -> File:
    """train.py."""
    loading = {name: native[f"model.{name}"] for name in LOADING}
    if place := native.get(stored.PLACE):
        loading["device_map"] = place
    if rope := rope_parameters(native):
        loading["rope_parameters"] = rope
    trust, trainer = native["model.trust_remote_code"], trainer_of(native)
    config = trainer.prefix
    adapter = native.get("model.adapter")
    quantisation = arguments(native, QUANTISED)
    loaded = (
        adapter is not None
        or native["tuner"] == "partial"
        or bool(quantisation)
        or images.READ in native
        or QAT in native
        or FLOAT8 in native
        or bool(added(native))
        or stored.context(native)["stored"] is not None
    )
    more: dict[str, Any] = {}
    if not loaded:
        if trainer.teaches:
            taught = {"revision": native[gkd.REVISION], "trust_remote_code": trust}
            more[f"{config}teacher_model_init_kwargs"] = loading | taught
        more |= {
            f"{config}model_init_kwargs": {**loading, **trainer.loading},
            f"{config}trust_remote_code": trust,
        }
    return emit_script(
        TEMPLATE,
        {**native, **more},
        job,
        title,
        name=native["model.name"],
        adapter=adapter,
        loaded=loaded,
        quantisation={"": quantisation} if quantisation else None,
        seed=argument(native, "seed"),
        loading={"": loading | {"trust_remote_code": trust}},
        whole={"": loading | {"dtype": "float32", "trust_remote_code": trust}},
        referring={"": referring(native, loading | {"trust_remote_code": trust})},
    )


def read_trl(written: Sequence[File]) -> dict[str, Any]:
    """Native values of the script and its launch command."""
    read = read_script(written, (*CALLS, QUANTISED.rstrip("."), *stored.CALLS.values()))
    native = {key: value for key, value in read.items() if not key.startswith(CALLS)}
    config = trainer_of(native).prefix
    loading = native.pop(f"{config}model_init_kwargs", None)
    if loading is None:
        seeing = "ImageTextToText" if images.READ in native else "CausalLM"
        model = f"AutoModelFor{seeing}.from_pretrained."
        if (adapter := read.get("PeftModel.from_pretrained.1")) is not None:
            native |= {"model.adapter": adapter, "tuner": "lora"}
        else:
            native = {"tuner": "full"} | adapters.read_adapter(native)
        names = (*LOADING, "trust_remote_code", "rope_parameters", "device_map")
        loading = {name: read[model + name] for name in names if model + name in read}
    else:
        native = {"tuner": "full"} | adapters.read_adapter(native)
        loading.pop("device_map", None)
        loading["trust_remote_code"] = native.pop(f"{config}trust_remote_code")
    loading["name"] = read["AutoTokenizer.from_pretrained.0"]
    if (taught := native.pop(f"{config}teacher_model_init_kwargs", None)) is not None:
        native[gkd.TEACHER] = read[f"{trainer_of(native).name}.teacher_model"]
        native[gkd.REVISION] = taught["revision"]
    native |= read_reference(read, loading["name"])
    native |= rope_keys(loading.pop("rope_parameters", None))
    return native | {f"model.{name}": value for name, value in loading.items()}
