"""Oumi's YAML, as `oumi train` of 0.9 reads it: OmegaConf, then TrainingConfig (core/configs/).

Read are supervised tuning and DPO by trl's trainers. Defaults are those of its dataclasses, and what `to_hf`
of params/training_params.py hands to SFTConfig.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.families.training.optimizers import NAMES, SYNONYMS
from ftspec.port.fates import Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.hf_arguments import ACCEPTED, IDLE, KERNEL
from ftspec.port.formats.order import BY_SEED, GROUPED, MEASURED, STRATEGY, by_length
from ftspec.port.formats.oumi import models
from ftspec.port.formats.oumi.data import DATA_RULES, prepares, sources_and_target
from ftspec.port.formats.oumi.engine import ENGINE_RULES, engine
from ftspec.port.formats.oumi.models import adapted, few_bits
from ftspec.port.formats.oumi.refused import is_field, otherwise, refused
from ftspec.port.formats.oumi.sharding import SHARDING_RULES, member, sharded
from ftspec.port.formats.oumi.templates import template
from ftspec.port.formats.trl import TARGETS
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
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
BITS = "BitsAndBytesConfig."
TRAINING: Mapping[str, Any] = {
    "output_dir": "output", "per_device_train_batch_size": 8, "per_device_eval_batch_size": 8,
    "gradient_accumulation_steps": 1, "max_steps": -1, "num_train_epochs": 3, "save_steps": 500,
    "seed": 42, "logging_steps": 50, "eval_strategy": "no", "eval_steps": 500,
    "learning_rate": 5e-5, "lr_scheduler_type": "linear", "weight_decay": 0.0, "adam_beta1": 0.9,
    "adam_beta2": 0.999, "adam_epsilon": 1e-8, "max_grad_norm": 1.0,
}  # fmt: skip
"""TrainingParams that SFTConfig has under the same name, with what they are where they are missing."""
DATA_SEED = 42
"""Of the order of rows, whatever the seed is."""
PEFT: Mapping[str, tuple[str, Any]] = {
    "lora_r": (f"{LORA}r", 8),
    "lora_alpha": (f"{LORA}lora_alpha", 8),
    "lora_dropout": (f"{LORA}lora_dropout", 0.0),
    "lora_bias": (f"{LORA}bias", "none"),
}
QLORA: Mapping[str, tuple[str, Any]] = {
    "bnb_4bit_quant_type": (f"{BITS}bnb_4bit_quant_type", "fp4"),
    "use_bnb_nested_quant": (f"{BITS}bnb_4bit_use_double_quant", False),
    "bnb_4bit_quant_storage": (f"{BITS}bnb_4bit_quant_storage", "uint8"),
    "bnb_4bit_compute_dtype": (f"{BITS}bnb_4bit_compute_dtype", "float32"),
}
INITS = {"DEFAULT": True, "GAUSSIAN": "gaussian", "PISA": "pissa", "OLORA": "olora"}
WORDS = {"enable_wandb": "wandb", "enable_tensorboard": "tensorboard", "enable_mlflow": "mlflow"}
LEARNT = {"TRL_SFT": "sft", "TRL_DPO": "dpo"}
"""Trainers that are read, and what they learn."""
OF_PAIRS = ("beta", "loss_type", "label_smoothing")
"""Arguments of trl's DPOConfig that are read."""
KWARGS = ("packing", "assistant_only_loss", "completion_only_loss", "neftune_noise_alpha")
PREPARED = ("packing", "assistant_only_loss", "completion_only_loss")
TOKENISED = "Oumi's own readers tokenise rows, and trl neither packs nor masks such rows"
KBIT = "peft's prepare_model_for_kbit_training makes float32 of what is not quantised"
SHOWN = "what is shown or kept, not what is trained"
LENGTH = (
    "model_max_length is missing: rows that trl prepares are cut at 1024 tokens, those that Oumi's own "
    "readers prepare where the tokenizer says so"
)


def _training(context: Context, key: str) -> Any:
    return section(context, "training").get(key, TRAINING.get(key))


def _mixed(setting: Setting, _context: Context) -> Outcome:
    word = member(setting.value)
    if word not in ("NONE", "BF16", "FP16"):
        return Outcome("unknown", why="Oumi knows NONE, BF16 and FP16")
    native = {f"{CONFIG}bf16": word == "BF16", f"{CONFIG}fp16": word == "FP16"}
    return Outcome("renamed", native)


