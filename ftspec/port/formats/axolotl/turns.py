"""Which tokens of conversations axolotl trains (prompt_strategies/chat_template.py of 0.19.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.data.sources import rows
from ftspec.errors import DataError
from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.entries import CHATS, completes, entries, objective, row
from ftspec.port.formats.axolotl.images import UNREAD, of_images, shows, turns_only
from ftspec.port.formats.axolotl.words import off_or, said, taken
from ftspec.port.rules import Context, Outcome, Rule, inert, unknown
from ftspec.spec.data import Source

PART = "data.turn_part"
TURNS = (
    "it trains what a turn says and its end-of-turn token: rows that ftspec prepares, of local files, have "
    "the same labels"
)
COPY = (
    "ftspec prepares rows of local files: give the path of a copy before it runs, or set data.turn_part: "
    "written and data.prepare: framework, which trains what the template writes around a turn as well"
)
TEXTS = (
    "ftspec splits texts of local files: give the path of a copy before it runs, or set data.overflow: "
    "truncate and data.prepare: framework, which cuts long texts"
)
SYSTEM = (
    "its rows have a column with a system prompt, which axolotl puts before a conversation that begins with "
    "none; here it is not read"
)
ELSEWHERE = {
    "all": "the ends of turns that do not train count there too",
    "last": "of a conversation only the last end of a turn counts there",
}
NO_TURNS = "its rows are no conversations"
CALLED = {"human": "user", "gpt": "assistant"}
FLAG = "message_field_training"
UNSAID = "turns without a flag do not train there; here those of the assistant do"
OWN_NAME = (
    "thoughts reach the template under the name that they have in the row: only without any "
    "message_property_mappings axolotl reads this, and its schema makes some (utils/schemas/utils.py)"
)


LAST = (
    "data.train_on: {}: axolotl up to 0.5.2 trained the last answer of a conversation alone where neither "
    "roles_to_train nor train_on_eos is written; 0.8.0 and later, as here, train all of them"
)
SAID = ("roles_to_train", "train_on_eos", FLAG, f"{FLAG}_detail")


def chats(context: Context) -> list[Mapping[str, Any]]:
    """The entries whose rows a chat template writes before they train, where demonstrations are learned."""
    if objective(context) != "sft" or shows(context):
        return []
    return [entry for entry in entries(context) if entry.get("type") in CHATS]


def turns(context: Context) -> dict[str, Any]:
    """Spec values of what counts of a turn; none where nothing is a conversation."""
    found = chats(context)
    if not found:
        return {}
    part = part_of(found[0], context) or "ended"
    ends = context.get("eot_tokens") if part == "ended" else ()
    tokens = tuple(map(str, ends)) if isinstance(ends, list) else ()
    flag = found[0].get(FLAG) or None
    return {PART: part, "data.turn_ends": tokens, "data.turn_flag": flag, "data.prepare": "ftspec"}


def copies(context: Context) -> list[str]:
    """A word for each data set of the hub whose rows ftspec has to prepare."""
    hub = [row(entry).source["hub"] for entry in chats(context)]
    texts = [row(entry).source["hub"] for entry in entries(context) if completes(context)]
    return [
        f"data.train: {name}: {copy}"
        for names, copy in ((hub, COPY), (texts, TEXTS))
        for name in dict.fromkeys(names)
        if name
    ]


def lasts(context: Context) -> list[str]:
    """A word for each data set of which the release that a card names trained the last answers alone."""
    first, _, rest = context.document.release.partition(".")
    second = rest.partition(".")[0]
    if first != "0" or not second.isdigit() or int(second) > 5:
        return []
    found = [one for one in chats(context) if not any(one.get(key) for key in SAID)]
    return [LAST.format(one.get("path")) for one in found]


def has_system(source: Mapping[str, Any], entry: Mapping[str, Any], context: Context) -> bool:
    """Whether the first row of a local file of messages has a system prompt beside them."""
    if source["format"] != "messages" or source["path"] is None:
        return False
    try:
        first = next(rows(Source(path=source["path"]), context.document.path.parent), None)
    except DataError:
        return False
    return first is not None and (entry.get("field_system") or "system") in first.values


def part_of(entry: Mapping[str, Any], context: Context) -> str:
    """What of a turn counts, in a spec's word; empty where a spec has none."""
    eos = entry.get("train_on_eos") or "turn"
    eot = entry.get("train_on_eot") or eos
    if eos != eot and not context.get("eot_tokens") and {eos, eot} == {"turn", "none"}:
        return "ended"  # both speak of the same token
    return {("turn", "turn"): "ended", ("none", "none"): "said"}.get((eos, eot), "")


