"""LLaMA-Factory's YAML or JSON, with dataset_info.json.

Read as 0.9.5 reads it: OmegaConf's YAML (hparams/parser.py), its dataclasses, and what the end of the
parser makes of them.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.llamafactory_data import sources, split_names
from ftspec.port.rules import Context, Outcome, group, inert, nearly, one_of, renamed, unknown
from ftspec.read import yaml


def _plain(setting: Setting, _context: Context) -> Outcome:
    return Outcome("exact", {setting.key: setting.value})


def _listed(setting: Setting, context: Context) -> Outcome:
    """Names in one text or in a list: it takes both."""
    value = setting.value
    return _plain(
        setting._replace(value=",".join(map(str, value)) if isinstance(value, list) else value),
        context,
    )


def _trains(setting: Setting, _context: Context) -> Outcome:
    return Outcome("exact" if setting.value else "unknown", why="a spec is for training")


def _ratio(setting: Setting, context: Context) -> Outcome:
    if setting.value is None or (not setting.value and not _five(context)):
        return Outcome("inert", why="no warm-up is asked for by it")
    if context.get("warmup_steps") and not _five(context):
        return Outcome("inert", why="transformers 4 takes warmup_steps where both are set")
    return Outcome("renamed", {"warmup_steps": setting.value})


def _steps(setting: Setting, context: Context) -> Outcome:
    if context.get("warmup_ratio") is not None and (_five(context) or not setting.value):
        return Outcome("inert", why="warmup_ratio stands in its place")
    return Outcome("exact", {"warmup_steps": setting.value})


def _five(context: Context) -> bool:
    """Whether it runs on transformers 5, where the ratio is a number of steps below 1."""
    return context.assumed("warmup_ratio") is None


def _stage(setting: Setting, _context: Context) -> Outcome:
    word = {"pt": "cpt", "rm": "reward"}.get(setting.value, setting.value)
    return Outcome("exact", {"stage": setting.value}, {"method.objective.type": word})


def _named(setting: Setting, context: Context) -> Outcome:
    found = sources(split_names(setting.value), context)
    path = "data.eval" if setting.key == "eval_dataset" else "data.train"
    if found.missing:
        return Outcome("unknown", why=found.missing)
    return Outcome("derived", spec={path: found.sources}, why=found.why)


def _template(setting: Setting, context: Context) -> Outcome:
    if setting.value == "empty" and context.get("tokenized_path"):
        return Outcome("exact", {"template": setting.value})
    return Outcome(
        "approximated",
        why=f"its own template {setting.value!r} becomes the one that comes with the tokenizer",
    )


def _tokenized(setting: Setting, context: Context) -> Outcome:
    if context.get("template") == "empty":
        return Outcome("exact", {"tokenized_path": setting.value})
    return Outcome(
        "approximated",
        why="rows are made anew from the other settings; saved ones, if there are any, are not read",
    )


def _complete(context: Context) -> Completion:
    native: dict[str, Any] = {
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
    }
    if context.get("packing") is None:
        native["packing"] = context.get("stage") == "pt"  # the end of its parser
    questions = []
    if not context.get("do_train"):
        questions.append("do_train is not set: this config trains nothing, it evaluates or chats")
    # its own way of cutting, in proportion from prompt and answer, is what the row of the map tells
    return Completion(native, {"data.overflow": "truncate"}, tuple(questions))


_SPEED = "how fast, not what"
_SHOWN = "what is shown or kept afterwards, not what is trained"

format = Format(
    name="llamafactory",
    title="LLaMA-Factory",
    backend="llamafactory",
    package="llamafactory",
    signs=frozenset(
        {
            "stage",
            "finetuning_type",
            "template",
            "cutoff_len",
            "dataset_dir",
            "lora_target",
            "lora_rank",
            "do_train",
            "dataset",
            "plot_loss",
            "infer_backend",
            "quantization_bit",
            "pref_loss",
            "pref_beta",
            "mask_history",
            "train_on_prompt",
            "max_samples",
        }
    ),
    scalar=yaml.scalar,
    otherwise=_plain,
    complete=_complete,
    rules={
        "stage": _stage,
        "do_train": _trains,
        "do_eval": inert("evaluation follows from eval_strategy"),
        "lora_target": _listed,
        "additional_target": _listed,
        "dataset": _named,
        "eval_dataset": _named,
        "dataset_dir": inert("where dataset_info.json stands: the files are named in data.train"),
        "template": _template,
        "tokenized_path": _tokenized,
        "warmup_ratio": _ratio,
        "warmup_steps": _steps,
        "do_predict": inert("predicts after the training, from the same weights"),
        "flash_attn": one_of(
            auto=renamed("flash_attn", lambda _: "sdpa", "transformers takes sdpa"),
            true=renamed("flash_attn", lambda _: "fa2", "an older way to say fa2"),
            false=renamed("flash_attn", lambda _: "sdpa", "an older way to say auto"),
            otherwise=_plain,
        ),
        # names that older versions had
        "evaluation_strategy": renamed("eval_strategy"),
        "checkpoint_dir": renamed("adapter_name_or_path"),
        "hub_private_repo": _plain,
        "sft_packing": renamed("packing"),
        "dpo_beta": renamed("pref_beta"),
        "dpo_loss": renamed("pref_loss"),
        "dpo_ftx": renamed("pref_ftx"),
        "num_layer_trainable": renamed("freeze_trainable_layers"),
        "name_module_trainable": renamed("freeze_trainable_modules"),
        "overwrite_cache": inert("a compiled run never takes rows from a cache"),
        "overwrite_output_dir": inert("a run of ftspec has a folder of its own"),
        "per_gpu_train_batch_size": renamed("per_device_train_batch_size"),
        "no_cuda": renamed("use_cpu"),
        **group(
            _SPEED,
            "preprocessing_num_workers",
            "preprocessing_batch_size",
            "dataloader_num_workers",
            "dataloader_pin_memory",
            "dataloader_persistent_workers",
            "dataloader_prefetch_factor",
            "ddp_timeout",
            "ddp_find_unused_parameters",
            "ddp_bucket_cap_mb",
            "low_cpu_mem_usage",
            "data_shared_file_system",
            "torch_empty_cache_steps",
        ),
        **group(
            _SHOWN,
            "plot_loss",
            "save_only_model",
            "save_safetensors",
            "run_name",
            "log_level",
            "logging_dir",
            "disable_tqdm",
            "include_num_input_tokens_seen",
            "include_tokens_per_second",
            "include_effective_tokens_per_second",
            "print_param_status",
            "hub_strategy",
            "cache_dir",
        ),
        **group(
            "for generation, not for training",
            "max_new_tokens",
            "top_k",
            "top_p",
            "temperature",
            "infer_backend",
            "predict_with_generate",
        ),
        "disable_gradient_checkpointing": _plain,
        "use_unsloth": nearly("Unsloth's kernels, which are a backend of their own here"),
        "val_size": unknown(
            "a share of the rows held out by chance: name rows in data.eval, a spec does not split"
        ),
    },
    accepted={
        "overwrite_cache": "a cache is a matter of speed",
        "logging_nan_inf_filter": "what is shown, not what is trained",
        "use_reentrant_gc": "both ways recompute the same activations",
        "create_new_adapter": "one adapter goes on",
        "overwrite_output_dir": "a run of ftspec has a folder of its own",
    },
)
