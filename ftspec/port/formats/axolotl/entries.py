"""Entries of axolotl's `datasets`: where rows come from, and which form they have.

Types of rows are its prompt strategies (prompt_strategies/ of 0.19.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ftspec.families.rows import instructions
from ftspec.port.fates import Kind
from ftspec.port.rules import Context
from ftspec.spec.data import SUFFIXES, unsliced

CHATS = ("chat_template", "chat_template.default", "chat_template.load")
PROMPT = "axolotl's own prompt, as a template of the rows"
CHUNKS = "a text longer than sequence_len becomes several rows, at most 64"
WINDOWS = 64
"""How many rows a text becomes at most (prompt_strategies/completion.py, max_length)."""
OVERLAPS = (
    "a text longer than sequence_len becomes several rows there, which overlap, and is cut here"
)


class Row(NamedTuple):
    """What one entry says."""

    source: dict[str, Any]
    kind: Kind = "derived"
    why: str = ""
    objective: str = "sft"
    question: str = ""


def row(entry: Mapping[str, Any]) -> Row:
    """One entry of `datasets`; with a question where its rows are not understood."""
    place, files = str(entry.get("path") or ""), entry.get("data_files")
    if place in ("json", "csv", "parquet") and isinstance(files, str):
        place = files
    file = place.lower().endswith(tuple(SUFFIXES)) and "://" not in place
    split, limit = unsliced(str(entry.get("split") or "train"))
    base = {
        "path": place if file else None,
        "hub": None if file else place,
        "subset": None if file or not entry.get("name") else str(entry["name"]),
        "split": "train" if file else split,
        "limit": limit,
        "share": None,
        "template": None,
    }
    kind = entry.get("type")
    if kind in CHATS:
        return _chat(entry, base)
    template, why = _template_of(kind)
    if template is not None:
        written = {"format": "auto", "columns": {}, "template": template}
        return Row({**base, **written}, "derived", PROMPT)
    if kind in ("completion", "pretrain"):
        name = entry.get("field") or entry.get("text_column") or "text"
        columns = {} if name == "text" else {"text": name}
        texts = {**base, "format": "text", "columns": columns}
        if kind == "pretrain":
            return Row(texts, "approximated", OVERLAPS, "cpt")
        return Row(texts, "derived", CHUNKS, "cpt")
    word = "a prompt of its own" if isinstance(kind, dict) else f"type {kind!r}"
    question = f"data.train: {place}: {word}: which format have its rows?"
    why = why or f"{word} is not in a spec"
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


def entries(context: Context, key: str = "datasets") -> list[Mapping[str, Any]]:
    """The entries of a list of data sets."""
    value = context.get(key)
    value = [value] if isinstance(value, dict) else value
    return [one for one in value or () if isinstance(one, dict)] if isinstance(value, list) else []


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
    if word:
        return {"gdpo": "grpo", "ipo": "dpo"}.get(str(word), str(word))
    rows = [row(one) for one in entries(context)]
    texts = [one.objective for one in rows if one.kind != "unknown"]
    if context.get("pretraining_dataset") or (texts and set(texts) == {"cpt"}):
        return "cpt"
    return "sft"
