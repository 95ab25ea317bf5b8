"""LLaMA-Factory's YAML or JSON, with dataset_info.json.

Read as 0.9.5 reads it: OmegaConf's YAML (hparams/parser.py), its dataclasses, and what the end of the
parser makes of them.
"""

from __future__ import annotations

from typing import Any

from ftspec.data.named import templates
from ftspec.port.fates import Kind, Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.hf_arguments import ACCEPTED, IDLE, KERNEL, plain, training_rules
from ftspec.port.formats.llamafactory.data import sources, split_names
from ftspec.port.formats.llamafactory.idle import idle_rules
from ftspec.port.formats.llamafactory.ppo import GENERATED, NEARLY, asked, drawn, is_ppo, ppo_rules
from ftspec.port.formats.llamafactory.tokens import TOKEN_RULES
from ftspec.port.rules import (
    Context,
    Outcome,
    group,
    inert,
    nearly,
    one_of,
    renamed,
    unless,
)
from ftspec.read import yaml
from ftspec.spec.chat_templates import NAMED, THINKING

PLAIN = plain()
TRAINING = training_rules()
HEAD = "its reward models have a head of another form: a bias, a dropout (spec.md#reward)"
ENDED = (
    "it appends the end-of-text token to every text, also where one stands there, and does not train it "
    "where it is the padding token as well"
)
FREE = ("orpo", "simpo")
"""Objectives without a reference."""
SIGNS = frozenset(
    (
        "stage", "finetuning_type", "template", "cutoff_len", "dataset_dir", "lora_target", "lora_rank",
        "do_train", "dataset", "plot_loss", "infer_backend", "quantization_bit", "pref_loss",
        "pref_beta", "mask_history", "train_on_prompt", "max_samples",
    )
)  # fmt: skip
UNHEARD = (
    "with transformers 5 it trains without float8 for all that: accelerate is asked by an environment "
    "variable, and the trainer's arguments have named another precision. With transformers 4 it multiplies "
    "in float8, which is `precision: {compute: fp8, fp8_recipe: rowwise}`"
)
"""train/fp8_utils.py; seen with 0.9.5 and transformers 5.6: the same losses with and without."""


def _listed(setting: Setting, context: Context) -> Outcome:
    """Names in one text or in a list: it takes both."""
    value = setting.value
    return PLAIN(
        setting._replace(value=",".join(map(str, value)) if isinstance(value, list) else value),
        context,
    )


def _trains(setting: Setting, _context: Context) -> Outcome:
    return Outcome("exact" if setting.value else "unknown", why="a spec is for training")


def _length(setting: Setting, context: Context) -> Outcome:
    if _packs(context) and isinstance(setting.value, int):
        why = "with packing set, it takes one token less (hparams/data_args.py)"
        return Outcome("derived", {"cutoff_len": setting.value - 1}, why=why)
    return PLAIN(setting, context)


def _packs(context: Context) -> bool:
    return bool(context.get("packing") or context.get("neat_packing"))


def _stage(setting: Setting, context: Context) -> Outcome:
    if setting.value == "pt":
        return Outcome("approximated", spec={"method.objective.type": "cpt"}, why=ENDED)
    if setting.value == "rm":
        return Outcome("approximated", spec={"method.objective.type": "reward"}, why=HEAD)
    if setting.value == "ppo":
        return Outcome("approximated", spec={"method.objective.type": "ppo"}, why=NEARLY)
    return Outcome(
        "exact", {"stage": setting.value}, {"method.objective.type": _objective(context)}
    )


def _objective(context: Context) -> Any:
    """The stage; two objectives of the stage `dpo` are named by `pref_loss`."""
    loss = context.get("pref_loss", context.get("dpo_loss"))
    stage = context.get("stage")
    return loss if stage == "dpo" and loss in FREE else stage


def _block(setting: Setting, context: Context) -> Outcome:
    """How many rows are prepared at once: a matter of speed, but for KTO, which pairs rows within them."""
    rule = PLAIN if context.get("stage") == "kto" else TRAINING["preprocessing_batch_size"]
    return rule(setting, context)


def _named(setting: Setting, context: Context) -> Outcome:
    if context.get("template") == "empty" and context.get("tokenized_path"):
        return Outcome("derived", why="a name that only stands for the rows that ftspec prepared")
    found = sources(split_names(setting.value), context)
    path = "data.eval" if setting.key == "eval_dataset" else "data.train"
    if found.missing:
        return Outcome("unknown", spec={path: found.sources}, why=found.missing)
    kind: Kind = "approximated" if found.nearly else "derived"
    return Outcome(kind, spec={path: found.sources}, why=found.nearly or found.why)


def _limited(setting: Setting, context: Context) -> Outcome:
    """The first rows of each data set; `_named` gives every source its limit."""
    if setting.value is None:
        return PLAIN(setting, context)
    if not isinstance(setting.value, int) or setting.value < 1:
        return Outcome("unknown", why="a count of rows is a whole number from 1 on")
    found = sources(split_names(context.get("dataset")), context)
    if not found.sources:
        return Outcome("unknown", why="a limit for rows that are not known either")
    return Outcome("derived", why="`limit` of each source", of=("data.train",))


def _held_out(setting: Setting, context: Context) -> Outcome:
    if setting.value == 1:
        return Outcome("unknown", why="1 is all of the rows there, and it stops")
    if setting.value and context.get("eval_dataset"):
        return Outcome("unknown", why="it takes eval_dataset or val_size, not both, and stops")
    return PLAIN(setting, context)


