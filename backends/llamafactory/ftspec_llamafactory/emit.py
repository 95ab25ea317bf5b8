"""Native values -> train.yaml in upstream's sections, dataset_info.json, launch script, requirements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from ftspec.backend import MODEL_COPY, File, Job
from ftspec.emit import json, yaml
from ftspec.emit.plain import one_line
from ftspec.families.scripts.script import companions, headline
from ftspec.families.training import fsdp
from ftspec.families.training.launch import NODES, PROCESSES
from ftspec.families.training.zero import DS, ENGINE, engine_text
from ftspec.families.weights.rope import KEY as ROPE_KEY
from ftspec.families.weights.rope import rope_parameters
from ftspec.families.weights.tokens import NAMED, NEW, named
from ftspec.mapping import Flat
from ftspec_llamafactory import engine
from ftspec_llamafactory.tokens import token_files, token_keys

CONFIG = "train.yaml"
ROPE = "rope.json"
"""Which model the copy is made of, and how its positions are stretched: for people, and to read back."""
TITLE = "LLaMA-Factory"
SECTIONS: dict[str, tuple[str, ...]] = {
    "model": (
        "model_", "trust_remote_code", "flash_attn", "quantization_", "double_quantization",
        "image_", "crop_to_patches", "upcast_layernorm", "resize_vocab", "init_special", "new_special",
        "enable_liger", "adapter_name", "create_new",
    ),
    "method": (
        "stage", "do_train", "finetuning_type", "freeze_", "use_llama_pro", "oft_", "module_dropout", "lora",
        "additional_target", "use_rslora", "use_dora", "pissa_", "use_dft_loss", "use_eaft", "eaft_",
        "use_asft", "asft_",
        "pref_", "simpo_", "dpo_", "kto_", "ref_model", "moe_aux_loss",
        "disable_gradient", "use_reentrant",
    ),
    "dataset": (
        "dataset", "media_dir", "tokenized_path", "template", "enable_thinking", "default_system",
        "cutoff_len", "train_on_prompt", "mask_history", "max_samples", "mix_strategy", "val_size",
        "streaming", "packing", "neat_packing", "overwrite_cache", "preprocessing_", "disable_shuffling",
        "train_sampling", "dataloader_",
    ),
    "output": (
        "output_dir", "overwrite_output", "logging_", "save_", "plot_loss", "report_to",
        "run_name", "push_to", "hub_",
    ),
    "train": (
        "per_device_train", "gradient_acc", "average_", "learning_rate", "num_train_epochs",
        "max_steps", "lr_", "warmup_", "optim", "use_muon", "use_galore", "galore_", "use_badam",
        "badam_", "adam", "weight_decay", "max_grad_norm",
        "label_smoothing", "neftune", "bf16", "pure_bf16", "fp16", "tf32", "use_cpu", "seed", "data_seed",
        "",
        "resume_from",
    ),
    "eval": (
        "eval_dataset", "per_device_eval", "eval_", "load_best", "metric_for", "greater_is", "early_stopping",
    ),
}  # fmt: skip
"""Upstream's sections (its examples/), and the beginnings of the keys in each, in order.

The rest stands at the empty one.
"""
SPLITS = {"dataset_info.train": "dataset", "dataset_info.eval": "eval_dataset"}


def emit(native: Flat, job: Job) -> Sequence[File]:
    """The files of one run."""
    config, registry = _config(native)
    places = {key: _place(key) for key in config}
    ordered = sorted(config, key=places.__getitem__)
    sections = [
        (name, {key: config[key] for key in ordered if places[key][0] == number})
        for number, name in enumerate(SECTIONS)
    ]
    text = f"# {one_line(headline(job, TITLE))}\n\n" + yaml.dump([s for s in sections if s[1]])
    files = [File.text(CONFIG, text)]
    if stretched := rope_parameters(native):
        told = {"model": native["model_name_or_path"], "rope_parameters": stretched}
        files.append(File.text(ROPE, json.dump(told)))
    for name, said in token_files(native, native["model_name_or_path"]):
        files.append(File.text(name, json.dump(said)))
    if registry:
        files.append(File.text("dataset_info.json", json.dump(registry)))
    if engine.KEY in native:
        files.append(File.text(ENGINE, engine_text(native)))
    return [*files, *companions(job, TITLE, launch(native), environment(native))]


def launch(_native: Flat) -> Sequence[str]:
    """argv; several processes are asked for by environment variables, which its own launcher reads."""
    return ("{bin}/llamafactory-cli", "train", CONFIG)


def environment(native: Flat) -> dict[str, str]:
    """Variables that its launcher reads to start torchrun (launcher.py), and accelerate to shard.

    NODE_RANK and MASTER_ADDR are each machine's own.
    """
    processes, nodes = native.get(PROCESSES, 1), native.get(NODES, 1)
    if processes == nodes == 1 and not fsdp.sharded(native) and engine.KEY not in native:
        return {}
    started = {"FORCE_TORCHRUN": "1", "NNODES": str(nodes), "NPROC_PER_NODE": str(processes)}
    return started | fsdp.environment(native) | engine.environment(native)


@cache
def _place(key: str) -> tuple[int, int, bool]:
    """Where a key stands: its section, and there by the longest beginning; `dataset` before `dataset_dir`."""
    _, section, number = max(
        (len(start), section, number)
        for section, starts in enumerate(SECTIONS.values())
        for number, start in enumerate(starts)
        if key.startswith(start)
    )
    return section, number, key not in SPLITS.values()


def _config(native: Flat) -> tuple[dict[str, Any], dict[str, Any]]:
    """YAML keys, and the registry of data sets."""
    pseudo = (*SPLITS, "launch.", DS, ROPE_KEY, NAMED, NEW)
    config = {k: v for k, v in native.items() if not k.startswith(pseudo)}
    config |= token_keys(native)
    if rope_parameters(native) or named(native):
        config["model_name_or_path"] = f"./{MODEL_COPY}"
    registry: dict[str, Any] = {}
    for split, key in SPLITS.items():
        names = dict(_named(split.removeprefix("dataset_info."), native.get(split, ())))
        registry |= names
        if names:
            config["dataset_dir"] = "."
            config[key] = ",".join(names)
    if "tokenized_path" in config:
        # unused, but the parser insists on names (hparams/parser.py): of the training data, and of
        # the evaluation data where there is to be an evaluation
        config["dataset"] = "tokenized"
        if config["eval_strategy"] != "no":
            config["eval_dataset"] = "tokenized"
    return config, registry


def _named(split: str, entries: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, entry in enumerate(entries, start=1):
        yield (split if len(entries) == 1 else f"{split}_{number}"), entry
