"""Columns of axolotl's rows, and names of their turns: what each type of rows reads of an entry's keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.entries import CHATS, COLUMN, entries, objective
from ftspec.port.formats.axolotl.images import UNREAD, of_images
from ftspec.port.formats.axolotl.places import part, row_of
from ftspec.port.formats.axolotl.shared import is_shared
from ftspec.port.formats.axolotl.turns import CALLED, NO_TURNS, entry_of
from ftspec.port.formats.axolotl.words import off_or, said
from ftspec.port.rules import Context, Outcome, Rule

ROLES = {
    "system": ["system"], "user": ["user", "human"], "assistant": ["assistant", "gpt"], "tool": ["tool"],
}  # fmt: skip
NOT_READ = "rows of this type do not read it"


def is_turned(entry: Mapping[str, Any]) -> bool:
    """Whether its rows are conversations."""
    return entry.get("type") in CHATS or is_shared(entry.get("type"))


def _turned(rule: Rule) -> Rule:
    """Read of conversations, whatever is learned of them; of texts and questions nothing reads it."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        found = row_of(setting, context)
        read = found is not None and found.kind != "unknown"
        written = read and not is_turned(entry_of(setting, context))
        if written and objective(context) in ("sft", "cpt"):
            return Outcome("inert", why=NO_TURNS)
        return rule(setting, context)

    return chosen


def _messages(setting: Setting, context: Context) -> Outcome:
    """The names of a turn's parts: `type: sharegpt` of older releases had `from` and `value` alone."""
    meant = {"role": "from", "content": "value"}
    name = setting.key.rpartition(".")[2].removeprefix("message_field_")
    if is_shared(entry_of(setting, context).get("type")) and setting.value != meant[name]:
        return Outcome("unknown", why="of type sharegpt turns have the keys from and value")
    return field(setting, context)


def _bare(setting: Setting, context: Context) -> Outcome:
    """Of all data sets in a spec, or of none."""
    turned = [one for one in entries(context) if is_turned(one)]
    if not all(bool(one.get("drop_system_message")) for one in turned):
        return Outcome("unknown", why="in a spec the conversations of all sources lose it, or none")
    return Outcome("renamed", spec={"data.drop_system": setting.value})


def _roles(setting: Setting, context: Context) -> Outcome:
    name = setting.key.rpartition(".")[2]
    entry, found = entry_of(setting, context), row_of(setting, context)
    said_of, sharegpt = entry.get("roles") or {}, found and found.source["format"] == "sharegpt"
    if sharegpt and any(one not in (said_of.get(role) or ()) for one, role in CALLED.items()):
        return Outcome("unknown", why="turns that no role lists keep their names there")
    if name in ROLES and set(setting.value or ()) <= set(ROLES[name]):
        return Outcome("derived", why="as turns are called anyway", of=("data.train",))
    return Outcome("unknown", why="other names of roles are not in a spec")


def _column(setting: Setting, context: Context) -> Outcome:
    kind, key = entry_of(setting, context).get("type"), setting.key.rpartition(".")[2]
    found = row_of(setting, context)
    if isinstance(kind, str) and COLUMN.get(kind, key) != key:
        return Outcome("inert", why=f"of this type, {COLUMN[kind]} names the column")
    if found is not None and found.kind != "unknown" and str(kind) not in COLUMN:
        return Outcome("inert", why=NOT_READ)
    return field(setting, context)


def field(setting: Setting, context: Context) -> Outcome:
    """A part of a source, where its rows are read."""
    found = row_of(setting, context)
    if found is None or found.kind == "unknown":
        return Outcome(
            "unknown", why=found.why if found else "which rows it speaks of is not clear"
        )
    return part(setting, context)


def _property(setting: Setting, _context: Context) -> Outcome:
    if setting.key.rpartition(".")[2] == setting.value:
        return Outcome("inert", why="all of a turn reaches the template under its own name")
    return Outcome("unknown", why="another name of a part of a turn is not in a spec")


COLUMN_RULES: dict[str, Rule] = {
    "field": said(_column),
    "text_column": said(_column),
    "field_messages": said(_turned(field)),
    "message_field_role": said(_turned(_messages)),
    "message_field_content": said(_turned(_messages)),
    "message_property_mappings.role": said(_turned(_messages)),
    "message_property_mappings.content": said(_turned(_messages)),
    "message_property_mappings.": said(_turned(_property)),
    "roles.": _turned(_roles),
    "drop_system_message": of_images(off_or(_turned(_bare)), UNREAD),
}
"""Keys of an entry of `datasets`."""
