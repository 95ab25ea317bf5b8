"""Where axolotl takes rows from, and which of their tokens train.

Types of rows are its prompt strategies (prompt_strategies/ of 0.19.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from ftspec.families.rows import instructions
from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.attention import TOGETHER, apart
from ftspec.port.formats.axolotl.entries import (
    CHATS,
    COLUMN,
    PROMPT,
    STREAM,
    WINDOWS,
    Row,
    completes,
    entries,
    objective,
    places,
    row,
    streamed,
)
from ftspec.port.formats.axolotl.grpo import KEPT
from ftspec.port.formats.axolotl.handed import withheld, without
from ftspec.port.formats.axolotl.turns import (
    CALLED,
    EOT,
    SYSTEM,
    TURN_RULES,
    TURNS,
    chats,
    entry_of,
    has_system,
    inputs,
    turns,
)
from ftspec.port.formats.axolotl.types import why_no_pairs
from ftspec.port.formats.axolotl.unread import ENTRY, unread
from ftspec.port.formats.axolotl.words import evaluates, off_or, said, taken
from ftspec.port.rules import Context, Outcome, Rule, inert, unknown
from ftspec.spec.data import SUFFIXES, unsliced

ROLES = {
    "system": ["system"], "user": ["user", "human"], "assistant": ["assistant", "gpt"], "tool": ["tool"],
}  # fmt: skip
PARTS = (
    *("system_prompt", "system_format", "format", "no_input_format"),
    *("field_system", "field_instruction", "field_input", "field_output"),
)
COMPARED = ("dpo", "kto", "orpo", "simpo")
MEASURED = (
    "it measures a prompt and its answers each by itself, without what is added to them (utils/data/rl.py): "
    "rows that are longer by a token or two stay there, and are cut"
)
LEFT_OUT = "rows whose prompt alone is too long are left out there, and cut here (utils/data/rl.py)"
TEMPLATES = files(__package__) / "templates"
UNLISTED = ("phi_4",)
"""Templates of its folder that its list of names lacks."""
"""What its names of chat templates mean."""


def data(context: Context) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Spec values of the rows, and questions."""
    train = [row(one) for one in entries(context, STREAM) or entries(context)]
    held = [row(one) for one in entries(context, "test_datasets")]
    spec: dict[str, Any] = {"data.train": _every(train)} if train else {}
    if held:
        spec["data.eval"] = _every(held)
    if not held:
        spec |= drawn(context)
    learns = objective(context)
    questions = [one.question for one in train if one.question]
    if learns == "sft" and any(one.objective == "cpt" for one in train):
        questions.append(
            "data.train: plain texts beside rows with answers: a spec has one or the other"
        )
    everything = bool(taken(context, "train_on_inputs")) or learns == "cpt"
    spec["data.train_on"] = "all" if everything else "assistant"
    if learns != "cpt":
        strategy = taken(context, "excess_length_strategy")
        spec["data.overflow"] = {"truncate": "truncate", "raise": "error"}.get(
            str(strategy), "drop"
        )
    elif completes(context):
        windows = {"data.overflow": "split", "data.split_rows": WINDOWS}
        spec |= {**windows, "data.prepare": "ftspec"}
    else:
        spec["data.overflow"] = "truncate"
    if context.get("pretraining_dataset"):
        spec["data.packing"] = streamed(context)[0]
    elif taken(context, "sample_packing"):
        spec["data.packing"] = "documents"
    else:
        spec["data.packing"] = None
    spec["data.shuffle"] = not context.get("curriculum_sampling")
    spec |= turns(context)
    if prepares(context):
        spec["data.prepare"] = "ftspec"
    return spec, tuple(dict.fromkeys(questions))


def _every(found: Iterable[Row]) -> tuple[dict[str, Any], ...]:
    return tuple(source for one in found for source in one.sources)


def prepares(context: Context) -> bool:
    """Whether ftspec has to prepare the rows, for what no framework leaves out or splits as axolotl does."""
    entry = any(one.get("drop_system_message") for one in entries(context))
    names = ("dataset_exact_deduplication", "min_sample_len")
    return entry or completes(context) or any(taken(context, name) for name in names)


def _distinct(setting: Setting, context: Context) -> Outcome:
    if objective(context) not in ("sft", "cpt") or context.get("pretraining_dataset"):
        return Outcome("unknown", why="only rows that ftspec prepares are compared")
    return Outcome("renamed", spec={"data.distinct": setting.value})


