"""torchtune's YAML, as the recipes of 0.6.1 read it (recipes/lora_finetune_single_device.py and others).

It has no defaults of its own: a recipe takes nearly every key from its config. What torch's optimizers
assume where a key is missing counts: AdamW decays by 0.01.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.training.optimizers import NAMES
from ftspec.port.fates import Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.torchtune.alpaca import FORMS, TRAINED, is_column, written
from ftspec.port.formats.trl.data import FEW, files_of, source
from ftspec.port.rules import (
    Context,
    Outcome,
    derived,
    group,
    inert,
    renamed,
    says,
    section,
    unknown,
    unless,
)
from ftspec.read import yaml

CONFIG = "SFTConfig."
LORA = "LoraConfig."
SIGNS = frozenset(
    (
        "checkpointer", "tokenizer", "metric_logger", "log_peak_memory_stats", "max_steps_per_epoch",
        "enable_activation_checkpointing", "enable_activation_offloading", "profiler", "loss",
        "clip_grad_norm", "optimizer_in_bwd", "save_adapter_weights_only",
    )
)  # fmt: skip
MODULES = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "output_proj": "o_proj"}
MLP = ("gate_proj", "up_proj", "down_proj")
OPTIMIZERS = {
    "torch.optim.AdamW": "adamw", "bitsandbytes.optim.PagedAdamW": "paged-adamw",
    "bitsandbytes.optim.PagedAdamW8bit": "paged-adamw-8bit", "bitsandbytes.optim.AdamW8bit": "adamw-8bit",
    "torch.optim.SGD": "sgd", "torch.optim.Adagrad": "adagrad",
}  # fmt: skip
ROWS = {
    "alpaca_dataset": ("alpaca", "tatsu-lab/alpaca"),
    "alpaca_cleaned_dataset": ("alpaca", "yahma/alpaca-cleaned"),
    "text_completion_dataset": ("text", None),
}
"""Builders of data sets: the format of their rows, and the source where none is named."""
PROMPT = (
    "what its tokenizer writes around the prompt is not known: the model's chat template does it"
)
SHOWN = "what is shown or kept, not what is trained"


def _word(context: Context, name: str) -> str:
    return str(section(context, name).get("_component_") or "")


def _adapted(context: Context) -> bool:
    return "lora_rank" in section(context, "model")


def _targets(context: Context) -> list[str]:
    model = section(context, "model")
    modules = model.get("lora_attn_modules")
    modules = modules if isinstance(modules, list) else []
    named = [MODULES.get(str(one), str(one)) for one in modules]
    mlp = list(MLP) if model.get("apply_lora_to_mlp") else []
    return [*named, *mlp, *(["lm_head"] if model.get("apply_lora_to_output") else [])]


def _of_targets(_setting: Setting, context: Context) -> Outcome:
    return Outcome("derived", {f"{LORA}target_modules": _targets(context)})


def _model(setting: Setting, context: Context) -> Outcome:
    name = str(setting.value).rpartition(".")[2]
    if name.startswith("qlora"):
        return Outcome(
            "approximated",
            of=("model.quantization.type",),
            why="torchao's nf4 becomes bitsandbytes'",
        )
    if "vision" in name or name.startswith("dora"):
        return Outcome("unknown", why=f"{name} is not read")
    return Outcome("derived", why="which model it is follows from its files", of=("model.name",))


def _optimizer(setting: Setting, _context: Context) -> Outcome:
    kind = OPTIMIZERS.get(str(setting.value))
    if kind is None:
        return Outcome("unknown", why=f"the optimizer {setting.value} is not in a spec")
    return Outcome("renamed", {f"{CONFIG}optim": NAMES[kind]})


def _decay(setting: Setting, context: Context) -> Outcome:
    native = {f"{CONFIG}weight_decay": setting.value}
    if _adapted(context) or not setting.value:
        return Outcome("renamed", native)
    return Outcome("approximated", native, why="biases and norms decay too there")


def _schedule(setting: Setting, _context: Context) -> Outcome:
    if str(setting.value).endswith("get_cosine_schedule_with_warmup"):
        return Outcome("derived", spec={"train.schedule.type": "cosine"})
    return Outcome("unknown", why=f"the schedule {setting.value} is not in a spec")


def _source(context: Context) -> dict[str, Any] | None:
    data = section(context, "dataset")
    name = _word(context, "dataset").rpartition(".")[2]
    shape, place = ROWS.get(name, ("auto", None))
    place = data.get("source") or place
    if not isinstance(place, str):
        return None
    if name == "chat_dataset":
        shape = {"sharegpt": "sharegpt", "openai": "messages"}.get(
            str(data.get("conversation_style")), "auto"
        )
    found = source(place, data.get("subset"), data.get("split"), files=data.get("data_files"))
    if shape == "alpaca":
        names = section(context, "dataset").get("column_map") or {}
        form = FORMS.get(_word(context, "tokenizer").rpartition(".")[2])
        if form is not None:
            return {**found, "template": written(form, names)}
        return {**found, "format": shape, "columns": names}
    column = data.get("column") or data.get("conversation_column")
    names = {"text": "text", "messages": "messages", "sharegpt": "conversations"}
    if column and shape in names and column != names[shape]:
        found["columns"] = {names[shape]: column}
    return {**found, "format": shape}


def _files(setting: Setting, context: Context) -> Outcome:
    if files_of(section(context, "dataset").get("source"), setting.value) is None:
        return Outcome("unknown", why=FEW)
    return Outcome("derived", of=("data.train",))


def _dataset(setting: Setting, context: Context) -> Outcome:
    name = str(setting.value).rpartition(".")[2]
    if _source(context) is None:
        return Outcome("unknown", why=f"what {name} reads is not known")
    if name.startswith("alpaca") and (odd := _odd(context)):
        return Outcome("approximated", of=("data.train",), why=odd)
    return Outcome("derived", of=("data.train",))


def _odd(context: Context) -> str:
    """What of its rows of Alpaca is otherwise here; nothing where they are the same."""
    form = FORMS.get(_word(context, "tokenizer").rpartition(".")[2])
    if form is None:
        return PROMPT
    opened = form.before and not section(context, "dataset").get("train_on_input", True)
    return form.odd or (TRAINED if opened else "")


def _column(setting: Setting, _context: Context) -> Outcome:
    if not isinstance(setting.value, str) or not is_column(setting.value):
        return Outcome("unknown", why="the name of a column that a template cannot say")
    return Outcome("derived", of=("data.train",))


def _train_on(setting: Setting, _context: Context) -> Outcome:
    return Outcome("derived", spec={"data.train_on": "all" if setting.value else "assistant"})


def _length(setting: Setting, context: Context) -> Outcome:
    native = {f"{CONFIG}max_length": setting.value}
    if setting.value is None and section(context, "dataset").get("packed"):
        return Outcome("unknown", why="it packs up to a length, and stops without one")
    if setting.value is None:
        return Outcome("renamed", native)
    why = "the last token of a longer row gives way to an end of text there"
    return Outcome("approximated", native, why=why)


SHARDED = frozenset(("fsdp_cpu_offload", "fsdp_reshard_after_forward", "custom_sharded_layers"))
"""Keys that recipes for several devices have; a config does not name its recipe."""


def _dtype(setting: Setting, _context: Context) -> Outcome:
    words = {"bf16": ("bf16-pure", "bfloat16"), "fp32": ("fp32", "float32")}
    if setting.value not in words:
        return Outcome("unknown", why=f"{setting.value} is not in a spec")
    compute, dtype = words[setting.value]
    return Outcome(
        "derived", {"model.dtype": dtype}, {"precision.compute": compute}, "all of it in this type"
    )


def _steps(setting: Setting, context: Context) -> Outcome:
    if setting.value is None:
        return Outcome("inert", why="all rows of an epoch")
    steps = setting.value * (context.get("epochs") or 1)
    why = "an epoch of fewer steps ends before; a new one does not begin with other rows here"
    kind: Any = "approximated"
    return Outcome(kind, {f"{CONFIG}max_steps": steps}, why=why)


def _epochs(setting: Setting, context: Context) -> Outcome:
    if context.get("max_steps_per_epoch"):
        return Outcome("derived", of=("train.steps",))
    return Outcome("renamed", {f"{CONFIG}num_train_epochs": float(setting.value)})


def _complete(context: Context) -> Completion:
    adapted = _adapted(context)
    objective = "dpo" if _word(context, "loss").endswith("DPOLoss") else "sft"
    name = _word(context, "dataset").rpartition(".")[2]
    text = name == "text_completion_dataset"
    found = _source(context)
    optimizer = _word(context, "optimizer").startswith(("torch.optim.AdamW", "bitsandbytes"))
    native: dict[str, Any] = {
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
        "data.prepare": "framework",
        "data.shape": "text" if text else "messages",
        "tuner": "lora" if adapted else "full",
        f"{CONFIG}weight_decay": 0.01 if optimizer else 0.0,
        f"{CONFIG}max_grad_norm": 0.0,
        f"{CONFIG}logging_nan_inf_filter": False,
        f"{CONFIG}gradient_checkpointing": False,
        f"{CONFIG}logging_steps": 1,
        f"{CONFIG}lr_scheduler_type": "constant",
    }
    if adapted:
        native[f"{LORA}target_modules"] = _targets(context)
        native[f"{LORA}lora_dropout"] = 0.0
        if _word(context, "model").rpartition(".")[2].startswith("qlora"):
            bits = "BitsAndBytesConfig."
            native |= {f"{bits}load_in_4bit": True, f"{bits}bnb_4bit_quant_type": "nf4",
                       f"{bits}bnb_4bit_use_double_quant": True,
                       f"{bits}bnb_4bit_compute_dtype": "bfloat16"}  # fmt: skip
    inputs = section(context, "dataset").get("train_on_input", name.startswith("alpaca"))
    spec: dict[str, Any] = {
        "method.objective.type": "cpt" if text else objective,
        "data.train_on": "all" if text or inputs else "assistant",
        "data.packing": "documents" if section(context, "dataset").get("packed") else None,
        "train.save_steps": "epoch",
    }
    if SHARDED & {*context.document.data}:
        # its recipes for several devices shard by `fully_shard`, and cut weights after the forward pass
        again = context.get("fsdp_reshard_after_forward", True) is not False
        spec["hardware.fsdp.sharding_strategy"] = "full_shard" if again else "shard_grad_op"
    if "lr_scheduler" not in context.document.data:
        spec |= {"train.warmup_steps": 0, "train.warmup_ratio": None}
    questions = []
    if found is not None:
        spec["data.train"] = (found,)
        form = FORMS.get(_word(context, "tokenizer").rpartition(".")[2])
        if form is not None and form.eos and found["template"]:
            spec["model.special_tokens.eos"] = form.eos
        if found["format"] == "auto" and not found["template"]:
            questions.append(f"data.train: {name}: which format have its rows?")
    return Completion(native, spec, tuple(questions))


_FILES = "the model's own files"
_NO_IMAGES = unknown("images are out of scope")
format = Format(
    name="torchtune",
    title="torchtune",
    backend="trl",
    signs=SIGNS,
    scalar=yaml.scalar,
    keeps=False,
    otherwise=unless((None, False), "it is off", unknown("only torchtune has it")),
    complete=_complete,
    rules={
        "model._component_": _model,
        "model.lora_attn_modules": _of_targets,
        "model.apply_lora_to_mlp": _of_targets,
        "model.apply_lora_to_output": _of_targets,
        "model.lora_rank": renamed(f"{LORA}r"),
        "model.lora_alpha": renamed(f"{LORA}lora_alpha"),
        "model.lora_dropout": renamed(f"{LORA}lora_dropout"),
        "model.image_size": _NO_IMAGES,
        "model.use_dora": renamed(f"{LORA}use_dora"),
        "checkpointer.checkpoint_dir": renamed("model.name"),
        "checkpointer.": inert(_FILES),
        "tokenizer.max_seq_len": _length,
        "tokenizer.prompt_template": unless((None,), "none", unknown("a prompt template of its own")),
        "tokenizer.": inert(_FILES),
        "dataset._component_": _dataset,
        "dataset.packed": says("data.packing", lambda packed: "documents" if packed else None),
        "dataset.train_on_input": _train_on,
        "dataset.column_map.": _column,
        **dict.fromkeys(
            ("dataset.source", "dataset.split", "dataset.subset", "dataset.column",
             "dataset.conversation_column", "dataset.conversation_style"),
            derived("data.train"),
        ),
        "dataset.data_files": _files,
        "optimizer._component_": _optimizer,
        "optimizer.lr": renamed(f"{CONFIG}learning_rate"),
        "optimizer.weight_decay": _decay,
        "optimizer.fused": inert("the same optimizer in another kernel"),
        "lr_scheduler._component_": _schedule,
        "lr_scheduler.num_warmup_steps": says("train.warmup_steps"),
        "loss._component_": derived("method.objective.type"),
        "loss.": unknown("a setting of the loss is not read"),
        "batch_size": renamed(f"{CONFIG}per_device_train_batch_size"),
        "gradient_accumulation_steps": renamed(f"{CONFIG}gradient_accumulation_steps"),
        "epochs": _epochs,
        "max_steps_per_epoch": _steps,
        "clip_grad_norm": unless((None,), "gradients are not cut", renamed(f"{CONFIG}max_grad_norm")),
        "seed": unless((None,), "drawn by chance there", renamed(f"{CONFIG}seed")),
        "shuffle": says("data.shuffle"),
        "dtype": _dtype,
        "device": unless(("cuda",), "a GPU", says("hardware.device")),
        "output_dir": renamed(f"{CONFIG}output_dir"),
        "enable_activation_checkpointing": renamed(f"{CONFIG}gradient_checkpointing"),
        "resume_from_checkpoint": unless((False,), "from the beginning", unknown("its own checkpoints")),
        "log_every_n_steps": unless((None,), "each step", renamed(f"{CONFIG}logging_steps")),
        "fsdp_cpu_offload": says("hardware.fsdp.offload_parameters"),
        "fsdp_reshard_after_forward": lambda _s, _c: Outcome(
            "derived", of=("hardware.fsdp.sharding_strategy",)),
        "collate_fn": _NO_IMAGES,
        **group(SHOWN, "metric_logger.", "log_peak_memory_stats", "profiler.", "save_adapter_weights_only",
                "log_level"),
        **group("how fast, or where things lie: not what is trained", "compile", "optimizer_in_bwd",
                "enable_activation_offloading", "low_cpu_ram", "custom_sharded_layers",
                "ac_mode", "ac_option", "cudnn_deterministic_mode", "memory_efficient_fsdp_wrap"),
    },
)  # fmt: skip
