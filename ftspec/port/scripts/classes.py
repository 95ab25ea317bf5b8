"""Classes of arguments that scripts take from trl and transformers, for the parsers of their command lines.

Their fields are those of all releases that there are tables of, and a few that older ones had.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from ftspec.port.scalars import NotOfType, cast
from ftspec.port.tables import table, versions
from ftspec.read import pyyaml
from ftspec.read.scripts.options import Option
from ftspec.read.scripts.records import Makes

PLAIN = "TrainingArguments"
OF_MODEL, OF_SCRIPT = "ModelConfig", "ScriptArguments"
SHARING = ("SFTConfig", "DPOConfig", "GRPOConfig", "KTOConfig", "RewardConfig")
"""What all of these have is transformers' own."""
ONCE: Mapping[str, str] = {
    "evaluation_strategy": "str", "overwrite_output_dir": "bool", "logging_dir": "str | None",
    "group_by_length": "bool", "push_to_hub_token": "str | None", "save_safetensors": "bool",
    "no_cuda": "bool", "use_mps_device": "bool", "fp16_opt_level": "str", "local_rank": "int",
    "torch_compile": "bool", "include_tokens_per_second": "bool", "ddp_timeout": "int",
    "dataloader_num_workers": "int", "half_precision_backend": "str", "ray_scope": "str",
}  # fmt: skip
"""Of TrainingArguments, in releases of which there is no table."""
LIMITS = {"max_prompt_length": "int | None", "max_completion_length": "int | None"}
OLDER: Mapping[str, Mapping[str, str]] = {
    "SFTConfig": {"max_seq_length": "int | None", "dataset_batch_size": "int", "use_liger": "bool"},
    OF_MODEL: {"torch_dtype": "str | None", "use_flash_attention_2": "bool"},
    OF_SCRIPT: {"gradient_checkpointing_use_reentrant": "bool", "config": "str | None"},
    **dict.fromkeys(("DPOConfig", "KTOConfig", "CPOConfig", "ORPOConfig", "GRPOConfig"), LIMITS),
}
MAKES: Mapping[str, Makes] = {
    "get_peft_config": Makes(
        OF_MODEL,
        "LoraConfig",
        ("use_peft",),
        {"lora_r": "r", "lora_alpha": "lora_alpha", "lora_dropout": "lora_dropout",
         "lora_target_modules": "target_modules", "lora_modules_to_save": "modules_to_save",
         "lora_target_parameters": "target_parameters", "lora_task_type": "task_type",
         "use_rslora": "use_rslora", "use_dora": "use_dora"},
        ("lora_target_modules",),
    ),
    "get_quantization_config": Makes(
        OF_MODEL,
        "BitsAndBytesConfig",
        ("load_in_4bit", "load_in_8bit"),
        {"load_in_4bit": "load_in_4bit", "load_in_8bit": "load_in_8bit", "dtype": "bnb_4bit_compute_dtype",
         "torch_dtype": "bnb_4bit_compute_dtype", "bnb_4bit_quant_type": "bnb_4bit_quant_type",
         "use_bnb_nested_quant": "bnb_4bit_use_double_quant"},
    ),
}  # fmt: skip
"""trl's own (trainer/utils.py, trainer/model_config.py)."""
STABLE = frozenset(
    ("eval_strategy", "do_train", "do_eval", "do_predict", "push_to_hub", "resume_from_checkpoint", "seed",
     "max_steps", "hub_model_id", "dataset_train_split", "dataset_test_split", "dataset_config",
     "dataset_name", "dataset_streaming", "model_revision", "trust_remote_code", "attn_implementation",
     "load_in_4bit", "load_in_8bit", "use_peft", "lora_r", "lora_alpha", "lora_dropout",
     "lora_target_modules", "lora_modules_to_save", "lora_target_parameters", "lora_task_type",
     "use_rslora", "use_dora", "use_bnb_nested_quant", "bnb_4bit_quant_type", "bnb_4bit_quant_storage")
)  # fmt: skip
"""Fields whose default has always been the same, which a script may ask for."""


@cache
def classes() -> Mapping[str, Mapping[str, Option]]:
    """The fields of each class, with their defaults as far as these are the same in every release."""
    found: dict[str, dict[str, tuple[str, Any]]] = {}
    for version in versions("trl"):
        for name, fields in table("trl", version).calls.items():
            found.setdefault(name, {}).update(fields)
    shared = set.intersection(*(set(found[name]) for name in SHARING)) - {"model_init_kwargs"}
    found[PLAIN] = {name: found["SFTConfig"][name] for name in shared}
    for name, kinds in OLDER.items():
        found[name] = {**{key: (kind, None) for key, kind in kinds.items()}, **found[name]}
    configs = [
        name
        for name in found
        if name.endswith("Config") and "per_device_train_batch_size" in found[name]
    ]
    for name in (PLAIN, *configs):
        found[name] = {**{key: (kind, None) for key, kind in ONCE.items()}, **found[name]}
    wanted = (PLAIN, OF_MODEL, OF_SCRIPT, *configs)
    return {
        name: {
            key: Option(default, "", key in STABLE, read=partial(_read, kind))
            for key, (kind, default) in found[name].items()
        }
        for name in wanted
    }


def _read(kind: str, said: Any) -> Any:
    """A word of a command line, or several, or a value of a config, in the type of a field."""
    if isinstance(said, list):
        return [_read(kind.replace("list", ""), one) for one in said]
    if isinstance(said, str) and kind.startswith("list"):
        return [said]
    if said == "None":
        return None
    try:
        value = pyyaml.scalar(said) if isinstance(said, str) and "str" not in kind else said
        return cast(said if isinstance(value, str) else value, kind)
    except NotOfType as error:
        raise ValueError(str(error)) from error
