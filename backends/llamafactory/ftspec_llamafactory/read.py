"""train.yaml, dataset_info.json and launch.sh -> native values. Nothing is executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftspec.backend import File
from ftspec.families.training.fsdp import read_environment
from ftspec.families.training.launch import NODES, PROCESSES
from ftspec.families.training.zero import ENGINE, read_engine
from ftspec.families.weights.rope import rope_keys
from ftspec.families.weights.tokens import NAMED
from ftspec.mapping import Flat
from ftspec.read import json, shell, yaml
from ftspec_llamafactory.emit import CONFIG, ROPE, SPLITS
from ftspec_llamafactory.tokens import FILE, NAMED_FILE, read_new


def read(written: Sequence[File]) -> Flat:
    """Native values of an emitted folder."""
    texts = {file.path: file.content.decode() for file in written}
    native: dict[str, Any] = dict(yaml.read(texts[CONFIG]))
    if ROPE in texts:
        told = json.read(texts[ROPE])
        native |= {"model_name_or_path": told["model"], **rope_keys(told["rope_parameters"])}
    if NAMED_FILE in texts:
        told = dict(json.read(texts[NAMED_FILE]))
        native["model_name_or_path"] = told.pop("model")
        native |= {f"{NAMED}{name}": token for name, token in told.items()}
    native |= read_new(native, json.read(texts.get(FILE, "{}")))
    registry = json.read(texts.get("dataset_info.json", "{}"))
    native.pop("dataset_dir", None)
    for split, key in SPLITS.items():
        names = [name.strip() for name in native.pop(key, "").split(",") if name.strip()]
        if names and all(name in registry for name in names):
            native[split] = tuple(registry[name] for name in names)
    _argv, environ = shell.read(texts["launch.sh"])
    native[PROCESSES] = int(environ.get("NPROC_PER_NODE", 1))
    native[NODES] = int(environ.get("NNODES", 1))
    native |= read_environment(environ)
    native |= read_engine(texts[ENGINE]) if ENGINE in texts else {}
    return native
