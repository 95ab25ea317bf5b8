"""A spec's data source <-> an entry of dataset_info.json.

https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md; data/parser.py of 0.9.5: once
`columns` is given, what it does not name is absent, so an entry always names all it needs.
"""

from __future__ import annotations

from typing import Any

from ftspec.data.images import COLUMN
from ftspec.families.rows.asked import Asked, asked
from ftspec.mapping import Refuse
from ftspec.spec.data import PAIRS, UNPAIRED, sliced, unsliced

OPENAI_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function",
    "system_tag": "system",
}
"""Chat messages are declared as `sharegpt` with these tags: `openai` would add a system prompt of its
own, "detailed thinking off" (data/converter.py)."""
SHAREGPT_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
COLUMNS = {
    "messages": {"messages": "messages"},
    "sharegpt": {"messages": "conversations"},
    "alpaca": {"prompt": "instruction", "query": "input", "response": "output"},
    "sharegpt-ranking": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
    "alpaca-ranking": {
        "prompt": "instruction",
        "query": "input",
        "chosen": "chosen",
        "rejected": "rejected",
    },
    "messages-unpaired": {"messages": "messages", "kto_tag": "label"},
    "sharegpt-unpaired": {"messages": "conversations", "kto_tag": "label"},
    "alpaca-unpaired": {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "kto_tag": "label",
    },
}
"""LLaMA-Factory's name of a column, and the spec's, per format."""
REFUSED = {
    "prompt-completion": "plain prompt and completion get no end-of-sequence token from its templates",
    "preference": "it reads an answer that is one turn of a conversation, not texts or lists of messages",
    "preference-implicit": "it reads a prompt and two answers, not two whole conversations",
    "unpaired": "it reads an instruction or a conversation, not a prompt and a completion of messages",
    "text": "plain text loses its trained end-of-sequence tokens where they are also the padding, and "
    "begins otherwise than trl's",
}
"""Formats that it would train otherwise than the others."""
TAGS = {
    "messages": OPENAI_TAGS,
    "sharegpt": SHAREGPT_TAGS,
    "alpaca": None,
    "sharegpt-ranking": SHAREGPT_TAGS,
    "alpaca-ranking": None,
    "messages-unpaired": OPENAI_TAGS,
    "sharegpt-unpaired": SHAREGPT_TAGS,
    "alpaca-unpaired": None,
}
QUESTION = {"prompt", "response"}
"""Columns of a question and its answer, where the entry names none that is joined to the question."""
INSTEAD = {
    **dict.fromkeys(PAIRS, "rows like sharegpt-ranking or alpaca-ranking"),
    "unpaired": "rows like messages-unpaired or alpaca-unpaired",
}
"""What to write instead of a format that it does not read, where nobody else prepares the rows."""


def to_entry(source: dict[str, Any]) -> dict[str, Any]:
    """One source as LLaMA-Factory registers it."""
    kind = source["format"]
    turns = asked(source["template"]) if source.get("template") else None
    if source.get("template") and turns is None:
        hint = INSTEAD.get(kind, "data.prepare: ftspec")
        raise Refuse("it writes no rows by texts of a spec", "notyet", hint)
    if kind in REFUSED:
        raise Refuse(REFUSED[kind], "notyet", INSTEAD.get(kind, "data.prepare: ftspec"))
    if "tools" in source["columns"]:
        raise Refuse(
            "it writes tools, calls and what comes back in a way of its own, not by the chat template",
            "notyet",
            "data.prepare: ftspec",
        )
    shown = {COLUMN: COLUMN} if COLUMN in source["columns"] else {}
    unknown = set(source["columns"]) - set(COLUMNS[kind].values()) - {*shown}
    if unknown:
        raise Refuse(f"no rule for the {kind} column {', '.join(sorted(unknown))}", "notimpl")
    if source.get("share") is not None:
        raise Refuse(
            "it draws a number of rows without a seed (data/loader.py), no share of them",
            "notyet",
            "data.prepare: ftspec",
        )
    if source.get("files") or source.get("revision"):
        raise Refuse(
            "of a data set of the hub it reads the main branch, and all files of a split (data/loader.py)",
            "notyet",
            "the paths of copies",
        )
    entry: dict[str, Any] = {"file_name": source["path"]}
    limit = source.get("limit")
    if (
        limit is not None
    ):  # load_dataset gets it as it is (data/loader.py); max_samples is one for all
        entry["split"] = sliced("train", limit)
    if source["hub"]:
        entry = {"hf_hub_url": source["hub"], "split": sliced(source["split"], limit)}
        if source["subset"]:
            entry["subset"] = source["subset"]
    if turns is not None:
        columns = {"prompt": turns.question, "response": turns.answer}
        return {**entry, "formatting": "alpaca", "columns": columns}
    entry["formatting"] = "sharegpt" if TAGS[kind] else "alpaca"
    if kind in PAIRS:
        entry["ranking"] = True
    entry["columns"] = {
        theirs: source["columns"].get(name, name)
        for theirs, name in (COLUMNS[kind] | shown).items()
    }
    tags = TAGS[kind]
    return entry | ({"tags": dict(tags)} if tags else {})


def from_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """The source that such an entry says."""
    tags = entry.get("tags")
    said = (bool(entry.get("ranking")), "kto_tag" in entry.get("columns", {}))
    kinds = [
        kind
        for kind, known in TAGS.items()
        if known == tags and (kind in PAIRS, kind in UNPAIRED) == said
    ]
    if not kinds or (not TAGS[kinds[0]]) != (entry.get("formatting", "alpaca") == "alpaca"):
        raise Refuse(f"the tags {tags!r} are of no format of a spec", "notimpl")
    kind = kinds[0]
    named = entry.get("columns", {})
    turns = Asked(named["prompt"], named["response"]) if named.keys() == QUESTION else None
    columns = {
        name: named[theirs]
        for theirs, name in COLUMNS[kind].items()
        if turns is None and named.get(theirs, name) != name
    }
    columns |= {COLUMN: named[COLUMN]} if COLUMN in named else {}
    split, limit = unsliced(entry.get("split", "train"))
    return {
        "path": entry.get("file_name"),
        "hub": entry.get("hf_hub_url"),
        "subset": entry.get("subset"),
        "split": split,
        "limit": limit,
        "share": None,
        "files": (),
        "revision": None,
        "format": kind if turns is None else "messages",
        "columns": columns,
        "template": None if turns is None else turns.template(),
    }
