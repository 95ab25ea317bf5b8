"""Words of a command line that are not what they look like, or at which a parser stops, as questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ftspec.port.format import Format
from ftspec.port.launches import Launch
from ftspec.port.tables import table

Asked = Iterator[tuple[int, str]]
FILES = (".yaml", ".yml", ".json")
"""What its first word ends with where it is a file (hparams/parser.py)."""
SWITCHED = ("flash_attn",)
"""Settings of LLaMA-Factory's that were switches once."""
BLANK = (
    "a backslash stands before a blank or a carriage return: the command ends there, and the lines below are "
    "no part of it"
)


def unblanked(launch: Launch) -> Launch:
    """A command without words that are blank, and a question where it has some."""
    words = [word for word in launch.words if word.text.strip() or not word.text]
    if len(words) == len(launch.words):
        return launch
    asked = [*launch.unknown, (launch.line, BLANK)]
    return replace(launch, words=words, unknown=asked)


def stray(form: Format, launch: Launch, given: dict[str, Any]) -> Asked:
    """Bare words behind a file of LLaMA-Factory's; leaves the file alone."""
    bare = given.get("")
    if form.name == "llamafactory" and isinstance(bare, list) and bare[0].endswith(FILES):
        given[""], *more = bare
        for word in more:
            yield launch.line, f"{word}: not `key=value`, and it stops there"


def refused(form: Format, launch: Launch, given: dict[str, Any], behind: bool) -> Asked:
    """Words at which LLaMA-Factory's parser stops, as questions; takes options without a value out."""
    if form.name != "llamafactory":
        return
    dashed = [word.text.partition("=")[0] for word in launch.words if word.text.startswith("--")]
    if behind and dashed:
        told = ", ".join(dashed)
        yield launch.line, f"{told}: behind a file it takes `key=value`, and stops at dashes"
    for key in [key for key, value in given.items() if value is True and key not in SWITCHED]:
        entry = table(form.package).find(key)
        if entry is not None and not behind and "bool" not in entry[0]:
            given.pop(key)
            yield launch.line, f"--{key} has no value: it is empty, or is forgotten"