def entry_of(setting: Setting, context: Context) -> Mapping[str, Any]:
    """The entry of a list of data sets that a setting stands in; empty where there is none."""
    root, _, rest = setting.key.partition("[")
    number, found = rest.partition("]")[0], entries(context, root)
    return found[int(number)] if number.isdigit() and int(number) < len(found) else {}


def _ends(setting: Setting, context: Context) -> Outcome:
    entry = entry_of(setting, context)
    if entry.get("type") not in CHATS:
        return Outcome("inert", why="its rows are no conversations")
    part = part_of(entry, context)
    if not part:
        why = ELSEWHERE.get(
            str(setting.value), "other ends of turns count than of turns that train"
        )
        return Outcome("unknown", why=why)
    if part != turns(context).get(PART):
        return Outcome("unknown", why="in a spec the ends of all turns count, or none")
    return Outcome("derived", of=(PART,))


def _roles(setting: Setting, context: Context) -> Outcome:
    if entry_of(setting, context).get("type") not in CHATS:
        return Outcome("inert", why="its rows are no conversations")
    if taken(context, "train_on_inputs"):
        return Outcome("inert", why="train_on_inputs trains every turn")
    names = setting.value if isinstance(setting.value, list) else []
    if {CALLED.get(name, name) for name in names} == {"assistant"}:
        return Outcome("derived", of=("data.train_on",))
    if not names and entry_of(setting, context).get(FLAG):
        return Outcome("approximated", why=UNSAID, of=("data.turn_flag",))
    return Outcome("unknown", why="in a spec the assistant's turns train, or all")


def _flagged(setting: Setting, context: Context) -> Outcome:
    """A turn's own word counts before its role does."""
    if entry_of(setting, context).get("type") not in CHATS:
        return Outcome("inert", why="its rows are no conversations")
    if any((entry.get(FLAG) or None) != setting.value for entry in chats(context)):
        return Outcome("unknown", why="in a spec turns of all data sets have one flag, or none")
    return Outcome("renamed", spec={"data.turn_flag": setting.value})


def _eot(_setting: Setting, context: Context) -> Outcome:
    found = turns(context)
    if found.get(PART) != "ended":
        return Outcome("inert", why="they are read where ends of turns train, and nowhere else")
    return Outcome("derived", spec={"data.turn_ends": found["data.turn_ends"]})


def inputs(setting: Setting, context: Context) -> Outcome:
    """Whether all turns train."""
    if shows(context):
        return Outcome("derived", of=("data.train_on",))
    spec = {"data.train_on": "all" if setting.value else "assistant"}
    names = (context.get("tokenizer_config"), context.get("base_model"))
    name = next((str(one) for one in names if one), "")
    if setting.value and chats(context) and "mistral" in name.lower():
        why = "beside a tokenizer called mistral it leaves out what a first system turn says"
        return Outcome("approximated", spec=spec, why=why)
    return Outcome("derived", spec=spec)


TURN_RULES: dict[str, Rule] = {
    "roles_to_train": of_images(said(_roles), turns_only("assistant")),
    "train_on_eos": of_images(said(_ends), turns_only("turn")),
    "train_on_eot": of_images(said(_ends), UNREAD),
    FLAG: of_images(off_or(_flagged), UNREAD),
    f"{FLAG}_detail": off_or(
        unknown("parts of a turn that train, by their characters, are not in a spec")
    ),
    "split_thinking": off_or(unknown("thoughts are not cut out of a turn's text in a spec")),
    **dict.fromkeys(("field_thinking", "template_thinking_key"), said(inert(OWN_NAME))),
    "field_tools": said(
        inert("its chat template is handed the column `tools`, whatever this says")
    ),
}
"""Keys of an entry of `datasets`."""
EOT: Rule = of_images(said(_eot), UNREAD)