def _optimizer(setting: Setting, _context: Context) -> Outcome:
    name = str(setting.value)
    same = NAMES["adamw"] if name == "adamw_torch" else NAMES.get(SYNONYMS.get(name, ""), name)
    return Outcome("renamed", {f"{CONFIG}optim": same})


def _warmup(setting: Setting, context: Context) -> Outcome:
    steps, ratio = _training(context, "warmup_steps"), _training(context, "warmup_ratio")
    if setting.value is None:
        return Outcome("inert", why="no warm-up is asked for by it")
    if setting.key.endswith("ratio") and steps is not None:
        return Outcome(
            "inert" if steps or not ratio else "unknown", why="warmup_steps is set as well"
        )
    return Outcome("renamed", {f"{CONFIG}warmup_steps": setting.value})


def _data_seed(setting: Setting, context: Context) -> Outcome:
    if _is_grouped(context):
        return Outcome("inert", why=BY_SEED)
    if setting.value == _training(context, "seed"):
        return Outcome("inert", why="the seed orders rows anyway")
    return Outcome("renamed", {f"{CONFIG}data_seed": setting.value})


def _saving(setting: Setting, context: Context) -> Outcome:
    return Outcome("derived", _saved(context))


def _saved(context: Context) -> dict[str, Any]:
    every = _training(context, "save_steps")
    if isinstance(every, int) and every > 0:
        return {f"{CONFIG}save_strategy": "steps", f"{CONFIG}save_steps": every}
    epochs = _training(context, "save_epoch") is True
    return {f"{CONFIG}save_strategy": "epoch" if epochs else "no"}


def _trackers(context: Context) -> list[str] | str:
    assumed = {"enable_tensorboard": True, **section(context, "training")}
    return [word for key, word in WORDS.items() if assumed.get(key) is True] or "none"


def _learnt(context: Context) -> str:
    return LEARNT.get(member(_training(context, "trainer_type")), "sft")


def _trainer(setting: Setting, _context: Context) -> Outcome:
    if member(setting.value) in LEARNT:
        return Outcome("derived", of=("method.objective.type",))
    return Outcome("unknown", why=f"only TRL_SFT and TRL_DPO are read, not {setting.value}")


def _kwargs(setting: Setting, context: Context) -> Outcome:
    name = setting.key.removeprefix("training.trainer_kwargs.")
    if name == "max_length" and section(context, "model").get("model_max_length"):
        return Outcome("inert", why="model_max_length stands in its place")
    if name in PREPARED and setting.value and prepares(context):
        return Outcome("unknown", why=TOKENISED)
    if name in OF_PAIRS and _learnt(context) == "dpo":
        value = (
            [setting.value]
            if name == "loss_type" and isinstance(setting.value, str)
            else setting.value
        )
        return Outcome("renamed", {f"{CONFIG}{name}": value})
    if name in (GROUPED, STRATEGY):
        return _order(setting, context, name)
    if name == "max_length" or (name in KWARGS and _learnt(context) == "sft"):
        return Outcome("renamed", {f"{CONFIG}{name}": setting.value})
    return Outcome("unknown", why="an argument of trl's trainer that is not read here")


def _order(setting: Setting, context: Context, name: str) -> Outcome:
    if name == STRATEGY and setting.value != GROUPED:
        return Outcome("renamed", {f"{CONFIG}{STRATEGY}": setting.value})
    if setting.value and _learnt(context) != "sft":
        return Outcome("unknown", why=MEASURED)
    return by_length(f"{CONFIG}{STRATEGY}")(setting, context)


def _is_grouped(context: Context) -> bool:
    given = section(context, "training").get("trainer_kwargs") or {}
    return isinstance(given, dict) and (bool(given.get(GROUPED)) or given.get(STRATEGY) == GROUPED)


