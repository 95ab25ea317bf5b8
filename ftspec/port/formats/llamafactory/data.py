"""Names of dataset_info.json -> sources of a spec.

https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md; data/parser.py of 0.9.5: once
`columns` or `tags` is given, what it does not name is absent.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ftspec.data.images import COLUMN
from ftspec.data.sources import rows
from ftspec.errors import DataError
from ftspec.families.rows.asked import Asked
from ftspec.mapping import Refuse
from ftspec.port.formats.llamafactory.shipped import CHAT, RANKED, SHIPPED
from ftspec.port.rules import Context
from ftspec.spec.data import SUFFIXES, Source, unsliced

SHAREGPT = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
COLUMNS = {
    "alpaca": {"prompt": "instruction", "query": "input", "response": "output"},
    "sharegpt": {"messages": "conversations"},
}
"""What a format's columns are called where the entry names none."""
READ = (
    "prompt", "query", "response", "history", "messages", "system", "tools", "images", "videos", "audios",
    "chosen", "rejected", "kto_tag",
)  # fmt: skip
"""Columns that it asks an entry for (data/parser.py, DatasetAttr.join); it takes no notice of others, and
an empty name names none."""
FREE = ("orpo", "simpo")
"""Objectives without a reference."""
SHOWN_IN = ("sft", "dpo", None)
"""Objectives whose rows may have images in a spec."""
JUDGED = {"kto_tag": "label"}
"""The column more that rows of single answers have."""
BESIDE = {
    "alpaca": {"system": "system", "history": "history"},
    "sharegpt": {"system": "system"},
}
"""Columns that rows of a format may have besides; it reads those that the entry names."""
QUESTION = {"prompt", "response"}
"""Columns of a question and its answer, where nothing is joined to the question."""
JOINED = (
    "questions that nothing is joined to, beside a system prompt or a history: a spec has such rows where "
    "their file is here, and none has a column `input`"
)
_OWN = re.compile(r"^data$|llama-?factory[^/]*/data$", re.IGNORECASE)
"""A folder of data that is LLaMA-Factory's own."""
ONLINE = "ONLINE"
"""A `dataset_dir` by which names are those of the hub, with columns as they are called anyway."""
REMOTE = "REMOTE:"
"""What a `dataset_dir` begins with that is a data set of the hub, whose dataset_info.json it loads."""


class Found(NamedTuple):
    """Sources, and why they are these; or why they are not known."""

    sources: tuple[dict[str, Any], ...] = ()
    why: str = ""
    missing: str = ""
    nearly: str = ""
    """What it does to some rows, and a spec does not."""


BEGUN_BY_USERS = frozenset({"mllm_demo", "kto_en_demo"})
"""Data sets of LLaMA-Factory's own folder (data/*.json) in which no conversation has a system turn."""


def split_names(value: Any) -> tuple[str, ...]:
    """`a, b` or a list; a value of another kind names itself, and nothing that there is."""
    parts = value.split(",") if isinstance(value, str) else value or ()
    if not isinstance(parts, list | tuple):
        parts = (parts,)
    return tuple(str(part).strip() for part in parts if str(part).strip())


def sources(names: tuple[str, ...], context: Context) -> Found:
    """The sources that these names stand for; of what is missing, the first, beside those that are known."""
    folder = str(context.get("dataset_dir", "data"))
    registry = context.companions.get("dataset_info")
    found, nearly, missing = [], "", []
    gone = []
    for name in names:
        entry = registry.data.get(name) if registry else _elsewhere(name, folder)
        if entry is None:
            gone.append(name)
            continue
        try:
            source = _source(entry, folder, registry.path.parent if registry else None)
        except Refuse as refuse:
            missing.append(f"{name!r}: {refuse.reason}")
            continue
        if COLUMN in source["columns"] and objective(context) not in SHOWN_IN:
            missing.append(f"{name!r}: images are in a spec for supervised tuning and DPO alone")
            continue
        # max_samples: of each data set, those to evaluate on too (data/loader.py)
        both = (source["limit"], context.get("max_samples"))
        limits = [limit for limit in both if type(limit) is int and limit > 0]
        found.append({**source, "limit": min(limits, default=None)})
        here = registry.path.parent if registry else None
        known = registry is None and name in BEGUN_BY_USERS
        if _without_system(entry) and not known and not _without_such(found[-1], entry, here):
            nearly = (
                f"{name!r} names tags but no system_tag: there, conversations that begin with a system "
                "turn are left out; here they train"
            )
    why = "dataset_info.json"
    if registry is None:
        why = "the dataset_info.json of LLaMA-Factory itself has these"
    if folder == ONLINE:
        why = "names of the hub"
    if gone:
        missing.append(_nowhere(gone, registry is not None, folder))
    return Found(tuple(found), why, missing="; ".join(missing), nearly=nearly)


