"""Where torchtune takes rows from: its builders of data sets (datasets/ of 0.6.1), and their defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from ftspec.port.fates import Setting
from ftspec.port.formats.forms import Form, chat, is_column
from ftspec.port.formats.torchtune.alpaca import OPENED, of_alpaca, of_columns, of_pairs
from ftspec.port.formats.torchtune.forms import BRACKETS, FORMS
from ftspec.port.formats.trl.data import FEW, LOADERS, files_of, source
from ftspec.port.rules import Context, Outcome, Rule, derived, section, unknown, unless
from ftspec.spec.data import unsliced

Kind = Literal["alpaca", "columns", "sharegpt", "messages", "chats", "text", "pairs", "answers"]


class Rows(NamedTuple):
    """What a builder reads."""

    kind: Kind
    place: str | None = None
    """The data set, where none is named."""
    columns: Mapping[str, str] = {}
    """Names of columns, where none are mapped."""
    whole: bool = False
    """Whether prompts train unless it is said otherwise."""
    files: str | None = None
    """A part of the data set, the only one that it reads."""


ROWS: Mapping[str, Rows] = {
    "alpaca_dataset": Rows("alpaca", "tatsu-lab/alpaca", whole=True),
    "alpaca_cleaned_dataset": Rows("alpaca", "yahma/alpaca-cleaned", whole=True),
    "instruct_dataset": Rows("columns"),
    "grammar_dataset": Rows("columns", "liweili/c4_200m"),
    "samsum_dataset": Rows("columns", "Samsung/samsum", {"input": "dialogue", "output": "summary"}),
    "slimorca_dataset": Rows("sharegpt", "Open-Orca/SlimOrca-Dedup"),
    "chat_dataset": Rows("chats"),
    "text_completion_dataset": Rows("text"),
    "preference_dataset": Rows("pairs"),
    "stack_exchange_paired_dataset": Rows(
        "answers", "lvwerra/stack-exchange-paired",
        {"prompt": "question", "chosen": "response_j", "rejected": "response_k"},
        files="data/rl/*",
    ),
    "hh_rlhf_helpful_dataset": Rows("pairs", "RLHFlow/HH-RLHF-Helpful-standard"),
}  # fmt: skip
TALKS = ("sharegpt", "messages", "pairs")
"""Kinds whose conversations a chat template writes."""
STYLES: Mapping[str, Kind] = {"sharegpt": "sharegpt", "openai": "messages"}
SHAPES = {
    "sharegpt": "sharegpt",
    "messages": "messages",
    "text": "text",
    "pairs": "preference-implicit",
}
OWN = {"sharegpt": "conversations", "messages": "messages", "text": "text"}
"""The column that a format reads."""
NOT_KNOWN = "what it reads, or how its tokenizer writes that, is not known"
WRITTEN = ("alpaca", "columns", "answers")
"""Kinds whose rows a template writes."""
OWN_TEMPLATE = (
    "what its tokenizer writes around turns is not known: the model's chat template does it"
)
OTHER_READERS = ("text", "xml", "arrow", "pandas", "webdataset")
"""Of `datasets.load_dataset`, for files that a spec does not read."""
TEMPLATE_FILE = "torchtune.chat_template.jinja"
ENDS = "the end of an answer does not train there where max_seq_len is set"
SPLIT = "texts are cut where a pack is full there, and go on in the next one"


def last(path: object) -> str:
    """The name of a component."""
    return str(path or "").rpartition(".")[2]


def entries(context: Context) -> list[dict[str, Any]]:
    """The data sets, which may be a list of them."""
    found = context.get("dataset")
    found = found if isinstance(found, list) else [found]
    return [one for one in found if isinstance(one, dict)]


def entry_of(setting: Setting, context: Context) -> dict[str, Any]:
    """The data set that a setting is one of."""
    number = re.match(r"dataset\[(\d+)\]", setting.key)
    found = entries(context)
    return found[int(number[1]) if number else 0]


def rows_of(entry: Mapping[str, Any]) -> Rows | None:
    """What its builder reads; None: a builder that is not known."""
    rows = ROWS.get(last(entry.get("_component_")))
    if rows is None or rows.kind != "chats":
        return rows
    kind = STYLES.get(str(entry.get("conversation_style")))
    return None if kind is None else Rows(kind)


def form_of(context: Context) -> Form | None:
    """How the tokenizer writes turns."""
    return FORMS.get(last(section(context, "tokenizer").get("_component_")))


def limited(context: Context) -> bool:
    """Whether rows have a longest length."""
    return section(context, "tokenizer").get("max_seq_len") is not None


def trains_whole(entry: Mapping[str, Any]) -> bool:
    """Whether its prompts train too."""
    rows = rows_of(entry)
    assumed = rows is not None and rows.whole
    return bool(entry.get("train_on_input", assumed)) or (rows is not None and rows.kind == "text")


def kinds(context: Context) -> set[str]:
    """The kinds of rows of all data sets."""
    return {rows.kind for one in entries(context) if (rows := rows_of(one)) is not None}


def talks(context: Context) -> bool:
    """Whether conversations are read, and no questions and answers of columns."""
    return bool(kinds(context) & set(TALKS))


def source_of(entry: Mapping[str, Any], form: Form | None) -> dict[str, Any] | None:
    """A source of a spec; None: it is not known what is read."""
    rows = rows_of(entry)
    place = entry.get("source") or (rows.place if rows else None)
    if rows is None or not isinstance(place, str):
        return None
    if place in OTHER_READERS or (place in LOADERS and not entry.get("data_files")):
        return None
    given = entry.get("column_map")
    named = given if isinstance(given, dict) and given else rows.columns
    subset = entry.get("name")
    found = source(
        place, subset, entry.get("split"), files=entry.get("data_files") or rows.files,
        revision=entry.get("revision"),
    )  # fmt: skip
    if rows.kind in WRITTEN:
        return _answered(found, entry, rows.kind, form, named)
    if rows.kind in OWN:
        own = OWN[rows.kind]
        column = (
            entry.get("column") or entry.get("conversation_column") or named.get("conversations")
        )
        columns = {} if column in (None, own) else {own: column}
        return {**found, "format": SHAPES[rows.kind], "columns": columns}
    columns = {name: column for name, column in named.items() if name != column}
    return {**found, "format": SHAPES[rows.kind], "columns": columns}


def _answered(
    found: dict[str, Any],
    entry: Mapping[str, Any],
    kind: Kind,
    form: Form | None,
    named: Mapping[str, str],
) -> dict[str, Any] | None:
    """A source whose rows a template writes as a prompt and a completion."""
    system = entry.get("new_system_prompt") or ""
    halved = kind == "columns" and named and not {"input", "output"} <= named.keys()
    if halved or not all(map(is_column, named.values())):
        return None  # half a mapping: it stops there
    if form is None and kind == "alpaca":
        return {**found, "format": "alpaca", "columns": dict(named)}
    if form is None or (system and not _may_tell(system, form)):
        return None
    whole = trains_whole(entry)
    if kind == "answers":
        asked = {name: named.get(name, name) for name in ("prompt", "chosen", "rejected")}
        return {**found, "template": of_pairs(form, asked)}
    if kind == "alpaca":
        return {**found, "template": of_alpaca(form, named, whole)}
    return {**found, "template": of_columns(form, named, whole, system)}


def _may_tell(system: object, form: Form) -> bool:
    """Whether a template can say a system prompt as it stands."""
    if not isinstance(system, str) or "system" not in form.turns or form.odd or not form.eos:
        return False
    return not any(mark in system for mark in ("{{", "{%", "{#"))


def _component(setting: Setting, context: Context) -> Outcome:
    entry, form = entry_of(setting, context), form_of(context)
    rows, to = rows_of(entry), ("data.train",)
    if rows is None or source_of(entry, form) is None:
        return Outcome("unknown", why=f"{last(setting.value)}: {NOT_KNOWN}")
    if rows.kind in WRITTEN and (odd := _odd(entry, form, context)):
        return Outcome("approximated", of=to, why=odd)
    return Outcome("derived", of=to)


def _odd(entry: Mapping[str, Any], form: Form | None, context: Context) -> str:
    """What of questions and answers is otherwise here; nothing where they are the same."""
    if form is None:
        return OWN_TEMPLATE
    if form.odd:
        return form.odd
    if form.ends_masked and limited(context):
        return ENDS
    opened = form.turns["assistant"][0] and not trains_whole(entry)
    return OPENED if opened and form.odd_chat else ""


def _train_on(setting: Setting, context: Context) -> Outcome:
    if len({trains_whole(one) for one in entries(context)}) > 1:
        return Outcome("unknown", why="prompts of some data sets train, and of others do not")
    return Outcome("derived", of=("data.train_on",))


def _system(setting: Setting, context: Context) -> Outcome:
    """Put before each conversation, whose own system prompt goes."""
    entry = entry_of(setting, context)
    rows, form = rows_of(entry), form_of(context)
    if rows is None or rows.kind in ("alpaca", "text", "answers"):
        return Outcome("unknown", why="that builder takes none")
    if trains_whole(entry):
        return Outcome("unknown", why="it does not train there, where all else of a row does")
    if rows.kind == "columns":
        known = form is not None and _may_tell(setting.value, form)
        return (
            Outcome("derived", of=("data.train",)) if known else Outcome("unknown", why=NOT_KNOWN)
        )
    if len(entries(context)) > 1:
        return Outcome("unknown", why="of one data set among several")
    return Outcome("derived", spec={"data.system": setting.value, "data.drop_system": True})


def _packed(setting: Setting, context: Context) -> Outcome:
    if not setting.value:
        return Outcome("inert", why="each row stands alone")
    if len(entries(context)) > 1:
        return Outcome("unknown", why="of one data set among several")
    spec = {"data.packing": "documents"}
    entry = entry_of(setting, context)
    if "text" in kinds(context) and entry.get("split_across_pack", True):
        return Outcome("approximated", spec=spec, why=SPLIT)
    return Outcome("derived", spec=spec)


def _files(setting: Setting, context: Context) -> Outcome:
    if files_of(entry_of(setting, context).get("source"), setting.value) is None:
        return Outcome("unknown", why=FEW)
    return Outcome("derived", of=("data.train",))


def _split(setting: Setting, context: Context) -> Outcome:
    """A file has one split, of which `[:500]` takes the first rows."""
    place = entry_of(setting, context).get("source")
    if place in LOADERS and unsliced(str(setting.value))[0] != "train":
        return Outcome("unknown", why="of a file's rows a spec takes all, or the first ones")
    return Outcome("derived", of=("data.train",))


def _column(setting: Setting, context: Context) -> Outcome:
    rows = rows_of(entry_of(setting, context))
    if rows is not None and rows.kind in WRITTEN and not is_column(setting.value):
        return Outcome("unknown", why="the name of a column that a template cannot say")
    return Outcome("derived", of=("data.train",))


def tokenizer(setting: Setting, context: Context) -> Outcome:
    """The tokenizer decides what stands around turns."""
    form = form_of(context)
    if not talks(context):
        return Outcome("inert", why="the model's own files")
    if form is None or form.odd == FORMS[BRACKETS[0]].odd:
        return Outcome("approximated", of=("model.chat_template",), why=OWN_TEMPLATE)
    spec, files = (
        {"model.chat_template": f"./{TEMPLATE_FILE}"},
        {TEMPLATE_FILE: chat(form, limited(context))},
    )
    kind: Any = "approximated" if form.odd_chat else "derived"
    why = form.odd_chat or f"what it writes around turns: {TEMPLATE_FILE}"
    return Outcome(kind, spec=spec, why=why, files=files)


_FROM = derived("data.train")
_KEYS: dict[str, Rule] = {
    "_component_": _component,
    "packed": _packed,
    "split_across_pack": lambda setting, context: (
        Outcome("derived", of=("data.packing",)) if entry_of(setting, context).get("packed")
        else Outcome("inert", why="each row stands alone")),
    "train_on_input": _train_on,
    "new_system_prompt": unless((None,), "none", _system),
    "column_map": unless((None, {}), "the builder's own names", unknown(NOT_KNOWN)),
    "column_map.": _column,
    "filter_fn": unless((None,), "all rows", unknown("a function of Python")),
    "add_eos": unless((True,), "an end stands behind each text", unknown("texts without an end")),
    "data_files": _files,
    "split": _split,
    **dict.fromkeys(
        ("source", "name", "revision", "column", "conversation_column", "conversation_style"),
        _FROM,
    ),
}  # fmt: skip
ROW_RULES: dict[str, Rule] = {
    f"{start}{key}": rule for start in ("dataset.", "dataset[].") for key, rule in _KEYS.items()
}
