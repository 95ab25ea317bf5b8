"""Entries of axolotl's `datasets`: where rows come from, and which form they have.

Types of rows are its prompt strategies (prompt_strategies/ of 0.19.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ftspec.families.rows import instructions
from ftspec.port.fates import Kind
from ftspec.port.formats.axolotl.energy_rows import STRIDED, WHOLE, measured
from ftspec.port.formats.axolotl.pairs import OF_PAIRS, Pair, paired
from ftspec.port.formats.axolotl.shared import OLD, asks, is_shared, why_not_shared
from ftspec.port.formats.axolotl.types import why_no_pairs, why_not
from ftspec.port.formats.axolotl.words import taken
from ftspec.port.rules import Context, section
from ftspec.spec.data import SUFFIXES, unsliced
from ftspec.spec.present import is_file, is_folder

CHATS = ("chat_template", "chat_template.default", "chat_template.load")
PROMPT = "axolotl's own prompt, as a template of the rows"
CHUNKS = "a text longer than sequence_len becomes several rows, at most 64"
WINDOWS = 64
"""How many rows a text becomes at most (prompt_strategies/completion.py, max_length)."""
COLUMN = {"completion": "field", "pretrain": "text_column"}
"""Which key names the column of texts (prompt_strategies/completion.py and pretrain.py)."""
STREAM, HELD = "pretraining_dataset", "test_datasets"
WINDOWED = (
    "a text longer than sequence_len becomes several rows there, which overlap and have an end of text each: "
    "here it is cut"
)
SPLIT = "a text longer than sequence_len becomes several rows there, and is cut here"
ALONE = "each text stands alone there, cut to sequence_len less two, without the end of text it has here"
JOINED = (
    "whole texts share a row there, each cut to sequence_len less two, and what is left of it is not filled; "
    "here they are joined and cut into equal blocks"
)


FOLDERS = (".", "/", "~")
"""How the name of a local folder begins."""
READERS = ("json", "csv", "parquet")
"""Names of readers in the place of a data set; axolotl 0.19 looks for a data set of that name and stops."""
NOWHERE: Mapping[str, Any] = {
    **dict.fromkeys(("path", "subset", "limit", "share", "template", "revision")),
    "split": "train", "files": (), "format": "auto", "columns": {},
}  # fmt: skip


class Row(NamedTuple):
    """What one entry says."""

    source: dict[str, Any]
    kind: Kind = "derived"
    why: str = ""
    objective: str = "sft"
    question: str = ""
    more: tuple[dict[str, Any], ...] = ()
    """Further files with rows like those of the source."""

    @property
    def sources(self) -> tuple[dict[str, Any], ...]:
        """All that it reads, in order."""
        return self.source, *self.more


def row(entry: Mapping[str, Any], learns: str = "sft", template: str = "") -> Row:
    """One entry of `datasets`; with a question where its rows are not understood.

    ``learns``: the objective. ``template``: the name of axolotl's chat template, where it is one of its own.
    """
    where = places(entry)
    if isinstance(where, str):
        question = f"data.train: {entry.get('path')}: {where}: which rows?"
        nowhere = {**NOWHERE, "hub": str(entry.get("path") or "")}
        return Row(nowhere, "unknown", where, "sft", question)
    place, files, more = where
    file = place.lower().endswith(tuple(SUFFIXES))
    split, limit = unsliced(str(entry.get("split") or "train"))
    base = {
        "path": place if file else None,
        "hub": None if file else place,
        "subset": None if file or not entry.get("name") else str(entry["name"]),
        "split": "train" if file else split,
        "limit": limit,
        "share": None,
        "files": files,
        "revision": None if file or not entry.get("revision") else str(entry["revision"]),
        "template": None,
    }
    if learns in OF_PAIRS:
        found = _pair(
            paired(entry, learns, template), base, why_no_pairs(entry.get("type"), learns)
        )
    elif learns in (WHOLE, STRIDED):
        kind = entry.get("type")
        found = _pair(measured(kind, learns), base, why_no_pairs(kind, learns))
    else:
        found = _row(entry, base)
    return found._replace(more=tuple({**found.source, "path": one} for one in more))


def _pair(pair: Pair | None, base: dict[str, Any], why_not: str) -> Row:
    place = base["path"] or base["hub"]
    if pair is None:
        question = f"data.train: {place}: which rows are its pairs?"
        return Row({**base, "format": "auto", "columns": {}}, "unknown", why_not, question=question)
    said = {"format": pair.format, "columns": dict(pair.columns), "template": pair.template}
    asked = f"data.train: {place}: {pair.question}" if pair.question else ""
    return Row({**base, **said}, pair.kind, pair.why, question=asked)


def places(entry: Mapping[str, Any]) -> tuple[str, tuple[str, ...], tuple[str, ...]] | str:
    """Where rows are (utils/data/shared.py): a place, files inside it, and further places; or why not."""
    place, files = str(entry.get("path") or ""), entry.get("data_files")
    named = [files] if isinstance(files, str) else files or []
    if not isinstance(named, list) or not all(isinstance(one, str) and one for one in named):
        return "data_files are no names of files"
    if "://" in place:
        return "a spec names local files and data sets of the hub, no other place"
    if place.lower().endswith(tuple(SUFFIXES)):
        return place, (), ()
    of_hub = not place.startswith(FOLDERS) and not place.endswith("/") and place.count("/") < 2
    read_as = bool(entry.get("ds_type")) and not named  # which is said of local files alone
    if of_hub and not read_as and place not in READERS:
        return place, tuple(named), ()
    why = _local(entry, named)
    return why or (named[0], (), tuple(named[1:]))


def _local(entry: Mapping[str, Any], named: Sequence[str]) -> str:
    """Why a spec does not name these local files."""
    if not named:
        return "a folder of files is not in a spec: it names each of them"
    if any("*" in one or not one.lower().endswith(tuple(SUFFIXES)) for one in named):
        return f"a local file of a spec ends in one of {', '.join(SUFFIXES)}, and is named in full"
    if len(named) > 1 and entry.get("split") not in (None, "train"):
        return "a part of several files together is not in a spec"
    return ""


def _row(entry: Mapping[str, Any], base: dict[str, Any]) -> Row:
    place, kind = base["path"] or base["hub"], entry.get("type")
    if kind in CHATS:
        return _chat(entry, base)
    if is_shared(kind) and not why_not_shared(entry):
        name = entry.get("field_messages") or "conversations"
        columns = {} if name == "conversations" else {"conversations": str(name)}
        rows = {**base, "format": "sharegpt", "columns": columns}
        return Row(rows, "approximated", OLD, question=asks(entry, place))
    if kind in instructions.STYLED_BY and entry.get("conversation") is not None:
        kind = f"alpaca:{entry['conversation']}"
    template, why = _template_of(kind)
    if template is not None:
        written = {"format": "auto", "columns": {}, "template": template}
        return Row({**base, **written}, "derived", PROMPT)
    if kind in ("completion", "pretrain"):
        name = entry.get(COLUMN[kind]) or "text"
        columns = {} if name == "text" else {"text": name}
        texts = {**base, "format": "text", "columns": columns}
        if kind == "pretrain":
            return Row(texts, "approximated", WINDOWED, "cpt")
        return Row(texts, "derived", CHUNKS, "cpt")
    word = "a prompt of its own" if isinstance(kind, dict) else f"type {kind!r}"
    question = f"data.train: {place}: {word}: which format have its rows?"
    why = why or why_not_shared(entry) or why_not(kind) or f"{word} is not in a spec"
    return Row({**base, "format": "auto", "columns": {}}, "unknown", why, "sft", question)


def _template_of(kind: Any) -> tuple[dict[str, str] | None, str]:
    """The texts that rows of a type are written by, or why there are none."""
    try:
        if isinstance(kind, dict):
            return instructions.custom(kind), ""
        return (instructions.named(kind) if isinstance(kind, str) else None), ""
    except ValueError as error:
        return None, str(error)


def _chat(entry: Mapping[str, Any], base: dict[str, Any]) -> Row:
    told = entry.get("message_property_mappings")
    names = {"role": "role", "content": "content"} | (told if isinstance(told, dict) else {})
    for key in names:
        names[key] = str(entry.get(f"message_field_{key}") or names[key])
    field = entry.get("field_messages") or "messages"
    known = {
        ("role", "content"): ("messages", "messages"),
        ("from", "value"): ("sharegpt", "conversations"),
    }
    shape = known.get((names["role"], names["content"]))
    if shape is None:
        why = f"turns with the keys {names['role']!r} and {names['content']!r} are not in a spec"
        question = f"data.train: {base['path'] or base['hub']}: {why}"
        return Row({**base, "format": "auto", "columns": {}}, "unknown", why, "sft", question)
    columns = {} if field == shape[1] else {shape[1]: field}
    return Row({**base, "format": shape[0], "columns": columns})


def _here(entry: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """An entry whose name is taken for what lies here, before any data set of the hub (utils/data/shared.py).

    A file alone is read, whatever `data_files` says.
    """
    name = str(entry.get("path") or "")
    if not name or name.startswith(FOLDERS) or name.lower().endswith(tuple(SUFFIXES)):
        return entry
    spots = [folder / name for folder in (Path(), context.document.path.parent)]
    if any(map(is_folder, spots)):
        return {**entry, "path": f"./{name}"}
    return {**entry, "path": f"./{name}", "data_files": None} if any(map(is_file, spots)) else entry


def entries(context: Context, key: str = "datasets") -> list[Mapping[str, Any]]:
    """The entries of a list of data sets."""
    value = context.get(key)
    if key == STREAM and isinstance(value, str):  # as releases before 0.5 took it
        value = {"path": value}
    value = [value] if isinstance(value, dict) else value
    listed = value if isinstance(value, list) else []
    found = [_here(one, context) for one in listed if isinstance(one, dict)]
    if key == STREAM:  # the first one alone (utils/data/sft.py, _extract_pretraining_config)
        return [{**one, "type": one.get("type") or "pretrain"} for one in found[:1]]
    if key == HELD and not context.get("rl"):
        return [{**one, "split": "test"} if _whole(one) else one for one in found]
    return found


def _whole(entry: Mapping[str, Any]) -> bool:
    """Whether no part is named of a data set (utils/data/sft.py: of `test_datasets`, `test` is taken then).

    utils/data/rl.py takes `train` all the same, and of a local file there is no other.
    """
    return not entry.get("split") and not entry.get("data_files")


def streamed(context: Context) -> tuple[str | None, str]:
    """How texts of `pretraining_dataset` share rows, in a spec's word, and what is otherwise there.

    utils/data/streaming.py: what is packed is split by the type's strategy; what is not is cut.
    """
    if taken(context, "sample_packing"):
        kind = entries(context, STREAM)[0]["type"] if entries(context, STREAM) else "pretrain"
        isolated = taken(context, "pretrain_multipack_attn") is not False
        why = WINDOWED if kind == "pretrain" else SPLIT
        return ("documents" if isolated else "blocks"), why
    if context.get("pretraining_sample_concatenation"):
        return "blocks", JOINED
    return None, ALONE


def completes(context: Context) -> bool:
    """Whether all rows are plain texts of the type `completion`, which long ones are split of."""
    found = entries(context)
    every = bool(found) and not context.get("pretraining_dataset")
    return every and all(one.get("type") == "completion" for one in found)


def objective(context: Context) -> str:
    """What is learned, in a spec's word."""
    word = context.get("rl")
    if context.get("reward_model"):
        return "reward"
    if word == "ebft" and section(context, "ebft").get("mode") == "strided":
        return STRIDED
    if word:
        return {"gdpo": "grpo", "ipo": "dpo"}.get(str(word), str(word))
    rows = [row(one) for one in entries(context)]
    texts = [one.objective for one in rows if one.kind != "unknown"]
    if context.get("pretraining_dataset") or (texts and set(texts) == {"cpt"}):
        return "cpt"
    return "sft"