def objective(context: Context) -> Any:
    """The stage; two objectives of the stage `dpo` are named by `pref_loss`, and once were stages."""
    loss = context.get("pref_loss", context.get("dpo_loss"))
    stage = context.get("stage")
    return loss if stage == "dpo" and loss in FREE else stage


def _elsewhere(name: str, folder: str) -> Mapping[str, Any] | None:
    """The entry of a data set where no registry was found."""
    if folder == ONLINE:
        return {"hf_hub_url": name}
    return SHIPPED.get(name) if _OWN.search(posixpath.normpath(folder)) else None


def _nowhere(names: Sequence[str], given: bool, folder: str) -> str:
    told = ", ".join(map(repr, names))
    verb = "stand" if len(names) > 1 else "stands"
    if given:
        return f"{told}: not in the dataset_info.json"
    if folder.startswith(REMOTE):
        hub = folder.removeprefix(REMOTE)
        return f"{told} {verb} in the dataset_info.json of the hub's {hub}, which nothing is fetched from"
    return f"{told} {verb} in {posixpath.join(folder, 'dataset_info.json')}: give that file as well"


def _without_system(entry: Mapping[str, Any]) -> bool:
    """Whether a system turn is an invalid one: `tags` that are given, and name none (data/converter.py)."""
    tags = entry.get("tags")
    return entry.get("formatting") == "sharegpt" and tags is not None and not tags.get("system_tag")


def _without_such(source: Mapping[str, Any], entry: Mapping[str, Any], folder: Path | None) -> bool:
    """Whether the file is here, and none of its conversations begins with a turn of such a kind."""
    file = entry.get("file_name")
    if folder is None or source["path"] is None or not isinstance(file, str):
        return False
    column, tag = entry["columns"]["messages"], entry["tags"]["role_tag"]
    try:
        local = Source(path=file, limit=source["limit"])
        begins = [row.values[column][0][tag] for row in rows(local, folder)]
    except (DataError, ValueError, LookupError, TypeError):
        return False
    return bool(begins) and not {"system", "developer"} & set(map(str, begins))


def _unjoined(entry: Mapping[str, Any], columns: Mapping[str, str], folder: Path | None) -> bool:
    """Whether the file is here, and no row has a column that a spec would join to the question."""
    file, joined = entry.get("file_name"), COLUMNS["alpaca"]["query"]
    if folder is None or not isinstance(file, str) or joined in columns.values():
        return False
    try:
        return not any(row.values.get(joined) for row in rows(Source(path=file), folder))
    except (DataError, ValueError, LookupError, TypeError):
        return False


