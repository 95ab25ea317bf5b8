"""The words that a program gets, as settings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ftspec.errors import SpecError
from ftspec.read import json as strict_json
from ftspec.read.words import Word

MORE = re.compile(
    r"\$(?:[@*]|[A-Za-z_]\w*|\{(?:[@*]|[A-Za-z_]\w*(?:\[[@*]\])?)\})"
    r"|[A-Za-z_]\w*\+=\(.*\)",
    re.ASCII | re.DOTALL,
)
ONLY_SHELL = ": only the shell knows it"
"""How a question ends about words whose values a script does not say."""
ASKING = re.compile(r"(?:--)?(\w[\w.-]*)(?: |: )")
"""The argument that such a question begins with, or the key of a file that a script writes."""


def arguments(words: Sequence[Word], line: int) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    """`--key value ...`, `--key=value`, `--flag` and `key=value` as settings, and what is not known.

    A bare word in front is under "", as in `llamafactory-cli train FILE`.
    """
    found: dict[str, Any] = {}
    unknown: list[tuple[int, str]] = []
    taken: dict[str, list[Word]] = {}
    key = ""
    for word in words:
        name, sign, value = word.text.partition("=")
        if word.text == "--":
            key = ""
        elif word.text.startswith("--"):
            key = name.removeprefix("--").replace("-", "_")
            taken[key] = [Word(value, word.known)] if sign else []
        elif sign and name.replace("_", "a").replace(".", "a").isalnum() and taken.get(key) != []:
            taken[name] = [Word(value, word.known)]
            key = name
        elif not word.known and key and taken[key] and _is_more(word.text):
            unknown.append((line, f"{word.text}{ONLY_SHELL}"))
        else:
            taken.setdefault(key, []).append(word)
    for name, values in taken.items():
        if any(not word.known for word in values):
            text = " ".join(word.text for word in values)
            unknown.append(
                (line, f"--{name} {text}{ONLY_SHELL}" if name else f"{text}{ONLY_SHELL}")
            )
            continue
        texts = [_value(word.text) for word in values]
        found[name] = True if not texts else texts[0] if len(texts) == 1 else texts
    for name in [name for name in found if name.startswith("no_") and found[name] is True]:
        found[name.removeprefix("no_")] = not found.pop(name)
    return found, unknown


def _is_more(text: str) -> bool:
    """Whether a word stands for further arguments: `$@`, `$EXTRA`, `${ARGS[@]}`."""
    return MORE.fullmatch(text) is not None


def asking(question: str) -> str:
    """The argument or the key whose value only the shell knows; empty for other questions."""
    found = ASKING.match(question) if question.endswith(ONLY_SHELL) else None
    return found[1] if found else ""


def asked_of(question: str) -> str:
    """The words themselves that a question is about."""
    return question.removesuffix(ONLY_SHELL)


def may_name(text: str) -> bool:
    """Whether a word that only the shell knows may be the name of a file, and not many words."""
    return not text.startswith("--") and not any(
        mark in text for mark in ("[@]", "[*]", "$@", "+=(")
    )


def _value(text: str) -> Any:
    """A mapping or a list that is written as JSON; else the text."""
    if text[:1] in ("{", "["):
        try:
            return strict_json.read(text)
        except (SpecError, json.JSONDecodeError):
            return text
    return text
