"""Where axolotl's rows lie, and which of them are read (utils/data/shared.py of 0.19.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.entries import (
    CHATS,
    STREAM,
    Row,
    entries,
    objective,
    places,
    row,
    streamed,
)
from ftspec.port.formats.axolotl.images import UNTYPED, otherwise
from ftspec.port.formats.axolotl.turns import entry_of
from ftspec.port.formats.axolotl.words import held_out, off_or, said
from ftspec.port.rules import Context, Outcome, Rule, unknown
from ftspec.spec.data import SUFFIXES, unsliced

BESIDE_STREAM = f"beside {STREAM} axolotl reads no other (utils/data/sft.py)"


def row_in(entry: Mapping[str, Any], context: Context) -> Row:
    """What an entry says, for what is learned and by the chat template that writes it."""
    name = entry.get("chat_template") or context.get("chat_template")
    return row(entry, objective(context), str(name or ""))


def row_of(setting: Setting, context: Context) -> Row | None:
    """What the entry says that a setting stands in."""
    root, _, rest = setting.key.partition("[")
    number = rest.partition("]")[0]
    found = entries(context, root)
    return (
        row_in(found[int(number)], context)
        if number.isdigit() and int(number) < len(found)
        else None
    )


def part(setting: Setting, _context: Context) -> Outcome:
    """A part of a source."""
    path = "data.eval" if setting.key.startswith("test_") else "data.train"
    return Outcome("derived", of=(path,))


def _split(setting: Setting, context: Context) -> Outcome:
    found = row_of(setting, context)
    if found is not None and found.source["path"] and unsliced(setting.value)[0] != "train":
        return Outcome("unknown", why="a part of a local file is not in a spec")
    return part(setting, context)


def _files(setting: Setting, context: Context) -> Outcome:
    found = row_of(setting, context)
    if found and found.source["path"] == entry_of(setting, context).get("path"):
        return Outcome("inert", why="`path` is a file, and axolotl reads that alone")
    return _place(setting, context)


def _place(setting: Setting, context: Context) -> Outcome:
    where, stream = places(entry_of(setting, context)), entries(context, STREAM)
    if setting.key.startswith("datasets") and stream:
        return Outcome("inert", why=BESIDE_STREAM)
    if isinstance(where, str):
        return Outcome("unknown", why=where)
    if setting.key.startswith(STREAM) and stream not in (
        context.get(STREAM),
        [context.get(STREAM)],
    ):
        # its type is not said, which would tell it
        return Outcome("approximated", why=streamed(context)[1], of=("data.train",))
    return part(setting, context)


def _subset(setting: Setting, context: Context) -> Outcome:
    found = row_of(setting, context)
    if found and found.source["files"]:
        return Outcome("unknown", why="files of a data set are chosen by their names alone")
    if not isinstance(setting.value, str):
        return Outcome("unknown", why="axolotl's schema takes one name")
    return part(setting, context)


def _revision(setting: Setting, context: Context) -> Outcome:
    found = row_of(setting, context)
    if found and found.source["path"]:
        return Outcome("inert", why="a local file has no other one")
    return part(setting, context)


def _reader(setting: Setting, context: Context) -> Outcome:
    """What a local file is read as; of a data set of the hub nothing asks for it (utils/data/shared.py)."""
    found, where = row_of(setting, context), places(entry_of(setting, context))
    path = found.source["path"] if found else None
    if isinstance(where, str):
        return Outcome("unknown", why=where)
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


def of_shown(setting: Setting, context: Context) -> Outcome:
    """Rows with images."""
    found = row_of(setting, context)
    if setting.value not in CHATS:
        return Outcome("unknown", why=f"{UNTYPED}: of images only conversations are read here")
    if found is None or found.kind == "unknown":
        return Outcome(
            "unknown", why=found.why if found else "which rows it speaks of is not clear"
        )
    if why := otherwise(found.source, context):
        return Outcome("approximated", why=why, of=("data.train",))
    return Outcome("derived", of=("data.train",))


PLACE_RULES: dict[str, Rule] = {
    "path": said(_place),
    "data_files": said(_files),
    "ds_type": said(_reader),
    "name": said(_subset),
    "revision": said(_revision),
    "split": said(_split),
    "preprocess_shards": off_or(_sharded),
    "shards": off_or(unknown("a part of shuffled rows, rounded up: a spec's `share` rounds down")),
}
"""Keys of an entry of `datasets`."""