def _source(entry: Mapping[str, Any], folder: str, here: Path | None) -> dict[str, Any]:
    """One entry as a source of a spec. ``here``: the folder of the registry."""
    kind = entry.get("formatting", "alpaca")
    if kind not in COLUMNS:
        raise Refuse(f"the formatting {kind!r} is not in a spec", "notimpl")
    named = entry.get("columns", COLUMNS[kind])
    columns = {name: column for name, column in named.items() if column and name in READ}
    ranking = entry.get("ranking") is True
    if not ranking and {"chosen", "rejected"} & set(columns):
        raise Refuse("rows of preferences", "notimpl")
    judged = not ranking and "kto_tag" in columns
    known = RANKED[kind] if ranking else {**COLUMNS[kind], **(JUDGED if judged else {})}
    shape = "alpaca" if kind == "alpaca" else _turns(entry.get("tags"))
    beside = BESIDE[kind] if shape != "messages" else {}
    shown = {COLUMN: columns[COLUMN]} if COLUMN in columns and not judged else {}
    if more := sorted(set(columns) - set(known) - set(beside) - set(shown)):
        raise Refuse(f"a column for {', '.join(more)} is not in a spec yet", "notimpl")
    if "num_samples" in entry:
        raise Refuse("num_samples draws rows by chance", "notimpl")
    if kind == "alpaca" and set(columns) == {"prompt"} and not ranking:  # what stage pt reads
        text = columns["prompt"]
        return {
            **_place(entry, folder),
            "format": "text",
            "columns": {} if text == "text" else {"text": text},
        }
    if kind == "alpaca" and set(columns) == QUESTION and not ranking:
        turns = Asked(columns["prompt"], columns["response"])
        if not turns.plain:
            raise Refuse(f"a text of a spec cannot name the columns {turns}", "notimpl")
        return {
            **_place(entry, folder),
            "format": "auto",
            "columns": {},
            "template": turns.template(),
        }
    if kind == "alpaca" and set(columns) - set(beside) == QUESTION and not (ranking or judged):
        if not _unjoined(entry, columns, here):
            raise Refuse(JOINED, "notimpl")
        columns["query"] = COLUMNS["alpaca"]["query"]  # which no row has
    if less := sorted(set(known) - set(columns)):
        raise Refuse(f"{kind} rows without a column for {', '.join(less)}", "notimpl")
    spare = {ours: columns[name] for name, ours in beside.items() if name in columns}
    spare = {ours: name for ours, name in spare.items() if name != ours}
    if ranking:
        if kind != "alpaca" and shape != "sharegpt":
            raise Refuse("pairs of OpenAI's messages, of which an answer is one", "notimpl")
        own = {ours: columns[key] for key, ours in known.items() if columns[key] != ours}
        return {
            **_place(entry, folder),
            "format": f"{kind}-ranking",
            "columns": {**own, **spare, **shown},
        }
    label = columns.get("kto_tag", "label")
    return {
        **_place(entry, folder),
        "format": f"{shape}-unpaired" if judged else shape,
        "columns": {
            **_renamed(kind, columns, entry.get("tags")),
            **({"label": label} if label != "label" else {}),
            **spare,
            **shown,
        },
    }


def _place(entry: Mapping[str, Any], folder: str) -> dict[str, Any]:
    hub, file = entry.get("hf_hub_url"), entry.get("file_name")
    if hub is None and file is None:
        raise Refuse("it is neither a file nor a data set of the Hugging Face hub", "notimpl")
    if entry.get("folder"):
        raise Refuse("a folder of a data set of the hub is not in a spec", "notimpl")
    path = None if hub else posixpath.normpath(posixpath.join(folder, str(file)))
    if path is not None and not path.endswith(tuple(SUFFIXES)):
        raise Refuse(f"{path} is no file that a spec can name", "notimpl")
    split, limit = unsliced(str(entry.get("split") or "train"))
    return {
        "path": path,
        "hub": hub,
        "subset": entry.get("subset"),
        "split": split if hub else "train",
        "limit": limit,
        "share": None,
        "files": (),
        "revision": None,
        "template": None,
    }


def _turns(tags: Mapping[str, Any] | None) -> str:
    """Which turns these tags describe.

    Those for tools do not decide: rows that have such turns have the usual ones, or LLaMA-Factory
    leaves them out.
    """
    given = {key: (tags or {}).get(key) for key in CHAT} if tags is not None else SHAREGPT
    for kind, known in (("messages", CHAT), ("sharegpt", SHAREGPT)):
        if given == known:
            return kind
    raise Refuse(f"turns with the tags {dict(tags or {})!r}", "notimpl")


def _renamed(
    kind: str, columns: Mapping[str, str], tags: Mapping[str, Any] | None
) -> dict[str, str]:
    """The file's own column names, where they are not those that the spec's format expects."""
    names = COLUMNS[kind]
    if kind != "alpaca" and _turns(tags) == "messages":
        names = {"messages": "messages"}
    return {ours: columns[theirs] for theirs, ours in names.items() if columns[theirs] != ours}
