"""LLaMA-Factory's YAML or JSON, with dataset_info.json.

Read as 0.9.5 reads it: OmegaConf's YAML (hparams/parser.py), its dataclasses, and what the end of the
parser makes of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftspec.families.training.launch import SEQUENCES
from ftspec.port.fates import Kind, Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.hf_arguments import ACCEPTED, IDLE, KERNEL, plain, training_rules
from ftspec.port.formats.llamafactory import aged
from ftspec.port.formats.llamafactory.commands import command_rules, doubts, other
from ftspec.port.formats.llamafactory.data import objective, sources, split_names
from ftspec.port.formats.llamafactory.evaluation import evaluation_rules
from ftspec.port.formats.llamafactory.idle import idle_rules
from ftspec.port.formats.llamafactory.images import (
    elsewhere,
    image_rules,
    seen,
    smaller,
    uncut,
)
from ftspec.port.formats.llamafactory.joined import (
    BLOCKS,
    block,
    length,
    long_rows,
    neat,
    packing,
    packs,
    taken,
    workers,
)
from ftspec.port.formats.llamafactory.ktransformers import KTRANSFORMERS_RULES
from ftspec.port.formats.llamafactory.megatron import MEGATRON_RULES
from ftspec.port.formats.llamafactory.older import MERGED, older_rules
from ftspec.port.formats.llamafactory.order import ORDER_RULES
from ftspec.port.formats.llamafactory.ppo import GENERATED, NEARLY, asked, drawn, is_ppo, ppo_rules
from ftspec.port.formats.llamafactory.stops import stops
from ftspec.port.formats.llamafactory.stored import stored, supposed
from ftspec.port.formats.llamafactory.template import system, template, thinking
from ftspec.port.formats.llamafactory.texts import unfolded
from ftspec.port.formats.llamafactory.tokens import TOKEN_RULES
from ftspec.port.formats.llamafactory.unheard import (
    FLOAT8,
    SCHEDULES,
    at_the_peak,
    float8,
    layerwise,
    scheduled,
    unheard,
)
from ftspec.port.rules import (
    ROWS,
    Context,
    Outcome,
    derived,
    group,
    inert,
    nearly,
    one_of,
    renamed,
    unknown,
    unless,
)
from ftspec.read import yaml
from ftspec.spec.data import Source
from ftspec.spec.present import is_folder

PLAIN = plain()
TRAINING = training_rules()
HEAD = (
    "its reward models have a head of another form: a bias, a dropout (spec.md#reward); rows, loss and steps "
    "are the same"
)
ENDED = (
    "it appends the end-of-text token to every text, also where one stands there, and does not train it "
    "where it is the padding token as well"
)
TURNS = (
    "it takes rows of the data sets by turns, or by chance (datasets, interleave_datasets); a spec puts them "
    "one after the other"
)
SIGNS = frozenset(
    (
        "stage", "finetuning_type", "template", "cutoff_len", "dataset_dir", "lora_target", "lora_rank",
        "do_train", "dataset", "plot_loss", "infer_backend", "quantization_bit", "pref_loss",
        "pref_beta", "mask_history", "train_on_prompt", "max_samples",
    )
)  # fmt: skip
LISTS = (
    *("lora_target", "additional_target", "oft_target", "galore_target"),
    *("freeze_trainable_modules", "freeze_extra_modules"),
)
"""Names with commas between them, or a list."""
NO_LAYERS = ("all-linear",)
"""Words of other tools for all layers (model/adapter.py asks for `all`)."""


def _listed(setting: Setting, context: Context) -> Outcome:
    """Names in one text or in a list: it takes both."""
    value = setting.value
    names = value.split(",") if isinstance(value, str) else value
    if isinstance(names, list):
        if wrong := [
            name for name in names if str(name).strip() in NO_LAYERS or " " in str(name).strip()
        ]:
            return Outcome(
                "unknown", why=f"{wrong[0]!r} is the name of no layer: it says `all`, or commas"
            )
        value = ",".join(str(name).strip() for name in names)  # hparams/*.py, split_arg
    return PLAIN(setting._replace(value=value), context)


def _trains(setting: Setting, _context: Context) -> Outcome:
    return Outcome("exact" if setting.value else "unknown", why="a spec is for training")


def _stage(setting: Setting, context: Context) -> Outcome:
    if setting.value == "pt":
        joined = context.get("packing") is not False
        return Outcome(
            "approximated",
            spec={
                "method.objective.type": "cpt",
                "data.packing": "blocks" if joined else None,
            },
            why=f"{ENDED}; {BLOCKS}" if joined else ENDED,
        )
    if setting.value == "rm":
        return Outcome("approximated", spec={"method.objective.type": "reward"}, why=HEAD)
    if setting.value == "orpo":  # releases 0.6 and 0.7
        native = {"stage": "dpo", "pref_loss": "orpo"}
        return Outcome("renamed", native, {"method.objective.type": "orpo"})
    if setting.value == "ppo":
        return Outcome("approximated", spec={"method.objective.type": "ppo"}, why=NEARLY)
    return Outcome("exact", {"stage": setting.value}, {"method.objective.type": objective(context)})


def _named(setting: Setting, context: Context) -> Outcome:
    if context.get("template") == "empty" and context.get("tokenized_path"):
        return Outcome("derived", why="a name that only stands for the rows that ftspec prepared")
    found = sources(split_names(setting.value), context)
    path = "data.eval" if setting.key == "eval_dataset" else "data.train"
    if found.missing:
        known = {path: found.sources} if found.sources else {}
        return Outcome("unknown", spec=known, why=found.missing, of=(path,))
    kind: Kind = "approximated" if found.nearly else "derived"
    return Outcome(kind, spec={path: found.sources}, why=found.nearly or found.why)


def _limited(setting: Setting, context: Context) -> Outcome:
    """The first rows of each data set; `_named` gives every source its limit."""
    if setting.value is None:
        return PLAIN(setting, context)
    if type(setting.value) is not int or setting.value < 1:
        return Outcome("unknown", why="a count of rows is a whole number from 1 on")
    return Outcome("derived", why="`limit` of each source", of=("data.train",))


def _rows_known(context: Context) -> bool:
    return bool(sources(split_names(context.get("dataset")), context).sources)


def _adapter(setting: Setting, context: Context) -> Outcome:
    if "," in str(setting.value):
        why = "of several adapters it merges all but the last into the model"
        return Outcome("unknown", why=why)
    return PLAIN(setting, context)


def _answered(setting: Setting, context: Context) -> Outcome:
    """Its evaluation writes answers then, and hands the model no labels (train/sft/trainer.py)."""
    chooses = any(map(context.get, ("load_best_model_at_end", "early_stopping_steps")))
    if setting.value and chooses:
        why = "its evaluation writes answers then, and has no loss by which weights are chosen"
        return Outcome("unknown", why=why)
    return Outcome("inert", why=GENERATED)


def _half(setting: Setting, context: Context) -> Outcome:
    if setting.value is True and context.get("pure_bf16") is True:
        why = "pure_bf16 has the weights in bfloat16 anyway: what is cast around them is rounding"
        return Outcome("inert", why=why)
    return PLAIN(setting, context)


def _mixed(setting: Setting, context: Context) -> Outcome:
    if setting.value in (None, "concat"):
        return PLAIN(setting, context)
    if len(split_names(context.get("dataset"))) < 2:
        return Outcome("inert", why="there is one data set alone")
    return Outcome("unknown", why=TURNS)


def _new_adapter(setting: Setting, context: Context) -> Outcome:
    if setting.value and context.get("adapter_name_or_path", context.get("checkpoint_dir")):
        return Outcome("unknown", why=MERGED)
    return PLAIN(setting, context)


def _decay(setting: Setting, context: Context) -> Outcome:
    if context.get("use_badam"):
        return Outcome("inert", why="its BAdam decays weights by 0.01, whatever it is told")
    return PLAIN(setting, context)


def _expanded(setting: Setting, context: Context) -> Outcome:
    if setting.value and (context.get("finetuning_type") or "lora") in ("lora", "oft"):
        why = "adapters on every n-th layer alone, by how many the model has (model/adapter.py)"
        return Outcome("unknown", why=why)
    return PLAIN(setting, context)


def _tokenized(setting: Setting, context: Context) -> Outcome:
    """data/loader.py: where rows are saved there, they hold; else its own are saved there, and train."""
    if context.get("template") == "empty" or setting.value is None:
        return PLAIN(setting, context)
    if context.get("streaming"):
        return Outcome("unknown", why="a stream is saved nowhere, and it stops")
    beside = context.document.path.parent
    if any(is_folder(folder) for folder in (Path(setting.value), beside / setting.value)):
        why = "the rows that are saved there train, whatever the other settings say: they are not read"
        return Outcome("unknown", why=why)
    return Outcome(
        "inert", why="where its rows are saved; none are there yet that would hold instead"
    )


def _complete(context: Context) -> Completion:
    older, questions, notes = aged.assumed(context)
    native: dict[str, Any] = {
        **older,
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
        SEQUENCES: context.sharing,
    }
    if context.get("stage") == "pt":
        native["packing"] = False  # its blocks are told of the stage
        if packs(context):
            native["cutoff_len"] = aged.length(context) - taken(context)
    elif context.get("neat_packing"):
        native["packing"] = True
    elif context.get("packing") is None:
        native["packing"] = False  # the end of its parser
    purpose = other(context)
    questions[:0] = doubts(context)
    questions += [*stops(context), *stored(context), *smaller(context)]
    spec: dict[str, Any] = {"data.overflow": long_rows(context)}
    if packs(context) and context.get("stage") != "pt":
        said = context.get("cutoff_len", aged.length(context))
        if isinstance(said, int):
            spec["data.max_length"] = said - taken(context)
    spec |= seen(context)
    if not context.get("media_dir"):
        questions += elsewhere(context)
    rows = sources(split_names(context.get("dataset")), context)
    if rows.missing and rows.sources:  # the rest alone is not what it trains
        questions.append(f"data.train: {rows.missing}")
    if context.get("stage") in ("dpo", "kto", "orpo"):
        spec["method.objective.type"] = objective(context)
    if type(limit := context.get("max_samples")) is int and limit > 0 and not _rows_known(context):
        spec["data.train"] = (Source(path=ROWS, limit=limit).model_dump(),)
    if is_ppo(context):
        spec |= drawn(context)
        questions += asked(context)
    if at_the_peak(context):
        native |= {"lr_scheduler_type": "constant", "warmup_steps": 0}
    notes = [*notes, *supposed(context)] if purpose is None else []
    told = (*notes, *unheard(context), *uncut(context))
    return Completion(native, spec, tuple(questions), told, trains=purpose is None)


format = Format(
    name="llamafactory",
    title="LLaMA-Factory",
    backend="llamafactory",
    package="llamafactory",
    signs=SIGNS,
    scalar=yaml.scalar,
    casts=False,  # parse_dict of transformers' HfArgumentParser fills the dataclasses with what it is given
    otherwise=PLAIN,
    stops=", and it stops at it, unless ALLOW_EXTRA_ARGS is set (hparams/parser.py)",
    nothing=frozenset(("max_grad_norm", "cutoff_len")),
    prepare=unfolded,
    complete=_complete,
    rules={
        **TRAINING,
        **idle_rules(),
        "pref_loss": aged.named(idle_rules()["pref_loss"]),
        **command_rules(),
        **KTRANSFORMERS_RULES,
        **MEGATRON_RULES,
        "stage": _stage,
        "preprocessing_batch_size": block,
        "preprocessing_num_workers": workers,
        "cutoff_len": length,
        "do_train": _trains,
        **dict.fromkeys(LISTS, _listed),
        "dataset": _named,
        "dataset_dir": inert("where dataset_info.json stands: the files are named in data.train"),
        "template": template,
        "packing": packing,
        "neat_packing": neat,
        "tokenized_path": _tokenized,
        "enable_thinking": thinking,
        "default_system": system,
        "max_samples": _limited,
        **evaluation_rules(_named),
        "resume_from_checkpoint": one_of(
            false=inert("nothing is resumed (transformers, Trainer.train)"),
            true=unknown("it goes on from the last checkpoint in output_dir: name that folder"),
            otherwise=PLAIN,
        ),
        "adapter_name_or_path": _adapter,
        "create_new_adapter": _new_adapter,
        "use_llama_pro": _expanded,
        "weight_decay": _decay,
        "remove_unused_columns": inert(
            "it switches that off, whatever is said (hparams/parser.py)"
        ),
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
        **older_rules(),
        "dpo_loss": aged.named(older_rules()["dpo_loss"]),
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
        **image_rules(),
        **ppo_rules(),
        **TOKEN_RULES,
        "fp8": float8,
        "galore_layerwise": layerwise,
        **{key: scheduled(TRAINING.get(key, PLAIN)) for key in SCHEDULES},
        "warmup_steps": scheduled(aged.whole(TRAINING.get("warmup_steps", PLAIN))),
        "warmup_ratio": scheduled(aged.share(TRAINING.get("warmup_ratio", PLAIN))),
        aged.SCRIPT: derived(why="how old LLaMA-Factory was, which says what it assumed"),
        "fp8_backend": inert("it belongs to fp8"),
        "fp8_enable_fsdp_float8_all_gather": inert("it belongs to fp8"),
        "infer_backend": inert(GENERATED),
        "predict_with_generate": _answered,
        "bf16": _half,
        **ORDER_RULES,
        "mix_strategy": _mixed,
        "interleave_probs": _mixed,
    },
    own=frozenset(
        (
            *("dataset_dir", "do_eval", "do_predict", "eval_dataset", "flash_attn"),
            *("init_special_tokens", "remove_unused_columns"),
            *FLOAT8,
            *SCHEDULES,
        )
    ),
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
    gone=frozenset(aged.LAST),
    accepted={
        **ACCEPTED,
        "overwrite_cache": "a cache is a matter of speed",
        "use_reentrant_gc": "both ways recompute the same activations",
        "overwrite_output_dir": "a run of ftspec has a folder of its own",
    },
)