def _with_adapter(rule: Rule, bits: bool = False) -> Rule:
    """Settings that count where an adapter trains, or one over few bits."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if not adapted(context):
            return Outcome("inert", why="use_peft is not set: all weights train")
        if bits and not few_bits(context):
            return Outcome("inert", why="q_lora is not set: nothing is loaded in few bits")
        return rule(setting, context)

    return chosen


def _targets(setting: Setting, _context: Context) -> Outcome:
    if not setting.value:
        return Outcome("derived", why="peft's own choice for this architecture")
    value = "all-linear" if setting.value == ["all-linear"] else setting.value
    return Outcome("renamed", {f"{LORA}target_modules": value})


def _excluded(setting: Setting, _context: Context) -> Outcome:
    """Patterns of whole names, which Oumi joins (peft_params.py, to_lora)."""
    joined = "|".join(f"({name})" for name in setting.value)
    return Outcome("renamed", {f"{LORA}exclude_modules": joined})


def _init(setting: Setting, _context: Context) -> Outcome:
    word = member(setting.value)
    if word not in INITS:
        return Outcome("unknown", why=f"the first values {setting.value} are not read")
    return Outcome("renamed", {f"{LORA}init_lora_weights": INITS[word]})


def _unread_of_peft(setting: Setting, context: Context) -> Outcome:
    rule = _with_adapter(otherwise) if is_field(setting.key) else otherwise
    return rule(setting, context)


def _q_lora(setting: Setting, context: Context) -> Outcome:
    to = ("model.quantization.type",)
    dtype = models.DTYPES.get(str(section(context, "model").get("torch_dtype_str")))
    if setting.value and dtype != "float32":
        return Outcome("approximated", of=to, why=KBIT)
    return Outcome("derived", of=to)


def _complete(context: Context) -> Completion:
    beside, model, peft = adapted(context), section(context, "model"), section(context, "peft")
    native: dict[str, Any] = {
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
        "data.prepare": "framework",
        "data.shape": "messages",
        "tuner": "lora" if beside else "full",
        "model.dtype": "auto" if beside else "float32",
        **{f"{CONFIG}{key}": value for key, value in TRAINING.items() if key != "save_steps"},
        **_saved(context),
        f"{CONFIG}optim": NAMES["adamw"],
        f"{CONFIG}warmup_steps": 0,
        f"{CONFIG}bf16": False,
        f"{CONFIG}fp16": False,
        f"{CONFIG}gradient_checkpointing": False,
        f"{CONFIG}logging_nan_inf_filter": True,
        f"{CONFIG}report_to": _trackers(context),
        f"{CONFIG}max_length": 1024,
    }
    if _training(context, "seed") != DATA_SEED and not _is_grouped(context):
        native[f"{CONFIG}data_seed"] = DATA_SEED
    questions = []
    if beside:
        native |= dict(PEFT.values())
        if not peft.get("lora_target_modules"):
            native[f"{LORA}target_modules"] = list(TARGETS)
            questions.append(
                "lora_target_modules is missing, and peft chooses by architecture: q_proj and v_proj "
                "for llama, mistral, gemma and qwen; see its utils/constants.py for others"
            )
    elif "torch_dtype_str" not in model:
        questions.append(f"torch_dtype_str is missing: weights train {models.STORED}")
    if few_bits(context):
        bits = peft.get("q_lora_bits", 4)
        native |= {f"{BITS}load_in_4bit": bits == 4, f"{BITS}load_in_8bit": bits == 8}
        native |= dict(QLORA.values()) if bits == 4 else {}
    if not model.get("model_max_length"):
        questions.append(LENGTH)
    if "trainer_type" not in section(context, "training"):
        questions.append(
            "trainer_type is missing: that is transformers' Trainer, which is not read"
        )
    spec, asked = sources_and_target(context)
    spec["method.objective.type"] = _learnt(context)
    if _learnt(context) == "dpo":
        spec["data.train_on"] = "completions"
    spec |= {**sharded(context), **engine(context)}
    return Completion(native, spec, (*questions, *asked, *refused(context)))


def _is_oumi(data: Mapping[str, Any]) -> bool:
    """A model by Oumi's own key, and a training: its other configs have only the first."""
    model, training = data.get("model"), data.get("training")
    return isinstance(model, dict) and "model_name" in model and isinstance(training, dict)


_NONE: tuple[Any, ...] = (None, False, [], {})