def _template(setting: Setting, context: Context) -> Outcome:
    if setting.value == "empty" and context.get("tokenized_path"):
        return Outcome("exact", {"template": setting.value})
    if setting.value in NAMED:
        return PLAIN(setting, context)
    known = templates().get(str(setting.value))
    reason = known.unfit if known else "none has that name"
    return Outcome(
        "approximated",
        why=f"its own template becomes the one that comes with the tokenizer: {reason}",
    )


def _thinking(setting: Setting, context: Context) -> Outcome:
    if context.get("template") in (*NAMED, "empty") and context.get("template") not in THINKING:
        return Outcome("inert", why="its template has no thoughts")
    if setting.value is not None and context.get("template") in THINKING:
        return PLAIN(setting, context)
    if setting.value is True:
        return Outcome("inert", why="what a template with thoughts does anyway")
    if setting.value is None:
        return Outcome("unknown", why="empty thoughts that do not train, and none deleted")
    return Outcome(
        "approximated",
        {setting.key: setting.value},
        why="it deletes the thoughts of answers as well, which a chat template leaves",
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
    if _packs(context):
        native |= {"packing": True, "cutoff_len": (context.assumed("cutoff_len") or 2048) - 1}
    elif context.get("packing") is None:
        native["packing"] = context.get("stage") == "pt"  # the end of its parser
    questions = []
    if not context.get("do_train"):
        questions.append("do_train is not set: this config trains nothing, it evaluates or chats")
    # its own way of cutting, in proportion from prompt and answer, is what the row of the map tells
    spec: dict[str, Any] = {"data.overflow": "truncate"}
    if context.get("stage") in ("dpo", "kto"):
        spec["method.objective.type"] = _objective(context)
    if is_ppo(context):
        spec |= drawn(context)
        questions += asked(context)
    return Completion(native, spec, tuple(questions))


format = Format(
    name="llamafactory",
    title="LLaMA-Factory",
    backend="llamafactory",
    package="llamafactory",
    signs=SIGNS,
    scalar=yaml.scalar,
    otherwise=PLAIN,
    complete=_complete,
    rules={
        **TRAINING,
        **idle_rules(),
        "stage": _stage,
        "preprocessing_batch_size": _block,
        "cutoff_len": _length,
        "do_train": _trains,
        "lora_target": _listed,
        "additional_target": _listed,
        "dataset": _named,
        "eval_dataset": _named,
        "dataset_dir": inert("where dataset_info.json stands: the files are named in data.train"),
        "template": _template,
        "tokenized_path": _tokenized,
        "enable_thinking": _thinking,
        "max_samples": _limited,
        "val_size": _held_out,
        "overwrite_cache": inert("a compiled run never takes rows from a cache"),
        "use_unsloth": unless(
            (False,), "no", nearly("Unsloth's kernels, which are a backend of their own here")
        ),
        "flash_attn": one_of(
            auto=renamed("flash_attn", lambda _: "sdpa", "transformers takes sdpa"),
            true=renamed("flash_attn", lambda _: "fa2", "an older way to say fa2"),
            false=renamed("flash_attn", lambda _: "sdpa", "an older way to say auto"),
            otherwise=PLAIN,
        ),
        # names that older versions had
        "checkpoint_dir": renamed("adapter_name_or_path"),
        "sft_packing": renamed("packing"),
        "dpo_beta": renamed("pref_beta"),
        "dpo_loss": renamed("pref_loss"),
        "dpo_ftx": renamed("pref_ftx"),
        "num_layer_trainable": renamed("freeze_trainable_layers"),
        "name_module_trainable": renamed("freeze_trainable_modules"),
        **group(
            "what is shown or kept, not what is trained",
            "plot_loss",
            "print_param_status",
            "include_effective_tokens_per_second",
            "cache_dir",
            "data_shared_file_system",
        ),
        "enable_liger_kernel": inert(KERNEL),
        "use_v1_kernels": inert(KERNEL),
        **group(
            "images are out of scope: rows with any are refused, and others it does not touch",
            "image_max_pixels",
            "image_min_pixels",
            "video_max_pixels",
            "video_min_pixels",
            "video_fps",
            "video_maxlen",
            "freeze_vision_tower",
            "freeze_multi_modal_projector",
            "image_do_pan_and_scan",
            "crop_to_patches",
        ),
        **ppo_rules(),
        **TOKEN_RULES,
        "fp8": unless((False,), "no", nearly(UNHEARD)),
        "fp8_backend": inert("it belongs to fp8"),
        "fp8_enable_fsdp_float8_all_gather": inert("it belongs to fp8"),
        "infer_backend": inert(GENERATED),
        "predict_with_generate": inert(GENERATED),
    },
    own=frozenset(("dataset_dir", "do_eval", "do_predict", "flash_attn", "fp8_backend")),
    mentions={"dataset_dir": "dataset_info", "deepspeed": "deepspeed"},
    idle={
        **IDLE,
        **dict.fromkeys(
            (
                "lora_rank",
                "lora_alpha",
                "lora_dropout",
                "lora_target",
                "additional_target",
                "use_rslora",
                "use_dora",
                "pissa_init",
            ),
            "the saved adapter brings its own",
        ),
        "create_new_adapter": "there is no saved adapter",
    },
    accepted={
        **ACCEPTED,
        "overwrite_cache": "a cache is a matter of speed",
        "use_reentrant_gc": "both ways recompute the same activations",
        "overwrite_output_dir": "a run of ftspec has a folder of its own",
    },
)