def _shortest(setting: Setting, context: Context) -> Outcome:
    if objective(context) not in ("sft", "cpt") or context.get("pretraining_dataset"):
        return Outcome("unknown", why="only rows that ftspec prepares are measured")
    return Outcome("renamed", spec={"data.min_length": setting.value})


def _bare(setting: Setting, context: Context) -> Outcome:
    """Of all data sets in a spec, or of none."""
    if not all(bool(one.get("drop_system_message")) for one in entries(context)):
        return Outcome("unknown", why="in a spec the conversations of all sources lose it, or none")
    return Outcome("renamed", spec={"data.drop_system": setting.value})


def _of(setting: Setting, context: Context) -> Row | None:
    root, _, rest = setting.key.partition("[")
    number = rest.partition("]")[0]
    found = entries(context, root)
    return row(found[int(number)]) if number.isdigit() and int(number) < len(found) else None


def _part(setting: Setting, _context: Context) -> Outcome:
    path = "data.eval" if setting.key.startswith("test_") else "data.train"
    return Outcome("derived", of=(path,))


def _type(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found is None:
        return Outcome("unknown", why="which rows it speaks of is not clear")
    if objective(context) not in ("sft", "cpt"):
        return Outcome("unknown", why=why_no_pairs(setting.value, objective(context)))
    if setting.key.startswith(STREAM) and found.objective == "cpt":
        of = ("data.train", "data.packing")
        return Outcome("approximated", why=streamed(context)[1], of=of)
    if setting.value in CHATS and has_system(found.source, entry_of(setting, context), context):
        return Outcome("approximated", why=SYSTEM, of=("data.train", "data.turn_part"))
    entry = entry_of(setting, context)
    if setting.value in CHATS and len(_withheld(_template_for(entry, context), context)) > 1:
        return Outcome("unknown", why="a template asks more of a turn than all data sets hand it")
    if setting.value in CHATS and found.kind != "unknown":
        return Outcome("derived", why=TURNS, of=("data.train", "data.turn_part"))
    return Outcome(found.kind, why=found.why, of=("data.train",) if found.kind != "unknown" else ())


def _of_pairs(setting: Setting, context: Context) -> Outcome:
    """The name of a column of answers: prompt_strategies/dpo/chat_template.py alone asks for it."""
    if objective(context) in ("sft", "cpt"):
        return Outcome("inert", why="rows have one answer")
    kind = entry_of(setting, context).get("type")
    return Outcome("unknown", why=why_no_pairs(kind, objective(context)))


def _of_prompt(setting: Setting, context: Context) -> Outcome:
    """A part of a prompt of its own: a format, or the name of a column."""
    found, name = _of(setting, context), setting.key.rpartition(".")[2]
    if found is None or found.kind == "unknown":
        return Outcome(
            "unknown", why=found.why if found else "a prompt of its own is not in a spec"
        )
    if name not in PARTS:
        return Outcome("unknown", why=f"a prompt has no part {name}")
    return Outcome("derived", why=PROMPT, of=("data.train",))


def _split(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found is not None and found.source["path"] and unsliced(setting.value)[0] != "train":
        return Outcome("unknown", why="a part of a local file is not in a spec")
    return _part(setting, context)


def _styled(setting: Setting, context: Context) -> Outcome:
    """prompt_strategies/alpaca_chat.py alone asks for it."""
    if entry_of(setting, context).get("type") not in instructions.STYLED_BY:
        return Outcome("inert", why="read of `type: alpaca_chat` alone")
    return _field(setting, context)


def _roles(setting: Setting, context: Context) -> Outcome:
    name = setting.key.rpartition(".")[2]
    entry, found = entry_of(setting, context), _of(setting, context)
    said_of, sharegpt = entry.get("roles") or {}, found and found.source["format"] == "sharegpt"
    if sharegpt and any(one not in (said_of.get(role) or ()) for one, role in CALLED.items()):
        return Outcome("unknown", why="turns that no role lists keep their names there")
    if name in ROLES and set(setting.value or ()) <= set(ROLES[name]):
        return Outcome("derived", why="as turns are called anyway", of=("data.train",))
    return Outcome("unknown", why="other names of roles are not in a spec")


def _files(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found and found.source["path"] == entry_of(setting, context).get("path"):
        return Outcome("inert", why="`path` is a file, and axolotl reads that alone")
    return _place(setting, context)


def _place(setting: Setting, context: Context) -> Outcome:
    where, stream = places(entry_of(setting, context)), entries(context, STREAM)
    if setting.key.startswith("datasets") and stream:
        return Outcome("inert", why=f"beside {STREAM} axolotl reads no other (utils/data/sft.py)")
    if isinstance(where, str):
        return Outcome("unknown", why=where)
    if setting.key.startswith(STREAM) and stream not in (
        context.get(STREAM),
        [context.get(STREAM)],
    ):
        # its type is not said, which would tell it
        return Outcome("approximated", why=streamed(context)[1], of=("data.train",))
    return _part(setting, context)


def _subset(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found and found.source["files"]:
        return Outcome("unknown", why="files of a data set are chosen by their names alone")
    if not isinstance(setting.value, str):
        return Outcome("unknown", why="axolotl's schema takes one name")
    return _part(setting, context)


def _revision(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found and found.source["path"]:
        return Outcome("inert", why="a local file has no other one")
    return _part(setting, context)


def _reader(setting: Setting, context: Context) -> Outcome:
    """What a local file is read as; of a data set of the hub nothing asks for it (utils/data/shared.py)."""
    found = _of(setting, context)
    path = found.source["path"] if found else None
    if path is None:
        return Outcome("inert", why="of a data set of the hub it is not asked")
    if SUFFIXES[path[path.rindex(".") :].lower()] == setting.value:
        return Outcome("inert", why="the file's ending tells it")
    return Outcome("unknown", why=f"a file called {path} is read by its ending in a spec")


def _sharded(setting: Setting, context: Context) -> Outcome:
    """utils/data/shared.py, datasets_with_name_generator: one after the other; drawn before they are cut."""
    if held_out(context) is None:
        return Outcome("inert", why="all rows, piece by piece; an epoch draws them in random order")
    return Outcome("approximated", why="which rows are held out: it shuffles once more before that")


def _column(setting: Setting, context: Context) -> Outcome:
    kind, key = entry_of(setting, context).get("type"), setting.key.rpartition(".")[2]
    if isinstance(kind, str) and COLUMN.get(kind, key) != key:
        return Outcome("inert", why=f"of this type, {COLUMN[kind]} names the column")
    return _field(setting, context)


def _field(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found is None or found.kind == "unknown":
        return Outcome(
            "unknown", why=found.why if found else "which rows it speaks of is not clear"
        )
    return _part(setting, context)


def held_out(context: Context) -> float | None:
    """The rows that are held out (utils/data/sft.py): beyond 1 it is a count, else a share."""
    size = context.get("val_set_size")
    if not isinstance(size, int | float) or isinstance(size, bool) or not size:
        return None
    return float(int(size)) if size > 1 else float(size)


def drawn(context: Context) -> dict[str, Any]:
    """How many rows are held out, and which: the last of those that are shuffled and not too long."""
    size = held_out(context)
    return {"data.eval_size": size} | ({} if size is None else {"data.eval_draw": "last"})


def _held_out(setting: Setting, context: Context) -> Outcome:
    size = held_out(context)
    if size is None:
        return Outcome("derived", why="nothing is held out", of=("data.eval",))
    if size == 1:
        return Outcome("unknown", why="of all rows none would train: axolotl stops")
    why, spec = _otherwise_drawn(context), drawn(context)
    if why:
        return Outcome("approximated", spec=spec, why=f"as many rows, but {why}")
    why = "the last ones of those that are shuffled"
    if context.get("seed") is None:  # no default reaches its rows (utils/schemas/validation.py)
        why += ": without a seed axolotl draws others in each run, and here train.seed draws them"
    return Outcome("derived", spec=spec, why=why)


def _otherwise_drawn(context: Context) -> str:
    """Why the rows that a spec holds out are not the same (utils/data/shared.py, merge_datasets)."""
    if context.get("curriculum_sampling") or taken(context, "shuffle_merged_datasets") is False:
        return "it does not shuffle before it holds the last ones out"
    if context.get("shuffle_before_merging_datasets") and len(entries(context)) > 1:
        return "it shuffles each data set before all of them"
    strict = taken(context, "excess_length_strategy") == "raise"  # then no row is too long
    if objective(context) not in ("sft", "cpt") and not strict:
        return "it leaves long rows out before it shuffles"
    return ""


def _packs(setting: Setting, context: Context) -> Outcome:
    if setting.value and not apart(context):
        return Outcome("unknown", why=TOGETHER)
    spec = {"data.packing": data(context)[0]["data.packing"]}
    if not setting.value:
        return Outcome("derived", spec=spec)
    why = "whole rows that do not see each other; which of them share one row is chosen otherwise"
    return Outcome("derived", spec=spec, why=why)


def _streams(_setting: Setting, context: Context) -> Outcome:
    if not entries(context, STREAM):
        return Outcome("inert", why=f"there is no {STREAM}")
    return Outcome("derived", of=("data.packing",))


def _length(setting: Setting, context: Context) -> Outcome:
    if objective(context) == "grpo":  # utils/data/rl.py leaves none out
        return Outcome("approximated", spec={"data.max_length": setting.value}, why=KEPT)
    if objective(context) in COMPARED:
        return Outcome("approximated", {"SFTConfig.max_length": setting.value}, why=MEASURED)
    if turns(context) or prepares(
        context
    ):  # rows that ftspec prepares are cut before trl sees them
        return Outcome("renamed", spec={"data.max_length": setting.value})
    return Outcome("renamed", {"SFTConfig.max_length": setting.value})


def _overflow(setting: Setting, context: Context) -> Outcome:
    if setting.value not in ("drop", "truncate", "raise"):
        return Outcome("unknown", why="axolotl takes drop, truncate and raise")
    spec = {"data.overflow": data(context)[0]["data.overflow"]}
    if spec["data.overflow"] == "truncate" and objective(context) in COMPARED:
        return Outcome("approximated", spec=spec, why=LEFT_OUT)
    return Outcome("renamed", spec=spec)


def _text_of(name: str) -> str:
    """A chat template of axolotl's own; empty where the name is of none, or it is not here."""
    file = TEMPLATES / f"{name}.jinja"
    return file.read_text("utf-8") if re.fullmatch(r"\w+", name) and file.is_file() else ""


def _template_for(entry: Mapping[str, Any], context: Context) -> str:
    """The chat template that writes an entry's rows; empty where the tokenizer has it."""
    own = entry.get("chat_template") or entry.get("type") != CHATS[0]
    for said_of in (*([entry] if own else []), context.document.data):
        name, text = said_of.get("chat_template"), said_of.get("chat_template_jinja")
        if name and name != "jinja":
            return _text_of(str(name))
        if text:
            return _as_text(str(text), context)
    return ""


def _as_text(text: str, context: Context) -> str:
    """A template, or what the file says that it names."""
    if "{" in text:
        return text
    try:
        return (context.document.path.parent / text).read_text("utf-8")
    except (OSError, ValueError):
        return ""


def _template(setting: Setting, context: Context) -> Outcome:
    name = str(setting.value)
    if name.startswith("tokenizer_default"):
        return Outcome("renamed", spec={"model.chat_template": "tokenizer"})
    if name == "jinja":
        return Outcome("derived", why="chat_template_jinja has it", of=("model.chat_template",))
    if text := _text_of(name):
        return _written(text, context, f"axolotl's template {name}, ")
    why = f"its own template {name!r} becomes the one that comes with the tokenizer"
    return Outcome("approximated", why=why)


def _global_template(setting: Setting, context: Context) -> Outcome:
    """utils/schemas/enums.py, ChatTemplate: the schema of a whole config takes no other names."""
    if setting.value in UNLISTED:
        why = (
            f"axolotl has a template {setting.value!r}, and its schema takes it of a data set alone"
        )
        return Outcome("unknown", why=why)
    return _template(setting, context)


def _withheld(text: str, context: Context) -> list[tuple[str, ...]]:
    """What of turns does not reach a template, for each way in which entries hand it over."""
    return sorted({tuple(withheld(text, entry)) for entry in chats(context)})


def _written(text: str, context: Context, what: str = "") -> Outcome:
    """A template as a file beside the spec."""
    name = f"{context.document.path.stem}.chat_template.jinja"
    spec = {"model.chat_template": f"./{name}"}
    why, lost = f"{what}written to {name}", _withheld(text, context)
    if len(lost) == 1 and lost[0]:
        text = without(text, lost[0])
        why += f"; without {' and '.join(lost[0])} of turns, which axolotl does not hand to it"
    return Outcome("derived", spec=spec, why=why, files={name: text})


def _jinja(setting: Setting, context: Context) -> Outcome:
    text = str(setting.value)
    if "{" not in text and not any(_withheld(_as_text(text, context), context)):
        return Outcome("renamed", spec={"model.chat_template": text})
    return _written(_as_text(text, context), context)


def _own_jinja(setting: Setting, context: Context) -> Outcome:
    """utils/schemas/datasets.py, check_chat_template_config."""
    entry = entry_of(setting, context)
    if entry.get("chat_template") != "jinja" and (
        entry.get("chat_template") or entry.get("type") == CHATS[0]
    ):
        return Outcome("inert", why="beside `chat_template: jinja` alone axolotl reads it")
    return _jinja(setting, context)


def _property(setting: Setting, _context: Context) -> Outcome:
    if setting.key.rpartition(".")[2] == setting.value:
        return Outcome("inert", why="all of a turn reaches the template under its own name")
    return Outcome("unknown", why="another name of a part of a turn is not in a spec")


def _options(_setting: Setting, context: Context) -> Outcome:
    options = dict(context.get("chat_template_kwargs") or {})
    return Outcome("derived", spec={"model.template_options": options})


def _eval_packing(_setting: Setting, context: Context) -> Outcome:
    if not evaluates(context):
        return Outcome("inert", why="nothing is evaluated")
    return Outcome("inert", why="how rows are evaluated, not what is trained")


def _unlisted(setting: Setting, context: Context) -> Outcome:
    """A key of an entry that no rule reads, or that no release has."""
    calls = context.table.calls if context.table else {}
    known = {key for call in calls if call for key in calls[call]}
    if setting.key.partition("].")[2].partition(".")[0].partition("[")[0] in known:
        return Outcome("unknown", why="only axolotl has it")
    return unread(setting, context, known, ENTRY)


_ENTRY: dict[str, Rule] = {
    "path": said(_place),
    "name": said(_subset),
    "revision": said(_revision),
    "split": said(_split),
    "ds_type": said(_reader),
    "type": _type,
    "type.": said(_of_prompt),
    "field": said(_column),
    "text_column": said(_column),
    "field_messages": said(_field),
    "message_field_role": said(_field),
    "message_field_content": said(_field),
    "message_property_mappings.role": said(_field),
    "message_property_mappings.content": said(_field),
    "message_property_mappings.": said(_property),
    "roles.": _roles,
    "data_files": said(_files),
    "chat_template": said(_template),
    "chat_template_jinja": said(_own_jinja),
    **TURN_RULES,
    "drop_system_message": off_or(_bare),
    "trust_remote_code": inert("rows are read without code"),
    "preprocess_shards": off_or(_sharded),
    "shards": off_or(unknown("a part of shuffled rows, rounded up: a spec's `share` rounds down")),
    "conversation": said(_styled),
}
_LISTS = ("datasets", "test_datasets", "pretraining_dataset")
DATA_RULES: dict[str, Rule] = {
    **{f"{root}[].{key}": rule for root in _LISTS for key, rule in _ENTRY.items()},
    **{
        f"{root}[].{key}": said(_of_pairs)
        for root in _LISTS
        for key in ("field_chosen", "field_rejected")
    },
    **{f"{root}[].": said(_unlisted) for root in _LISTS},
    "sequence_len": said(_length),
    "excess_length_strategy": said(_overflow),
    "sample_packing": said(_packs),
    **dict.fromkeys(
        ("pretrain_multipack_attn", "pretraining_sample_concatenation"), said(_streams)
    ),
    "eval_sample_packing": said(_eval_packing),
    "val_set_size": said(_held_out),
    "train_on_inputs": said(inputs),
    "chat_template": said(_global_template),
    "chat_template_jinja": said(_jinja),
    "chat_template_kwargs.": _options,
    "eot_tokens": EOT,
    "curriculum_sampling": off_or(lambda _s, _c: Outcome("derived", spec={"data.shuffle": False})),
    "shuffle_merged_datasets": inert("each epoch draws rows in random order anyway"),
    "shuffle_before_merging_datasets": inert("each epoch draws rows in random order anyway"),
    "dataset_prepared_path": inert("a cache of rows: a compiled run makes them anew"),
    "dataset_exact_deduplication": off_or(_distinct),
    "min_sample_len": said(_shortest),
}