_CHECKPOINTS = unknown("its own checkpoints")
format = Format(
    name="oumi",
    title="Oumi",
    backend="trl",
    signs=frozenset(),
    recognise=_is_oumi,
    scalar=yaml.scalar,
    keeps=False,
    otherwise=otherwise,
    complete=_complete,
    accepted=ACCEPTED,
    idle=IDLE,
    mentions={"deepspeed.deepspeed_config_path": "deepspeed"},
    rules={
        "model.tokenizer_kwargs.pad_token": unless(
            (None,), "the tokenizer's", says("model.special_tokens.pad")
        ),
        "model.tokenizer_kwargs": inert("empty"),
        "model.model_name": models.model,
        "model.model_kwargs.quantization_config.quant_method": models.stored,
        "model.model_revision": unless((None,), "the main one", renamed("model.revision")),
        "model.torch_dtype_str": models.dtype,
        "model.model_max_length": unless(
            (None,), "see the question", renamed(f"{CONFIG}max_length")
        ),
        "model.trust_remote_code": renamed("model.trust_remote_code"),
        "model.attn_implementation": unless(
            (None,), "transformers' choice", renamed("model.attn_implementation")
        ),
        "model.chat_template": unless(
            (None, "auto"), "the tokenizer's", template
        ),
        "model.load_pretrained_weights": unless((True,), "they are", unknown("random weights")),
        "model.enable_liger_kernel": inert(KERNEL),
        **group("where weights lie, or how they are used later", "model.device_map",
                "model.shard_for_eval", "model.tokenizer_pad_token", "model.tool_call_parser"),
        **DATA_RULES,
        **{f"training.{key}": renamed(f"{CONFIG}{key}") for key in TRAINING},
        "training.num_train_epochs": renamed(f"{CONFIG}num_train_epochs", float),
        "training.max_grad_norm": renamed(f"{CONFIG}max_grad_norm", lambda norm: norm or 0.0),
        "training.eval_strategy": renamed(
            f"{CONFIG}eval_strategy", lambda when: "no" if when is False else when
        ),
        "training.data_seed": _data_seed,
        "training.trainer_type": _trainer,
        "training.use_peft": derived("method.tuner.type"),
        "training.enable_gradient_checkpointing": renamed(f"{CONFIG}gradient_checkpointing"),
        "training.gradient_checkpointing_kwargs.": inert("both ways recompute the same activations"),
        "training.save_steps": _saving,
        "training.save_epoch": _saving,
        "training.optimizer": _optimizer,
        "training.warmup_steps": _warmup,
        "training.warmup_ratio": _warmup,
        "training.mixed_precision_dtype": _mixed,
        "training.lr_scheduler_kwargs.": lambda _s, context: Outcome(
            "renamed", {f"{CONFIG}lr_scheduler_kwargs": _training(context, "lr_scheduler_kwargs")}
        ),
        "training.trainer_kwargs.": _kwargs,
        **dict.fromkeys((f"training.{key}" for key in WORDS), lambda _s, context: Outcome(
            "derived", {f"{CONFIG}report_to": _trackers(context)})),
        "training.compile": inert(KERNEL),
        "training.resume_from_checkpoint": unless((None,), "from the beginning", _CHECKPOINTS),
        "training.try_resume_from_last_checkpoint": unless((False,), "it is off", _CHECKPOINTS),
        "training.use_deterministic": inert("kernels that give the same digits each time"),
        "training.sgd_momentum": inert("of Oumi's own trainer alone"),
        **group(SHOWN, *(f"training.{key}" for key in (
            "run_name", "log_level", "dep_log_level", "log_examples", "logging_strategy", "logging_dir",
            "logging_first_step", "include_performance_metrics", "include_alternative_mfu_metrics",
            "log_model_summary", "profiler.", "telemetry.", "save_final_model")), "peft.peft_save_mode"),
        **group("how fast, not what", *(f"training.{key}" for key in (
            "dataloader_num_workers", "dataloader_persistent_workers", "dataloader_prefetch_factor",
            "dataloader_main_process_only", "ddp_find_unused_parameters", "empty_device_cache_steps",
            "nccl_default_timeout_minutes"))),
        **{f"peft.{key}": _with_adapter(renamed(to)) for key, (to, _) in PEFT.items()},
        **{f"peft.{key}": _with_adapter(renamed(to), bits=True) for key, (to, _) in QLORA.items()},
        "peft.q_lora": _with_adapter(_q_lora),
        "peft.q_lora_bits": _with_adapter(
            derived("model.quantization.type"), bits=True
        ),
        "peft.lora_target_modules": _with_adapter(_targets),
        "peft.lora_modules_to_save": _with_adapter(
            unless(_NONE, "none", renamed(f"{LORA}modules_to_save"))
        ),
        "peft.lora_target_parameters": _with_adapter(
            unless(_NONE, "none", renamed(f"{LORA}target_parameters"))
        ),
        "peft.lora_exclude_modules": _with_adapter(unless(_NONE, "none", _excluded)),
        "peft.lora_init_weights": _with_adapter(_init),
        "peft.lora_task_type": unless(("CAUSAL_LM", "TaskType.CAUSAL_LM"), "it is", unknown("a task")),
        "peft.": _unread_of_peft,
        **SHARDING_RULES,
        **ENGINE_RULES,
    },
)  # fmt: skip
