"""Where axolotl takes rows from, and which of their tokens train.

Types of rows are its prompt strategies (prompt_strategies/ of 0.19.0).
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.attention import TOGETHER, apart
from ftspec.port.formats.axolotl.entries import (
    CHATS,
    PROMPT,
    WINDOWS,
    Row,
    completes,
    entries,
    objective,
    row,
)
from ftspec.port.formats.axolotl.grpo import KEPT
from ftspec.port.formats.axolotl.turns import (
    EOT,
    SYSTEM,
    TURN_RULES,
    TURNS,
    entry_of,
    has_system,
    inputs,
    turns,
)
from ftspec.port.formats.axolotl.unread import ENTRY, unread
from ftspec.port.formats.axolotl.words import evaluates, off_or, said, taken
from ftspec.port.rules import Context, Outcome, Rule, inert
from ftspec.spec.data import unsliced

ROLES = {
    "system": ["system"], "user": ["user", "human"], "assistant": ["assistant", "gpt"], "tool": ["tool"],
}  # fmt: skip
PARTS = (
    *("system_prompt", "system_format", "format", "no_input_format"),
    *("field_system", "field_instruction", "field_input", "field_output"),
)
TEMPLATES = files(__package__) / "templates"
UNLISTED = ("phi_4",)
"""Templates of its folder that its list of names lacks."""
"""What its names of chat templates mean."""


def data(context: Context) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Spec values of the rows, and questions."""
    train = [row(one) for one in (*entries(context), *entries(context, "pretraining_dataset"))]
    held = [row(one) for one in entries(context, "test_datasets")]
    spec: dict[str, Any] = {"data.train": tuple(one.source for one in train)} if train else {}
    if held:
        spec["data.eval"] = tuple(one.source for one in held)
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
        spec["data.packing"] = "blocks"
    elif taken(context, "sample_packing"):
        spec["data.packing"] = "documents"
    else:
        spec["data.packing"] = None
    spec["data.shuffle"] = not context.get("curriculum_sampling")
    spec |= turns(context)
    if prepares(context):
        spec["data.prepare"] = "ftspec"
    return spec, tuple(dict.fromkeys(questions))


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
    supervised = objective(context) in ("sft", "cpt")
    if not supervised and found.kind == "unknown":
        return Outcome("unknown", why=f"{found.why} yet")
    if setting.value in CHATS and not supervised:
        return Outcome("unknown", why="pairs that a chat template writes are not read yet")
    if setting.value in CHATS and has_system(found.source, entry_of(setting, context), context):
        return Outcome("approximated", why=SYSTEM, of=("data.train", "data.turn_part"))
    if setting.value in CHATS and found.kind != "unknown":
        return Outcome("derived", why=TURNS, of=("data.train", "data.turn_part"))
    return Outcome(found.kind, why=found.why, of=("data.train",) if found.kind != "unknown" else ())


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


def _roles(setting: Setting, _context: Context) -> Outcome:
    name = setting.key.rpartition(".")[2]
    if name in ROLES and set(setting.value or ()) <= set(ROLES[name]):
        return Outcome("derived", why="as turns are called anyway", of=("data.train",))
    return Outcome("unknown", why="other names of roles are not in a spec")


def _files(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found is not None and found.source["path"] == setting.value:
        return _part(setting, context)
    return Outcome("unknown", why="a choice of files inside a data set is not in a spec")


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
    if objective(context) not in ("sft", "cpt"):
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


def _length(setting: Setting, context: Context) -> Outcome:
    if objective(context) == "grpo":  # utils/data/rl.py leaves none out
        return Outcome("approximated", spec={"data.max_length": setting.value}, why=KEPT)
    if turns(context) or prepares(
        context
    ):  # rows that ftspec prepares are cut before trl sees them
        return Outcome("renamed", spec={"data.max_length": setting.value})
    return Outcome("renamed", {"SFTConfig.max_length": setting.value})


def _overflow(setting: Setting, context: Context) -> Outcome:
    if setting.value not in ("drop", "truncate", "raise"):
        return Outcome("unknown", why="axolotl takes drop, truncate and raise")
    return Outcome("renamed", spec={"data.overflow": data(context)[0]["data.overflow"]})


def _template(setting: Setting, context: Context) -> Outcome:
    name = str(setting.value)
    if name.startswith("tokenizer_default"):
        return Outcome("renamed", spec={"model.chat_template": "tokenizer"})
    if name == "jinja":
        return Outcome("derived", why="chat_template_jinja has it", of=("model.chat_template",))
    if re.fullmatch(r"\w+", name) and (file := TEMPLATES / f"{name}.jinja").is_file():
        return _written(file.read_text("utf-8"), context, f"axolotl's template {name}, ")
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


def _written(text: str, context: Context, what: str = "") -> Outcome:
    """A template as a file beside the spec."""
    name = f"{context.document.path.stem}.chat_template.jinja"
    spec = {"model.chat_template": f"./{name}"}
    return Outcome("derived", spec=spec, why=f"{what}written to {name}", files={name: text})


def _jinja(setting: Setting, context: Context) -> Outcome:
    text = str(setting.value)
    if "{" not in text:
        return Outcome("renamed", spec={"model.chat_template": text})
    return _written(text, context)


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
    "path": said(_part),
    "name": said(_part),
    "split": said(_split),
    "ds_type": inert("the file's ending tells it"),
    "type": _type,
    "type.": said(_of_prompt),
    "field": said(_field),
    "text_column": said(_field),
    "field_messages": said(_field),
    "message_field_role": said(_field),
    "message_field_content": said(_field),
    "message_property_mappings.role": said(_field),
    "message_property_mappings.content": said(_field),
    "message_property_mappings.": said(_property),
    "roles.": _roles,
    "data_files": said(_files),
    "chat_template": said(_template),
    **TURN_RULES,
    "drop_system_message": off_or(_bare),
    "trust_remote_code": inert("rows are read without code"),
    "preprocess_shards": inert("how fast, not what"),
}
_LISTS = ("datasets", "test_datasets", "pretraining_dataset")
DATA_RULES: dict[str, Rule] = {
    **{f"{root}[].{key}": rule for root in _LISTS for key, rule in _ENTRY.items()},
    **{f"{root}[].": said(_unlisted) for root in _LISTS},
    "sequence_len": said(_length),
    "excess_length_strategy": said(_overflow),
    "sample_packing": said(_packs),
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
