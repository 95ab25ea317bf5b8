"""Native values -> train.yaml in upstream's sections, dataset_info.json, launch script, requirements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ftspec.backend import File, Job
from ftspec.emit import json, yaml
from ftspec.emit.plain import one_line
from ftspec.families.launch import NODES, PROCESSES
from ftspec.families.script import companions, headline
from ftspec.mapping import Flat

CONFIG = "train.yaml"
TITLE = "LLaMA-Factory"
SECTIONS: dict[str, tuple[str, ...]] = {
    "model": ("model_", "trust_remote_code", "flash_attn", "adapter_name", "create_new"),
    "method": (
        "stage", "do_train", "finetuning_type", "lora_", "additional_target", "use_rslora",
        "disable_gradient", "use_reentrant",
    ),
    "dataset": (
        "dataset", "eval_dataset", "template", "tokenized_path", "cutoff_len", "train_on_prompt",
        "mask_history", "packing", "overwrite_cache", "disable_shuffling", "dataloader_",
    ),
    "output": ("output_dir", "logging_", "save_", "report_to", "overwrite_output", "push_to", "hub_"),
    "train": (),
    "eval": ("eval_",),
}  # fmt: skip
"""Upstream's sections (its examples/), and the beginnings of the keys in each; the rest is `train`."""
SPLITS = {"dataset_info.train": "dataset", "dataset_info.eval": "eval_dataset"}


def emit(native: Flat, job: Job) -> Sequence[File]:
    """The files of one run."""
    config, registry = _config(native)
    sections = [
        (name, {k: v for k, v in config.items() if section_of(k) == name}) for name in SECTIONS
    ]
    text = f"# {one_line(headline(job, TITLE))}\n\n" + yaml.dump([s for s in sections if s[1]])
    files = [File.text(CONFIG, text)]
    if registry:
        files.append(File.text("dataset_info.json", json.dump(registry)))
    return [*files, *companions(job, TITLE, launch(native), environment(native))]


def launch(_native: Flat) -> Sequence[str]:
    """argv; several processes are asked for by environment variables, which its own launcher reads."""
    return ("{bin}/llamafactory-cli", "train", CONFIG)


def environment(native: Flat) -> dict[str, str]:
    """Variables that its launcher reads to start torchrun (launcher.py).

    NODE_RANK and MASTER_ADDR are each machine's own.
    """
    processes, nodes = native.get(PROCESSES, 1), native.get(NODES, 1)
    if processes == nodes == 1:
        return {}
    return {"FORCE_TORCHRUN": "1", "NNODES": str(nodes), "NPROC_PER_NODE": str(processes)}


def section_of(key: str) -> str:
    """The section a key stands in."""
    fitting = (name for name, starts in SECTIONS.items() if key.startswith(starts))
    return next(fitting, "train")


def _config(native: Flat) -> tuple[dict[str, Any], dict[str, Any]]:
    """YAML keys, and the registry of data sets."""
    config = {k: v for k, v in native.items() if k not in SPLITS and not k.startswith("launch.")}
    registry: dict[str, Any] = {}
    for split, key in SPLITS.items():
        names = dict(_named(split.removeprefix("dataset_info."), native.get(split, ())))
        registry |= names
        if names:
            config["dataset_dir"] = "."
            config[key] = ",".join(names)
    if "tokenized_path" in config:
        config["dataset"] = (
            "tokenized"  # unused, but the parser insists on a name (hparams/parser.py)
        )
    return config, registry


def _named(split: str, entries: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, entry in enumerate(entries, start=1):
        yield (split if len(entries) == 1 else f"{split}_{number}"), entry
