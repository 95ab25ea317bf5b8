"""What trl's and Unsloth's scripts have in common: rules for their calls, and their rows."""

from __future__ import annotations

import re
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.deepspeed.precision import PLAIN_CLASSES
from ftspec.port.formats.scripts import images
from ftspec.port.formats.scripts.texts import (
    TEXT_RULES,
    asked,
    bare,
    beside,
    draws,
    is_parted,
    is_text,
    limited,
    prompts,
    shape,
)
from ftspec.port.formats.scripts.tokens import TOKEN_RULES
from ftspec.port.formats.trl.collator import COLLATOR_RULES, trained
from ftspec.port.formats.trl.data import ASKED, FEW, LOADERS, SHAPE, WHICH_FORMAT, files_of, source
from ftspec.port.formats.trl.plain import CONFIG
from ftspec.port.formats.trl.stops import comma
from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.formats.unsloth.templates import TEMPLATE_RULES, unnamed
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    derived,
    group,
    inert,
    section,
    unknown,
    unless,
)
from ftspec.port.scripts.names import DRAWN, LOADED, PREPARED, SHARED, UNUSED, UNUSED_BITS
from ftspec.spec.data import SUFFIXES, unsliced
from ftspec.spec.online import ONLINE

STOPS = ", and a class that is given it stops"
PLAIN_DEFAULTS = {
    "learning_rate": 5e-5, "logging_steps": 500, "gradient_checkpointing": False, "bf16": False,
}  # fmt: skip
"""Where transformers' TrainingArguments assume otherwise than trl's SFTConfig."""
A_WORD = (
    "peft takes a word for a pattern of whole names, which is not in a spec: name modules in a list"
)
SEVERAL = "data.train: several data sets are loaded: which of them trains?"
OTHER_PART = "data.train: the rows that train_test_split holds out are those that train"
READERS = (*LOADERS, "text", "arrow", "xml", "pandas", "webdataset")
"""What `load_dataset` has for files."""
UNREAD = (
    "a spec has one file of .jsonl, .json, .parquet or .csv, on a disk or in a data set of the hub"
)
_REMOTE = re.compile(
    r"https?://huggingface\.co/datasets/(?P<hub>[\w.-]+/[\w.-]+)/(?:resolve|raw|blob)/"
    r"(?P<at>[^/]+)/(?P<file>[^?#]+)"
)
HELD_OUT = ("test", "val", "eval")
"""How names of splits begin that nothing trains on."""
UNSAID = (
    *("layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "exclude_modules"),
    *(
        "megatron_config",
        "layer_replication",
        "trainable_token_indices",
        "auto_mapping",
        "revision",
    ),
)
"""Arguments of an adapter that say nothing where they are empty."""
ADAPTER_IDLE = ("task_type", "inference_mode", "model", "max_seq_length", "loftq_config")


def has(context: Context, name: str) -> bool:
    """Whether the script makes the call."""
    return name in context.document.data


def adapter(setting: Setting, _context: Context) -> Outcome:
    """An argument of LoraConfig, or of Unsloth's get_peft_model."""
    name = setting.key.rpartition(".")[2]
    if name == "inference_mode" and setting.value:
        return Outcome("unknown", why="an adapter that is loaded for inference does not train")
    if name in ADAPTER_IDLE and (name != "loftq_config" or not setting.value):
        return Outcome("inert", why="it does not change what is trained")
    value = setting.value
    if name in UNSAID and not value:
        return Outcome("inert", why="what peft does anyway")
    if name == "target_modules" and isinstance(value, str) and value != "all-linear":
        return Outcome("unknown", why=A_WORD)
    if name in ("target_modules", "modules_to_save") and (why := comma(value)):
        return Outcome("unknown", why=why)
    return Outcome("exact", {f"LoraConfig.{name}": value})


def _loads(context: Context) -> dict[str, dict[str, Any]]:
    return {
        key: value
        for key, value in context.document.data.items()
        if key.partition("#")[0] == "load_dataset" and isinstance(value, dict)
    }


def _source(
    call: dict[str, Any], split: Any = None, *, held: bool = False
) -> dict[str, Any] | None:
    """The rows that a call loads; ``held``: to evaluate on, where it loads both."""
    place = call.get("0", call.get("path"))
    split = _one_split(call.get("split") or split, held)
    if not isinstance(place, str) or isinstance(split, list):
        return None
    files, revision = call.get("data_files"), call.get("revision")
    if isinstance(files, dict):
        files = files.get(unsliced(str(split or "train"))[0])
    if place in READERS:
        return _of_reader(place, split, files)
    name = call.get("1", call.get("name"))
    return source(place, name, split, files=files, revision=revision)


def _one_split(said: Any, held: bool) -> Any:
    """Of a list of splits the one that its name tells; the list where none or several could be meant."""
    if not isinstance(said, list):
        return said
    named = [one for one in said if str(one).startswith(HELD_OUT) == held]
    return named[0] if len(named) == 1 else said


def _of_reader(place: str, split: Any, files: Any) -> dict[str, Any] | None:
    """One file: of a disk, or by the address that a data set of the hub has for it."""
    chosen = files_of(place, files) if files and place in LOADERS else None
    if chosen is None:
        return None
    if (remote := _REMOTE.fullmatch(chosen[0])) is not None:
        hub, revision, file = remote["hub"], remote["at"], remote["file"]
        own = None if revision == "main" else revision
        return source(hub, None, split, files=[file], revision=own)
    if "://" in chosen[0] or not chosen[0].lower().endswith(tuple(SUFFIXES)):
        return None
    return source(place, None, split, files=files)


def _sources(context: Context) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """Rows that train, rows to evaluate on, and questions: by what the trainer is given."""
    loads = _loads(context)
    train, held, open_ones = _by_name(loads, section(context, DRAWN).get("joined"))
    if (said := section(context, "train_dataset")).get("of") in loads:
        found = _source(loads[said["of"]], said.get("split"))
        train = [found] if found else []
        open_ones = [OTHER_PART] if said.get("part", "train") not in ("train", "") else []
        held = []
    if (said := section(context, "eval_dataset")).get("of") in loads and "part" not in said:
        found = _source(loads[said["of"]], said.get("split"), held=True)
        held = [found] if found else []
    return train, held, open_ones


def _by_name(
    loads: dict[str, dict[str, Any]], joined: int | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """What trains by the names of splits; all of them, where the script joins so many."""
    train: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    for call in loads.values():
        if (found := _source(call)) is not None:
            split = str(call.get("split") or "train")
            (held if split.startswith(HELD_OUT) else train).append(found)
    several = len(train) > 1 and not (joined == len(train) == len(loads))
    return train, held, [SEVERAL] if several else []


def rows(context: Context) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Native values, spec values and questions of the rows."""
    train, held, questions = _sources(context)
    word = trainer(context)[0]
    for one in (*train, *held):
        one.update(prompts(context) if word in ONLINE else shape(context))
        one.update(images.columns(context))
    if any(one["hub"] and one["format"] == "auto" and not one["template"] for one in train):
        questions.append(f"{ASKED}; {WHICH_FORMAT.get(word, WHICH_FORMAT['sft'])}")
    questions += [*asked(context), *unnamed(context), *images.asked(context)]
    limited(context, train)
    spec: dict[str, Any] = {"data.train": tuple(train)} if train else {}
    spec |= draws(context)
    if is_text(context):
        spec["data.train_on"] = "assistant"  # which has no meaning for a text: all of it trains
    if is_parted(context) or (word == "sft" and "completion" in beside(context)):
        spec["data.train_on"] = "completions"
    elif word == "sft" and (turns := trained(context)):
        spec["data.train_on"] = turns
    spec |= images.seen(context)
    if (
        held
        and "data.eval_size" not in spec
        and context.get("eval_strategy", context.get("evaluation_strategy", "no")) != "no"
    ):
        spec["data.eval"] = tuple(held)
    native = {SHAPE: "text" if is_text(context) else "messages"}
    if context.get("output_dir") is None:  # transformers: TrainingArguments.__post_init__
        native[f"{CONFIG}output_dir"] = "trainer_output"
    return native, spec, questions


def objective(context: Context) -> tuple[str, list[str]]:
    """The objective's name, and questions: texts all of which is learned are no demonstrations."""
    word, question = trainer(context)
    plain = word == "sft" and is_text(context)
    return "cpt" if plain else word, [question] if question else []


def plain_defaults(context: Context, prefix: str) -> dict[str, Any]:
    """What TrainingArguments mean by missing arguments."""
    if context.get("config_class") not in PLAIN_CLASSES:
        return {}
    return {
        f"{prefix}{key}": value for key, value in PLAIN_DEFAULTS.items() if context.get(key) is None
    }


def _loaded(setting: Setting, context: Context) -> Outcome:
    call, name, *rest = (*setting.key.split("."), "")
    given = [section(context, which) for which in ("train_dataset", "eval_dataset")]
    others = "of" in given[0] and call not in (one.get("of") for one in given)
    split = rest[0] if name == "data_files" else ""
    if others or (split and not any(_takes(one, call, split) for one in given)):
        return Outcome("inert", why="these rows are not what the trainer is given")
    if name == "split" and isinstance(_one_split(setting.value, held=False), list):
        return Outcome("unknown", why="which of these splits train? load each by itself")
    if name in ("0", "1", "path", "name", "split", "revision"):
        return Outcome("derived", of=("data.train",))
    if name == "data_files":
        return _files(setting, section(context, call), split or None)
    whole = name == "streaming" and not setting.value
    if whole or name in ("token", "cache_dir", "num_proc", "trust_remote_code"):
        return Outcome("inert", why="it does not change which rows there are")
    return Outcome("unknown", why="how rows are chosen inside a data set is not in a spec")


def _files(setting: Setting, said: dict[str, Any], split: str | None) -> Outcome:
    place = said.get("0", said.get("path"))
    if place in READERS and _source(said, split) is None:
        return Outcome("unknown", why=UNREAD)
    if files_of(place, setting.value) is None:
        return Outcome("unknown", why=FEW)
    return Outcome("derived", of=("data.train",))


def _takes(given: dict[str, Any], call: str, split: str) -> bool:
    """Whether a trainer is given this split of what a call has loaded."""
    return not given or (given.get("of") == call and given.get("split", "train") == split)


def _field(setting: Setting, context: Context) -> Outcome:
    if why := bare(context):
        return Outcome("approximated", why=why, of=("data.train", "method.objective.type"))
    return Outcome("derived", why="the column of texts", of=("data.train",))


SCRIPT_RULES: dict[str, Rule] = {
    "config_class": derived("method.objective.type"),
    "loaded_by": derived("model.dtype"),
    **dict.fromkeys(("plain_trainer", "unsloth_trainer"), derived("method.objective.type")),
    "LoraConfig": inert("all of it is peft's default"),
    "LoraConfig.": adapter,
    f"{UNUSED}.": inert("no trainer is given this adapter: all weights train"),
    PREPARED: inert("Unsloth has prepared the model already"),
    f"{UNUSED_BITS}.": inert("no model is loaded with it"),
    **group(
        "where a model is looked for, not which",
        *(
            f"{LOADED}.{name}"
            for name in (
                "local_files_only",
                "use_safetensors",
                "return_dict",
                "max_memory",
                "use_auth_token",
                "force_download",
                "resume_download",
                "proxies",
                "torchscript",
                "output_loading_info",
            )
        ),
    ),
    f"{LOADED}.": unless(
        (None,),
        "nothing is said",
        unknown("a further argument of from_pretrained is not in a spec"),
    ),
    "get_peft_model": inert("all of it is Unsloth's default"),
    "get_peft_model.": adapter,
    "load_dataset.": _loaded,
    **{f"load_dataset#{number}.": _loaded for number in range(2, 9)},
    "dataset_text_field": images.field(_field),
    "train_dataset.": derived("data.train"),
    "eval_dataset.": derived("data.eval"),
    **{key: derived("data.train") for name in SHARED for key in (name, f"{name}.")},
    **TEMPLATE_RULES,
    **TOKEN_RULES,
    **TEXT_RULES,
    **COLLATOR_RULES,
    **images.IMAGE_RULES,
    "from_pretrained": inert("all of it is the default"),
    "from_pretrained.": unknown("a further argument of from_pretrained is not in a spec"),
}
