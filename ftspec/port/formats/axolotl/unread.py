"""Keys that axolotl's schema has not: it leaves them out without a word (utils/schemas/config.py: no extra).

One that no release has was never more than a slip, and a run of axolotl has ignored it. One that another
release has may have meant something when the file was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from ftspec.port import tables
from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome
from ftspec.spec.names import close

KEYS = "axolotl.keys.json"
EARLIER = frozenset(
    (
        *("base_model_ignore_patterns", "bettertransformer", "collator_pad_to_longest", "prompter"),
        *("gptq_groupsize", "gptq_model_v1", "landmark_attention"),
        *("load_4bit", "log_sweep_max_lr", "log_sweep_min_lr", "lora_out_dir", "xpos_rope"),
    )
)
"""What the README of the releases before 0.5 names, of which there are no distributions to read."""
WHOLE, ENTRY = "", "datasets"
MEANT = {
    **dict.fromkeys(("lr", "lr_rate"), "learning_rate"),
    **dict.fromkeys(("train_batch_size", "per_device_train_batch_size"), "micro_batch_size"),
    **dict.fromkeys(("num_train_epochs", "n_epochs"), "num_epochs"),
    **dict.fromkeys(("max_length", "max_seq_length", "cutoff_len"), "sequence_len"),
    **dict.fromkeys(("lora", "use_lora", "use_peft", "use_qlora"), "adapter"),
    **dict.fromkeys(("lora_target_module", "peft_target_modules"), "lora_target_modules"),
    **dict.fromkeys(
        ("eval_dataset", "eval_datasets", "val_datasets", "validation_datasets"), "test_datasets"
    ),
    **dict.fromkeys(
        ("bnb_4bit_compute_dtype", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant"),
        "bnb_config_kwargs",
    ),
    **dict.fromkeys(("report_to", "wandb"), "use_wandb"),
    **dict.fromkeys(("run_name", "wandb_run_name"), "wandb_name"),
    "attention": "attn_implementation",
    "per_device_eval_batch_size": "eval_batch_size",
    "optim": "optimizer",
    "lr_scheduler_type": "lr_scheduler",
    "lora_rank": "lora_r",
    "lora_target": "lora_target_modules",
    "tokenizer_path": "tokenizer_config",
    "model_name_or_path": "base_model",
    "packing": "sample_packing",
    "ref_model": "",  # the model as it begins, always: no key names another one
    "use_dora": "peft_use_dora",
    "use_rslora": "peft_use_rslora",
}
"""What other tools, and people, call it."""
NEAR = 0.75
"""How alike a key has to be for it to be what was meant."""


@cache
def _other() -> tuple[tuple[str, str], dict[str, dict[str, tuple[str, str]]]]:
    read = json.loads((files(tables) / KEYS).read_text("utf-8"))
    keys = {
        place: {key: (span[0], span[1]) for key, span in entries.items()}
        for place, entries in read["keys"].items()
    }
    first, last = read["releases"]
    return (first, last), keys


def unread(setting: Setting, context: Context, known: Iterable[str], place: str = WHOLE) -> Outcome:
    """What becomes of a key that the schema of 0.19.0 has not, by its last name."""
    name = _name(setting.key, place)
    (first, last), keys = _other()
    version = context.table.version if context.table else ""
    had = keys[place].get(name)
    if had is not None and had[1] != last:
        return Outcome("unknown", why=f"axolotl had it until {had[1]}, and {version} ignores it")
    if had is not None:
        later = had[0] != first and _numbers(had[0]) > _numbers(version)
        since = f"has it from {had[0]} on" if later else "asks for it"
        what = "ignores it"
        if context.get("plugins"):  # each may add to it (integrations/*/args.py)
            what = "leaves it to plugins, and what one makes of it is not in a spec"
        return Outcome("unknown", why=f"axolotl {since}, but the schema of {version} {what}")
    if place == WHOLE and name in EARLIER and setting.value is False:
        return Outcome("inert", why="it is off")
    if place == WHOLE and name in EARLIER:
        return Outcome("unknown", why=f"axolotl had it before 0.5, and {version} ignores it")
    return Outcome("inert", why=_ignored(name, known), loud=True)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _name(key: str, place: str) -> str:
    """The part of a key that stands in the config itself, or in an entry of its data sets."""
    inner = key.partition("].")[2] if place else key
    return inner.partition(".")[0].partition("[")[0]


def _ignored(name: str, known: Iterable[str]) -> str:
    near = MEANT[name] if name in MEANT else close(name, known, NEAR)
    hint = f"; did you mean `{near}`?" if near else ""
    return f"axolotl ignores it: no release has {name}{hint}"
