"""torchtune's YAML, as the recipes of 0.6.1 read it (recipes/lora_finetune_single_device.py and others).

It has no defaults of its own: a recipe takes nearly every key from its config. What torch's optimizers
assume where a key is missing counts: AdamW decays by 0.01, and every weight.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.torchtune.forms import BRACKETS
from ftspec.port.formats.torchtune.learning import (
    CONFIG,
    LEARNING_RULES,
    SHARDED,
    adapted,
    assumed_decay,
    objective,
    word,
)
from ftspec.port.formats.torchtune.model import MODEL_RULES, adapters, unplaced
from ftspec.port.formats.torchtune.purposes import is_torchtune, missing, untrained
from ftspec.port.formats.torchtune.references import resolved
from ftspec.port.formats.torchtune.rows import (
    ROW_RULES,
    entries,
    form_of,
    kinds,
    source_of,
    talks,
    tokenizer,
    trains_whole,
)
from ftspec.port.rules import (
    Context,
    Outcome,
    group,
    inert,
    renamed,
    says,
    section,
    unknown,
    unless,
)
from ftspec.read import yaml

SIGNS = frozenset(
    (
        "checkpointer", "tokenizer", "metric_logger", "log_peak_memory_stats", "max_steps_per_epoch",
        "enable_activation_checkpointing", "enable_activation_offloading", "profiler", "loss",
        "clip_grad_norm", "optimizer_in_bwd", "save_adapter_weights_only",
    )
)  # fmt: skip
ORDER_SEED = 0
"""Of the order of rows, whatever the seed is: StatefulDistributedSampler gets it in every recipe."""
SHOWN = "what is shown or kept, not what is trained"
FAST = "how fast, or where things lie: not what is trained"
LOGGERS = {"WandBLogger": "wandb", "TensorBoardLogger": "tensorboard"}
LAST_ROWS = (
    "rows that do not fill a step at the end of an epoch: torchtune leaves those out that fill no batch, and "
    "adds the gradients of the others to the next epoch's first step; here they make a step of their own"
)
CUT_EARLY = "an end that does not train takes the last place of a longer row there"
CUT_ENDS = "the last token of a longer row gives way to an end of text there"


def _length(setting: Setting, context: Context) -> Outcome:
    native, value, form = f"{CONFIG}max_length", setting.value, form_of(context)
    if value is None and any(one.get("packed") for one in entries(context)):
        return Outcome("unknown", why="it packs up to a length, and stops without one")
    if value is None or kinds(context) == {"text"}:
        # a text loses its end, and keeps one token fewer: datasets/_text_completion.py
        return Outcome("renamed" if value is None else "derived", {native: value and value - 1})
    if objective(context) == "dpo" or form is None or form.cut == "trained":
        return Outcome("approximated", {native: value}, why=CUT_ENDS)
    if form.cut == "plain":
        return Outcome("renamed", {native: value})
    return Outcome("derived", {native: value - 1}, why=CUT_EARLY)


def _special(setting: Setting, context: Context) -> Outcome:
    folder = str(section(context, "checkpointer").get("checkpoint_dir")).rstrip("/")
    if setting.value is None or str(setting.value).startswith(f"{folder}/"):
        return Outcome("inert", why="the model's own files")
    return Outcome("unknown", why="special tokens of another file than the model's own")


def _prompts(setting: Setting, context: Context) -> Outcome:
    if setting.value is not None:
        return Outcome("unknown", why="a prompt template of its own")
    if word(context, "tokenizer") in BRACKETS:
        return Outcome("unknown", why="it takes away the [INST] ... [/INST] around prompts")
    return Outcome("inert", why="none")


def _steps(setting: Setting, context: Context) -> Outcome:
    if setting.value is None:
        return Outcome("inert", why="all rows of an epoch")
    steps = setting.value * (context.get("epochs") or 1)
    why = "an epoch of fewer steps ends before; a new one does not begin with other rows here"
    return Outcome("approximated", {f"{CONFIG}max_steps": steps}, why=why)


def _epochs(setting: Setting, context: Context) -> Outcome:
    if context.get("max_steps_per_epoch"):
        return Outcome("derived", of=("train.steps",))
    return Outcome("renamed", {f"{CONFIG}num_train_epochs": float(setting.value)})


def _otherwise(setting: Setting, context: Context) -> Outcome:
    named = context.document.named
    if any(setting.key == key or setting.key.startswith(f"{key}.") for key in named):
        return Outcome("inert", why="other settings refer to it")
    return unless((None, False), "it is off", unknown("only torchtune has it"))(setting, context)


def _evaluated(setting: Setting, context: Context) -> Outcome:
    if context.get("run_val_every_n_steps") is None:
        return Outcome("inert", why="run_val_every_n_steps is not set: nothing is evaluated")
    return Outcome("unknown", why="its evaluation is not read")


def _logger(setting: Setting, _context: Context) -> Outcome:
    name = str(setting.value).rpartition(".")[2]
    if name in LOGGERS:
        return Outcome("derived", {f"{CONFIG}report_to": [LOGGERS[name]]})
    return Outcome("inert", why=SHOWN)


def _complete(context: Context) -> Completion:
    full = not adapted(context)
    learned, text = objective(context), kinds(context) == {"text"}
    native: dict[str, Any] = {
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
        "data.prepare": "framework",
        "data.shape": "text" if text else "messages",
        "tuner": "full" if full else "lora",
        f"{CONFIG}max_length": None,
        f"{CONFIG}learning_rate": 0.01 if word(context, "optimizer") == "Adagrad" else 0.001,
        f"{CONFIG}weight_decay": assumed_decay(context),
        f"{CONFIG}max_grad_norm": 0.0,
        f"{CONFIG}logging_nan_inf_filter": False,
        f"{CONFIG}gradient_checkpointing": False,
        f"{CONFIG}logging_steps": 1,
        f"{CONFIG}lr_scheduler_type": "constant",
        **({} if full else adapters(context)),
    }
    found = [source_of(one, form_of(context)) for one in entries(context)]
    whole = all(map(trains_whole, entries(context)))
    spec: dict[str, Any] = {
        "method.objective.type": "cpt" if text and learned == "sft" else learned,
        "data.train_on": "all" if whole and learned == "sft" else "assistant",
        "train.save_steps": "epoch",
        "train.data_seed": ORDER_SEED,
    }
    if "gemma2" in word(context, "model"):
        spec["model.attention"] = (
            "eager"  # sdpa leaves out the cap on its scores, which torchtune has
        )
    if learned == "dpo":
        spec["data.train_on"] = "completions"
    if full and section(context, "optimizer").get("weight_decay", assumed_decay(context)):
        spec["train.weight_decay_on"] = "all"
    if context.devices > 1 or SHARDED & {*context.document.data}:
        # its recipes for several devices shard by `fully_shard`, and cut weights after the forward pass
        again = context.get("fsdp_reshard_after_forward", True) is not False
        spec["hardware.fsdp.sharding_strategy"] = "full_shard" if again else "shard_grad_op"
    if "lr_scheduler" not in context.document.data:
        spec |= {"train.warmup_steps": 0, "train.warmup_ratio": None}
    if found and None not in found:
        spec["data.train"] = tuple(found)
        spec |= _ended(context, text)
    notes = () if context.get("max_steps_per_epoch") else (LAST_ROWS,)
    if (purpose := untrained(context.document.data)) is not None:
        return Completion(native, spec, (purpose,), trains=False)
    lost = missing(context.document.data) if learned in ("sft", "dpo") else ()
    return Completion(native, spec, (*unplaced(context), *lost), notes)


def _ended(context: Context, text: bool) -> dict[str, Any]:
    """The token that ends what no chat template writes."""
    form = form_of(context)
    if form is None or talks(context):
        return {}
    eos = form.text_eos if text else form.eos
    return {"model.special_tokens.eos": eos} if eos else {}


format = Format(
    name="torchtune",
    title="torchtune",
    backend="trl",
    signs=SIGNS,
    scalar=yaml.scalar,
    keeps=False,
    recognise=is_torchtune,
    prepare=resolved,
    otherwise=_otherwise,
    complete=_complete,
    rules={
        **MODEL_RULES,
        **LEARNING_RULES,
        **ROW_RULES,
        "tokenizer._component_": tokenizer,
        "tokenizer.max_seq_len": _length,
        "tokenizer.prompt_template": _prompts,
        **group("the model's own files", *(f"tokenizer.{key}" for key in (
            "path", "merges_file", "vocab_path", "merges_path"))),
        "tokenizer.special_tokens_path": _special,
        "tokenizer.truncation_type": unless(
            ("right", None), "a row loses its end", unknown("its beginning goes")),
        "tokenizer.": unless((None,), "the builder's own", unknown("only torchtune has it")),
        "optimizer.lr": renamed(f"{CONFIG}learning_rate"),
        "optimizer.weight_decay": renamed(f"{CONFIG}weight_decay"),
        "optimizer.eps": renamed(f"{CONFIG}adam_epsilon"),
        "optimizer.fused": inert("the same optimizer in another kernel"),
        "lr_scheduler.num_warmup_steps": says("train.warmup_steps"),
        "batch_size": renamed(f"{CONFIG}per_device_train_batch_size"),
        "gradient_accumulation_steps": renamed(f"{CONFIG}gradient_accumulation_steps"),
        "epochs": _epochs,
        "max_steps_per_epoch": _steps,
        "seed": unless((None,), "drawn by chance there", renamed(f"{CONFIG}seed")),
        "shuffle": says("data.shuffle"),
        "device": unless(("cuda",), "a GPU", says("hardware.device")),
        "output_dir": renamed(f"{CONFIG}output_dir"),
        "enable_activation_checkpointing": renamed(f"{CONFIG}gradient_checkpointing"),
        "resume_from_checkpoint": unless((False,), "from the beginning", unknown("its own checkpoints")),
        "log_every_n_steps": unless((None,), "each step", renamed(f"{CONFIG}logging_steps")),
        "fsdp_cpu_offload": says("hardware.fsdp.offload_parameters"),
        "fsdp_reshard_after_forward": lambda _s, _c: Outcome(
            "derived", of=("hardware.fsdp.sharding_strategy",)),
        "tensor_parallel_dim": unless((1,), "not split", unknown("weights split over devices")),
        "tensor_parallel_plan.": unless((), "", lambda _s, context: Outcome(
            "inert" if context.get("tensor_parallel_dim", 1) == 1 else "unknown",
            why="weights split over devices")),
        "collate_fn": unless(
            ("torchtune.data.padded_collate_sft",), "it pads", unknown("images are out of scope")
        ),
        "metric_logger._component_": _logger,
        **dict.fromkeys(("run_val_every_n_steps", "batch_size_val", "dataset_val."), _evaluated),
        **group(SHOWN, "metric_logger.", "log_peak_memory_stats", "profiler.", "save_adapter_weights_only",
                "log_level", "enable_async_checkpointing", "save_last_epoch_only"),
        **group(FAST, "compile", "compile.", "enable_activation_offloading", "low_cpu_ram",
                "custom_sharded_layers", "ac_mode", "ac_option", "cudnn_deterministic_mode",
                "memory_efficient_fsdp_wrap"),
    },
)  # fmt: skip
