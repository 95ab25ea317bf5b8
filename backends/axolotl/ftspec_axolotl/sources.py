"""A spec's data source <-> an entry of axolotl's `datasets` whose rows are the same.

axolotl 0.19.0, prompt_strategies/chat_template.py, user_defined.py and completion.py;
utils/data/shared.py for files. `ftspec/port/formats/axolotl` reads what people write there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.data.carried import READ
from ftspec.families.rows.instructions import custom, kind_of, named
from ftspec.mapping import Refuse
from ftspec.spec.data import SUFFIXES, Written, sliced, unsliced

PREPARED = "data.prepare: ftspec"
CHAT, TEXT = "chat_template", "completion"
TURNS = {
    "messages": ("messages", "role", "content"),
    "sharegpt": ("conversations", "from", "value"),
}
"""By format: the column of a conversation, and the keys of a turn."""
ROLES = {
    "system": ["system"],
    "user": ["user", "human"],
    "assistant": ["assistant", "gpt"],
    "tool": ["tool"],
}
ENDS = {"ended": "turn", "said": "none"}
"""What of a turn trains, in its word for the end-of-turn token."""
REFUSED = {
    "alpaca": (
        "it writes instructions by prompts of its own, not as turns by the chat template",
        f"data.train.template with the prompt, as `ftspec import` writes axolotl's; or {PREPARED}",
    ),
    "prompt-completion": (
        "it tokenises a prompt and a completion each by itself, not as one text",
        "data.train.template, with `{{ prompt }}` and `{{ completion }}`, says that; or "
        + PREPARED,
    ),
}


def to_entry(source: Mapping[str, Any], part: str) -> dict[str, Any]:
    """One source as axolotl reads it. ``part``: what of a turn counts.

    Raises:
        Refuse: its rows would not be those that the spec means.
    """
    kind, template = source["format"], source.get("template")
    if source["hub"] and not template:
        raise Refuse(
            "rows of the hub are not seen from here, and it reads of conversations what no config names, "
            "such as a column `system`; it makes several rows of a long text",
            "notimpl",
            f"{PREPARED}, and the path of a copy",
        )
    entry = to_place(source)
    if template:
        if template.get("user") or template.get("text"):
            raise Refuse(
                "it reads conversations and plain texts from a column, and writes none by a template",
                "notyet",
                PREPARED,
            )
        written = kind_of({part: text for part, text in template.items() if text is not None})
        if written is None:
            raise Refuse(
                "its prompts are Python formats of an instruction, an input and an output, which cannot say "
                "this text (prompt_strategies/user_defined.py)",
                "notyet",
                PREPARED,
            )
        return entry | {"type": written}
    if kind in REFUSED:
        reason, hint = REFUSED[kind]
        raise Refuse(reason, "notyet", hint)
    if kind == "text":
        return entry | {"type": TEXT, "field": source["columns"].get("text", "text")}
    return entry | _turns(source, part)


def to_place(source: Mapping[str, Any]) -> dict[str, Any]:
    """Where the rows of one source lie, and how many of them are read."""
    path, limit = source["path"], source.get("limit")
    if source.get("share") is not None:
        raise Refuse("it draws no share of a source (utils/data/sft.py)", "notyet", PREPARED)
    if path is None:
        subset = {"name": source["subset"]} if source["subset"] else {}
        files = {"data_files": list(source["files"])} if source.get("files") else {}
        revision = {"revision": source["revision"]} if source.get("revision") else {}
        split = sliced(source["split"], limit)
        return {"path": source["hub"], **subset, **files, **revision, "split": split}
    reader = SUFFIXES[path[path.rindex(".") :].lower()]
    return {"path": path, "ds_type": reader, "split": sliced("train", limit)}


def _turns(source: Mapping[str, Any], part: str) -> dict[str, Any]:
    column, role, content = TURNS[source["format"]]
    if part not in ENDS:
        raise Refuse(
            "of a turn it trains what it says and its end-of-turn token, not what the template writes around "
            "that (prompt_strategies/chat_template.py)",
            "notyet",
            f"data.turn_part: ended; or {PREPARED}",
        )
    if source["columns"].get("tools", "tools") != "tools":
        raise Refuse(
            "it reads tools from the column `tools` alone: the name of another one reaches no row "
            "(prompt_strategies/chat_template.py, StrategyLoader)",
            "notyet",
            PREPARED,
        )
    tools = {"field_tools": "tools"} if "tools" in source["columns"] else {}
    return {
        "type": CHAT,
        **tools,
        "field_messages": source["columns"].get(column, column),
        # named here, each reaches the template; else it looks which ones the template seems to read
        "message_property_mappings": {
            "role": role,
            "content": content,
            **({key: key for key in (*READ, *NAMED)} if source["format"] == "messages" else {}),
        },
        "roles": ROLES,
        "roles_to_train": ["assistant"],
        "train_on_eos": ENDS[part],
        "train_on_eot": ENDS[part],
    }


NAMED = ("name", "tool_call_id")
"""What templates read of a tool's turn."""


def from_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The source that such an entry says.

    Raises:
        Refuse: it says more than `to_entry` writes.
    """
    kind = entry.get("type")
    source = from_place(entry) | {
        "format": "prompt-completion", "columns": {}, "template": None,
    }  # fmt: skip
    if kind == TEXT:
        column = entry.get("field", "text")
        source |= {"format": "text", "columns": {} if column == "text" else {"text": column}}
    elif kind == CHAT:
        source |= _conversations(entry)
    else:
        texts = custom(kind) if isinstance(kind, dict) else named(str(kind))
        source["template"] = texts and Written(**texts).model_dump()
    if source["template"] is None and source["format"] == "prompt-completion":
        raise Refuse(f"rows of the type {kind!r} are read by `ftspec import` only", "notimpl")
    return source


def from_place(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Where an entry says that rows lie."""
    split, limit = unsliced(entry.get("split", "train"))
    place, file = entry.get("path"), "ds_type" in entry
    return {
        "path": place if file else None, "hub": None if file else place,
        "subset": entry.get("name"), "split": split, "limit": limit,
        "files": tuple(entry.get("data_files", ())), "revision": entry.get("revision"),
        "share": None,
    }  # fmt: skip


def _conversations(entry: Mapping[str, Any]) -> dict[str, Any]:
    keys = entry.get("message_property_mappings", {})
    for name, (column, role, content) in TURNS.items():
        if (keys.get("role"), keys.get("content")) == (role, content):
            own = entry.get("field_messages", "messages")
            columns = {} if own == column else {column: own}
            tools = {"tools": entry["field_tools"]} if "field_tools" in entry else {}
            return {"format": name, "columns": columns | tools}
    raise Refuse(f"turns with the keys {keys!r} are read by `ftspec import` only", "notimpl")


def kinds_of(entries: Any) -> set[str]:
    """What its rows are: conversations, texts, or prompts with answers; nothing of prepared ones."""
    types = [entry["type"] for entry in entries or () if "type" in entry]
    return {kind if kind in (CHAT, TEXT) else "prompt" for kind in types}
