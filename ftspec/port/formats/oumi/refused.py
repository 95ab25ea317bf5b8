"""Configs that Oumi 0.9 stops at: core/configs/training_config.py, params/, and OmegaConf for strange keys.

No run can have come of them, so what they mean is a question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.oumi.models import DTYPES
from ftspec.port.formats.oumi.sharding import member
from ftspec.port.rules import Context, Outcome, section

Condition = Callable[[Context], Any]
STRANGE = "Oumi has no such setting, and stops at it"
UNREAD = "Oumi reads it, and ftspec does not"
OFF = "it is off"
FIELDS = {
    "model": "adapter_model adapter_trainable tokenizer_name tokenizer_kwargs processor_kwargs compile "
    "chat_template_kwargs model_kwargs freeze_layers text_only",
    "training": "full_determinism metrics_function reward_functions reward_function_kwargs grpo gkd gold "
    "verl_config_overrides label_ignore_index gradient_checkpointing_kwargs lr_scheduler_kwargs "
    "trainer_kwargs profiler telemetry",
    "peft": "llm_int8_skip_modules",
    "data": "train validation test",
    "data.train": "datasets collator_kwargs stream use_torchdata",
    "data.validation": "datasets collator_kwargs stream use_torchdata",
    "data.train.datasets[]": "dataset_kwargs",
    "data.validation.datasets[]": "dataset_kwargs",
}
"""Fields of its dataclasses that have no rule of their own, by section."""

HANDED = re.compile(r"(kwargs|overrides)\.")
"""What stands below is handed on as it is: false may switch off what is on anyway."""


def otherwise(setting: Setting, _context: Context) -> Outcome:
    """A key without a rule: a field of Oumi's that is not read, or no field of it."""
    if not is_field(setting.key):
        return Outcome("unknown", why=STRANGE)
    is_off = setting.value is None or setting.value is False or setting.value in ([], {})
    if is_off and not HANDED.search(setting.key):
        return Outcome("inert", why=OFF)
    return Outcome("unknown", why=UNREAD)


def is_field(key: str) -> bool:
    """Whether one of Oumi's dataclasses has this field, or one that holds it."""
    parts = [part.partition("[")[0] + "[]" * ("[" in part) for part in key.split(".")]
    for depth in range(len(parts) - 1, 0, -1):
        names = FIELDS.get(".".join(parts[:depth]))
        if names is not None:
            return parts[depth].removesuffix("[]") in names.split()
    return key in ("model", "data", "training", "peft", "fsdp", "deepspeed")


def _mixed(context: Context) -> bool:
    word = member(section(context, "training").get("mixed_precision_dtype"))
    dtype = str(section(context, "model").get("torch_dtype_str")).lower()
    return word in ("BF16", "FP16") and DTYPES.get(dtype) != "float32"


def _is(name: str, key: str, *values: Any) -> Condition:
    return lambda context: section(context, name).get(key) in values


def _both(one: Condition, other: Condition) -> Condition:
    return lambda context: one(context) and other(context)


def _batch(context: Context) -> bool:
    return bool(section(context, "deepspeed").get("train_batch_size", "auto") != "auto")


def _offloaded(key: str, *stages: str) -> Condition:
    def found(context: Context) -> bool:
        engine = section(context, "deepspeed")
        stage = member(engine.get("zero_stage", "ZERO_0")).removeprefix("ZERO_")
        return engine.get(key) is not None and stage not in stages

    return found


def _no_length(context: Context) -> bool:
    training = section(context, "training")
    given = (training.get("max_steps", -1), training.get("num_train_epochs", 3))
    return all(isinstance(value, int | float) and value <= 0 for value in given)


def _fraction(context: Context) -> bool:
    every = section(context, "training").get("eval_steps")
    return isinstance(every, float) and not 0 < every < 1


def _rewards(context: Context) -> bool:
    training = section(context, "training")
    given = any(training.get(key) for key in ("reward_functions", "reward_function_kwargs"))
    return given and "GRPO" not in member(training.get("trainer_type"))


def _collators(context: Context) -> bool:
    parts = [section(context, "data").get(name) for name in ("train", "validation", "test")]
    train, *others = (
        part.get("collator_name") if isinstance(part, dict) else None for part in parts
    )
    return any(name and name != train for name in others)


SHARDED = _is("fsdp", "enable_fsdp", True)
ENGINE = _is("deepspeed", "enable_deepspeed", True)
ROWS: tuple[tuple[str, Condition], ...] = (
    ("mixed_precision_dtype without model.torch_dtype_str: float32", _mixed),
    ("model.compile, where training.compile is meant", _is("model", "compile", True)),
    (
        "training.compile with fsdp.use_orig_params: false",
        _both(_is("training", "compile", True), _is("fsdp", "use_orig_params", False)),
    ),
    ("fsdp.enable_fsdp with deepspeed.enable_deepspeed", _both(SHARDED, ENGINE)),
    ("deepspeed.train_batch_size beside trl's trainers: it is auto", _both(ENGINE, _batch)),
    ("deepspeed.offload_param without zero_stage: ZERO_3", _offloaded("offload_param", "3")),
    (
        "deepspeed.offload_optimizer without zero_stage: ZERO_1, ZERO_2 or ZERO_3",
        _offloaded("offload_optimizer", "1", "2", "3"),
    ),
    ("a training of no steps: neither max_steps nor num_train_epochs is above 0", _no_length),
    ("eval_steps, a float that is no fraction: steps are a whole number", _fraction),
    ("reward_functions without a trainer_type that ends in GRPO", _rewards),
    ("a collator_name that data.train has not: all parts have the same", _collators),
)


WHOLE = {
    "model": ("model_max_length",),
    "training": (
        "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps",
        "max_steps", "num_train_epochs", "save_steps", "logging_steps", "warmup_steps", "seed", "data_seed",
    ),
    "peft": ("lora_r", "lora_alpha", "q_lora_bits"),
}  # fmt: skip
"""Numbers that OmegaConf wants whole: not even 3.0 is taken."""
GIVEN = {
    "training": (
        *(key for key in WHOLE["training"] if key != "warmup_steps"),
        "learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "use_peft",
    ),
    "peft": (*WHOLE["peft"], "lora_dropout", "q_lora"),
}  # fmt: skip
"""Settings that may be missing, but not null."""
NAMES = {
    "peft": (
        "lora_target_modules", "lora_exclude_modules", "lora_target_parameters", "lora_modules_to_save",
    ),
}  # fmt: skip
"""Lists, in whose place it takes no word."""


def _of_a_kind(context: Context, names: Mapping[str, tuple[str, ...]], kind: type) -> Iterator[str]:
    for name, keys in names.items():
        found = section(context, name)
        yield from (
            f"{name}.{key}: {found[key]}"
            for key in keys
            if key in found and isinstance(found[key], kind)
        )


def refused(context: Context) -> Iterator[str]:
    """Questions: what Oumi stops at."""
    yield from (f"Oumi stops at {text}" for text, found in ROWS if found(context))
    for text in _of_a_kind(context, WHOLE, float):
        yield f"Oumi stops at {text}, for it wants a whole number"
    for text in _of_a_kind(context, GIVEN, type(None)):
        yield f"Oumi stops at {text}, for it may be missing, but not empty"
    for text in _of_a_kind(context, NAMES, str):
        yield f"Oumi stops at {text}, for it wants a list"
