"""How a config shows that an older LLaMA-Factory ran it, and what that one assumed where nothing is said.

Read off the argument classes of its releases 0.5.0 to 0.9.5 (hparams/*.py), release by release, and off those
of transformers that they ran with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.hf_arguments import plain
from ftspec.port.formats.llamafactory import once
from ftspec.port.rules import Context, Outcome, Rule
from ftspec.port.tables import versions

PLAIN = plain()
OLDER = ("0.9.3", "0.9.4")
"""Releases that take transformers 4 alone."""
Release = tuple[int, ...]
NOW: Release = (99,)
SCRIPT = "script"
"""Where the name of its script stands, of a command line that starts one."""
LAST: Mapping[str, Release] = {
    **dict.fromkeys(("checkpoint_dir", "resume_lora_training", "max_source_length"), (0, 4)),
    **dict.fromkeys(("max_target_length", "dev_ratio", "neft_alpha", "system_prompt"), (0, 4)),
    **dict.fromkeys(("sft_packing", "lora_bf16_mode"), (0, 5)),
    **dict.fromkeys(("cache_path", "ppo_logger"), (0, 6)),
    **dict.fromkeys(("num_layer_trainable", "name_module_trainable", SCRIPT), (0, 7, 0)),
    **dict.fromkeys(("badam_switch_block_every", "switch_block_every", "switch_mode"), (0, 7, 0)),
    **dict.fromkeys(("dpo_beta", "dpo_loss", "dpo_ftx", "orpo_beta"), (0, 7, 1)),
    **dict.fromkeys(("reserved_label_len", "split"), (0, 8, 2)),
    "visual_inputs": (0, 8, 3),
    **dict.fromkeys(("image_dir", "image_resolution", "video_resolution"), (0, 9, 1)),
    "train_mm_proj_only": (0, 9, 1),
    "new_special_tokens": (0, 9, 2),
    "evaluation_strategy": (0, 9, 3),
}
"""Keys that it has no more, and the last release that had them; of `evaluation_strategy`, that could be
installed with transformers before 4.46, which had it. Of a script, `train_bash.py` alone is named."""
MEANS = (0, 9, 0)
"""The last release that every transformers it was made for averages the means of micro-batches in."""


Ages = tuple[tuple[Release, Any], ...]
"""The last release with a default, and that default; oldest first."""
ASSUMED: Mapping[str, Ages] = {
    "cutoff_len": (((0, 9, 0), 1024), (NOW, 2048)),
    "galore_scale": (((0, 9, 1), 0.25), (NOW, 2.0)),
    "max_new_tokens": (((0, 6), 512), (NOW, 1024)),
    "pissa_iter": (((0, 8, 2), 4), (NOW, 16)),
    "freeze_trainable_layers": (((0, 5), 3), (NOW, 2)),
    "freeze_trainable_modules": (((0, 5), "mlp"), (NOW, "all")),
}
"""Only what changes a training."""
ALSO: Mapping[str, tuple[str, ...]] = {
    "cutoff_len": ("max_source_length", "max_target_length"),
    "freeze_trainable_layers": ("num_layer_trainable",),
    "freeze_trainable_modules": ("name_module_trainable",),
    "default_system": ("system_prompt",),
}
"""Other keys that say the same."""
MATTERS: Mapping[str, Callable[[Context], bool]] = {
    "galore_scale": lambda context: context.get("use_galore") is True,
    "pissa_iter": lambda context: context.get("pissa_init") is True,
    "max_new_tokens": lambda context: context.get("stage") == "ppo",
    "freeze_trainable_layers": lambda context: context.get("finetuning_type") == "freeze",
    "freeze_trainable_modules": lambda context: context.get("finetuning_type") == "freeze",
}
"""Where they are read; the others always are."""
PART_OF_A_STEP = (
    "to transformers 4 it is a part of one step, which is no warm-up, or it stops at it; transformers 5 "
    "reads a share of all steps: which is meant? `warmup_ratio` says that share to both"
)
SHARE = (
    "transformers 5 reads a share of all steps; to transformers 4 it is a part of one step, which is no "
    "warm-up"
)
OF_MEANS = (
    "with transformers before 4.46 the loss of a step is the mean of its micro-batches' means; the spec "
    "counts the tokens of all of them, as 0.9.5 does: `--set method.objective.average=batches` trains by "
    "means"
)

EMPTY_SINCE = (0, 9, 3)
"""The last release that a key which is gone tells from those before 0.9.2."""
UNTEMPLATED = (
    "template is not said: up to 0.9.1 nothing stands around the turns then, since 0.9.2 there is the chat "
    "template that comes with the tokenizer, which the spec has."
)
LAST_BY_SHARE = (0, 8, 2)
"""The last release that cut so (data/data_utils.py, infer_max_len)."""
BY_SHARE = (
    "up to 0.8.2 a row that was too long lost of question and answer by their lengths; here, as since 0.8.3, "
    "the shorter of both is spared: rows within cutoff_len are the same"
)


def until(context: Context) -> tuple[Release, str]:
    """The last release that can have run the config, and the key that says so."""
    if context.table is not None and context.table.version != versions("llamafactory")[-1]:
        return NOW, ""  # somebody has chosen a release
    said = [(LAST[key], key) for key in LAST if key in context.document.data]
    return min(said, default=(NOW, ""))


def on_fourth(context: Context) -> bool:
    """Whether it ran with transformers 4: in a release that is chosen, or in an older one."""
    chosen = context.table is not None and context.table.version in OLDER
    return chosen or until(context)[0] != NOW


def assumed(context: Context) -> tuple[dict[str, Any], list[str], list[str]]:
    """Values that every release has which can have run it, a question for each other, and notes."""
    last, key = until(context)
    native: dict[str, Any] = {}
    questions, notes = [], []
    by = f"`{context.get(key) if key == SCRIPT else key}` was there up to {_spelt(last)}"
    for name, able, ages in _older(context, last):
        if len(able) == 1:
            native[name] = able[0][1]
            notes.append(f"{name} is not said, and {able[0][1]} up to {_spelt(able[0][0])}: {by}")
            continue
        told = ", ".join(f"{value} up to {_spelt(end)}" for end, value in able if end != NOW)
        latest = ages[: len(able) + 1][-1][1]
        questions.append(
            f"{name} is not said, and what it is then depends on LLaMA-Factory's release: {told}, {latest} "
            f"since. {by}: which value was it?"
        )
    if last <= EMPTY_SINCE and "template" not in context.document.data and _templated(context):
        questions.append(f"{UNTEMPLATED} {by}: which is meant?")
    if _averages(context, last):
        notes.append(OF_MEANS)
    if last <= LAST_BY_SHARE and context.get("stage") not in ("pt", "ppo"):
        notes.append(BY_SHARE)
    return native, questions, notes


def _templated(context: Context) -> bool:
    """Whether it trains on turns."""
    return bool(context.get("do_train")) and context.get("stage") != "pt"


def _averages(context: Context, last: Release) -> bool:
    """Whether it ran with transformers before 4.46, and several micro-batches make a step."""
    before = last <= MEANS or "evaluation_strategy" in context.document.data
    several = context.devices > 1 or context.get("gradient_accumulation_steps", 1) != 1
    return last != NOW and before and several and context.get("stage") in ("sft", "pt")


def _older(context: Context, last: Release) -> Iterator[tuple[str, Ages, Ages]]:
    """What is not said, and had another default in a release that can have run the config.

    With the values of those releases, and all.
    """
    systems = once.SYSTEMS.get(str(context.get("template")))
    of_template = {"default_system": systems} if systems and context.get("stage") != "pt" else {}
    for name, ages in {**ASSUMED, **of_template}.items():
        said = any(key in context.document.data for key in (name, *ALSO.get(name, ())))
        able = possible(ages, last)
        if last != NOW and not said and _matters(name, context):
            yield name, able, ages


def possible(ages: Ages, last: Release) -> Ages:
    """The values of every release up to one."""
    return ages[: sum(end < last for end, _ in ages) + 1]


def _matters(name: str, context: Context) -> bool:
    reads = MATTERS.get(name)
    return reads is None or reads(context)


def length(context: Context) -> int:
    """The longest row, where `cutoff_len` is not said."""
    native, _, _ = assumed(context)
    return int(native.get("cutoff_len") or context.assumed("cutoff_len") or 2048)


def whole(rule: Rule) -> Rule:
    """A rule of `warmup_steps`, of which a part alone is read otherwise by transformers 4."""

    def checked(setting: Setting, context: Context) -> Outcome:
        part = isinstance(setting.value, float) and 0 < setting.value < 1
        if not part:
            both = setting.value and context.get("warmup_ratio") and until(context)[0] != NOW
            return PLAIN(setting, context) if both else rule(setting, context)
        if on_fourth(context):
            return Outcome("unknown", why=PART_OF_A_STEP)
        return rule(setting, context)._replace(why=SHARE, loud=True)

    return checked


def share(rule: Rule) -> Rule:
    """A rule of `warmup_ratio`, which gives way to steps in transformers 4."""

    def checked(setting: Setting, context: Context) -> Outcome:
        if setting.value and context.get("warmup_steps") and until(context)[0] != NOW:
            return Outcome("inert", why="transformers 4 takes warmup_steps where both are set")
        return rule(setting, context)

    return checked


def named(rule: Rule) -> Rule:
    """A rule of `pref_loss`: today's trl is handed no name, and trains `sigmoid` whatever is said.

    Up to 0.9.3 it took trl 0.9.6 at most, whose trainer looks the name up itself.
    """

    def checked(setting: Setting, context: Context) -> Outcome:
        chosen = context.table is not None and context.table.version == "0.9.3"
        older = chosen or until(context)[0] <= (0, 9, 3)
        if older and context.get("stage") == "dpo" and setting.value in ("hinge", "ipo"):
            return Outcome("exact", spec={"method.objective.loss": setting.value})
        return rule(setting, context)

    return checked


def _spelt(release: Release) -> str:
    return ".".join(map(str, release))
