"""Keys that older releases of LLaMA-Factory had, and what they are today.

From LLaMA-Efficient-Tuning of 2023 to 0.9.4: hparams/*.py of those releases, and their notes
(https://github.com/hiyouga/LLaMA-Factory/releases).
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.hf_arguments import plain
from ftspec.port.formats.llamafactory.joined import sft_packing
from ftspec.port.rules import Context, Outcome, Rule, group, nearly, renamed, unknown, unless

PLAIN = plain()
NAMES = {
    "checkpoint_dir": "adapter_name_or_path",
    "dpo_beta": "pref_beta",
    "dpo_loss": "pref_loss",
    "dpo_ftx": "pref_ftx",
    "kto_beta": "pref_beta",
    "kto_ftx": "pref_ftx",
    "orpo_beta": "pref_beta",
    "num_layer_trainable": "freeze_trainable_layers",
    "name_module_trainable": "freeze_trainable_modules",
    "neft_alpha": "neftune_noise_alpha",
    "dev_ratio": "val_size",
    "system_prompt": "default_system",
    "switch_mode": "badam_switch_mode",
    "switch_block_every": "badam_switch_interval",
    "badam_switch_block_every": "badam_switch_interval",
}
"""What was called so, and is called so today."""
LENGTHS = (
    "releases of 2023 cut questions at max_source_length and answers at max_target_length; today's "
    "cutoff_len cuts both together"
)
MERGED = (
    "it adds the saved adapter to the model and trains a new one; a spec would train the saved one further: "
    "add it first, and name the result as the model"
)
RESERVED = "releases up to 0.8 kept so many tokens of an answer where they cut: rows that are too long differ"


BITSANDBYTES = (
    "older releases call bnb so; 0.9.3 and later know no such method, and train over whole weights without a "
    "word (model/model_utils/quantization.py): the spec has what it meant"
)


def older_rules() -> dict[str, Rule]:
    """One for each of these keys."""
    return {
        **{old: renamed(new) for old, new in NAMES.items()},
        "sft_packing": sft_packing,
        "resume_lora_training": _resumed,
        "max_source_length": _source_length,
        "max_target_length": unknown(LENGTHS),
        "reserved_label_len": nearly(RESERVED),
        "quantization_method": _method,
        "split": unless(
            ("train",),
            "each data set's own, if it names none",
            unknown("which split of each data set: today its entry in dataset_info.json says it"),
        ),
        **group(
            "where the processes are, and what they are called",
            "ray_run_name",
            "ray_storage_path",
            "ray_storage_filesystem",
            "placement_strategy",
            "resources_per_worker",
            "resources_per_worker.",
        ),
    }


def _resumed(setting: Setting, context: Context) -> Outcome:
    if context.get("adapter_name_or_path", context.get("checkpoint_dir")) is None:
        return Outcome("inert", why="there is no saved adapter")
    if not setting.value:
        return Outcome("unknown", why=MERGED)
    return Outcome(
        "derived", why="the saved adapter itself trains on", of=("method.tuner.adapter",)
    )


def _source_length(setting: Setting, context: Context) -> Outcome:
    """Of the stage `pt` it was the length of the blocks."""
    if context.get("stage") == "pt" and context.get("cutoff_len") is None:
        return Outcome("renamed", {"cutoff_len": setting.value})
    return Outcome("unknown", why=LENGTHS)


def _method(setting: Setting, context: Context) -> Outcome:
    if context.get("quantization_bit") is None:
        return Outcome("inert", why="nothing reads it without quantization_bit")
    if setting.value != "bitsandbytes":
        return PLAIN(setting, context)
    return Outcome("renamed", {setting.key: "bnb"}, why=BITSANDBYTES, loud=True)
