"""Chat templates of an axolotl config: its own by name, Jinja texts and files, and what is handed to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from ftspec.port.beside import text_beside
from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.entries import CHATS, entries
from ftspec.port.formats.axolotl.handed import withheld, without
from ftspec.port.formats.axolotl.images import UNREAD, of_images, shows
from ftspec.port.formats.axolotl.shared import is_shared, template_of
from ftspec.port.formats.axolotl.turns import NO_TURNS, chats, entry_of
from ftspec.port.formats.axolotl.words import said
from ftspec.port.rules import Context, Outcome, Rule

TEMPLATES = files(__package__) / "templates"
"""What its names of chat templates mean."""
UNLISTED = ("phi_4",)
"""Templates of its folder that its list of names lacks."""


ALIKE = {"aya": "cohere"}
"""Templates that write what another one writes: theirs differ in a branch that is never taken."""


MIXED = "chat templates of several kinds write the rows there: in a spec one writes all of them"
KEPT = "the data sets name their own: this one is saved with the tokenizer, and writes no row"
TAKEN = "the tokenizer has the template of the whole config by then"
JINJA, USUAL = "jinja", "tokenizer_default"


def _choice(entry: Mapping[str, Any], context: Context) -> tuple[str, str]:
    """Which template writes an entry's rows: its name, and its text where it is Jinja.

    utils/chat_templates/base.py; the tokenizer's is that of the whole config, where it has one
    (loaders/tokenizer.py).
    """
    jinja = entry.get("type") != CHATS[0] and entry.get("chat_template_jinja")
    name = str(entry.get("chat_template") or (JINJA if jinja else USUAL))
    whole = context.document.data
    of_all = str(whole.get("chat_template") or (JINJA if whole.get("chat_template_jinja") else ""))
    if name == USUAL or (name.startswith(USUAL) and of_all):
        entry, name = whole, of_all or USUAL
    return name, str(entry.get("chat_template_jinja")) if name == JINJA else ""


def _choices(context: Context) -> set[tuple[str, str]]:
    """Of all data sets of conversations."""
    rows = [*entries(context), *entries(context, "test_datasets")]
    return {_choice(one, context) for one in rows if _is_chat(one)}


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("type")).partition(".")[0] in ("chat_template", "bradley_terry")


def _of_one_kind(rule: Rule) -> Rule:
    """Read of a data set of conversations, where one template writes those of all data sets."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if not _is_chat(entry_of(setting, context)):
            return Outcome("inert", why=NO_TURNS)
        if len(_choices(context)) > 1:
            return Outcome("unknown", why=MIXED)
        return rule(setting, context)

    return chosen


def _own_template(setting: Setting, context: Context) -> Outcome:
    """That of a data set."""
    if _choice(entry_of(setting, context), context)[0] != setting.value:
        return Outcome("inert", why=TAKEN)
    return _template(setting, context)


def withheld_by(entry: Mapping[str, Any], context: Context) -> list[tuple[str, ...]]:
    """What of turns does not reach the template of an entry, for each way in which entries hand it over."""
    return _withheld(_template_for(entry, context), context)


def _text_of(name: str) -> str:
    """A chat template of axolotl's own; empty where the name is of none, or it is not here."""
    file = TEMPLATES / f"{ALIKE.get(name, name)}.jinja"
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
    return text if "{" in text else text_beside(text, context)


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


def shared_template(entry: Mapping[str, Any], context: Context) -> Outcome:
    """The template of conversations that FastChat wrote."""
    if not template_of(entry):
        return Outcome("unknown", why="no template here is known to write as FastChat's does")
    name = template_of(entry)
    return _written(
        _text_of(name), context, f"FastChat's {name}, as axolotl's template of that name, "
    )


def _global_template(setting: Setting, context: Context) -> Outcome:
    """utils/schemas/enums.py, ChatTemplate: the schema of a whole config takes no other names."""
    if any(is_shared(one.get("type")) and one.get("conversation") for one in entries(context)):
        return Outcome("inert", why="`conversation` says which template writes the rows")
    if setting.value in UNLISTED:
        why = (
            f"axolotl has a template {setting.value!r}, and its schema takes it of a data set alone"
        )
        return Outcome("unknown", why=why)
    if _writes_no_row(context):
        return Outcome("inert", why=KEPT)
    return _template(setting, context)


def _writes_no_row(context: Context) -> bool:
    """Whether a template of the whole config is left to the tokenizer that is saved."""
    choices = _choices(context)
    return bool(choices) and not shows(context) and _choice({}, context) not in choices


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


def _global_jinja(setting: Setting, context: Context) -> Outcome:
    if len(_choices(context)) > 1 and not shows(context):
        return Outcome("unknown", why=MIXED)
    if _writes_no_row(context):
        return Outcome("inert", why=KEPT)
    return _jinja(setting, context)


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


def _options(_setting: Setting, context: Context) -> Outcome:
    if context.get("rl") == "ebft":
        return Outcome("inert", why="with `rl: ebft` nothing reads it, but that of `trl`")
    options = dict(context.get("chat_template_kwargs") or {})
    return Outcome("derived", spec={"model.template_options": options})


OWN_TEMPLATE: dict[str, Rule] = {
    "chat_template": of_images(said(_of_one_kind(_own_template)), UNREAD),
    "chat_template_jinja": of_images(said(_of_one_kind(_own_jinja)), UNREAD),
}
"""Keys of an entry of `datasets`."""
TEMPLATE_RULES: dict[str, Rule] = {
    "chat_template": said(_global_template),
    "chat_template_jinja": said(_global_jinja),
    "chat_template_kwargs.": of_images(_options, UNREAD),
}
