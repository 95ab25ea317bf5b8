"""Chat templates that a spec names: LLaMA-Factory's own (0.9.5, data/template.py), for every backend.

They are slots there, each tokenised apart. A chat template writes the same text as a whole, so a name is in
a spec only where both give the same tokens: where slots meet at a special token or at the end of a line.
tests/real/test_named_templates.py encodes conversations with every one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

HOLE = "{{content}}"
TOKEN = re.compile(
    r"<[|\uff5c][^<>]+?[|\uff5c]?>|<[^<>|\uff5c]+[|\uff5c]>|<\w+_of_\w+>|</?_?\w+(?::\w+)?>|"
    r"\[/?[A-Z_]+\]|\[\|\w+\|\]|\]~!b\[|\]~b\]|\[e~\[|\u25c1/?\w+\u25b7"
)
"""A special token, as the templates print it."""
PLAIN = ("llama2", "llama2_zh", "olmo", "zephyr")
"""Templates whose marks are no tokens in the vocabularies of their models."""
EFFICIENT = (
    "it trains the end of an answer in the place of the next question's first token, which no chat template "
    "says (efficient_eos)"
)
WORDS = "its slots meet in plain words, which it tokenises apart and a chat template as a whole: other tokens"
NO_TEXT = "it prints nothing between the turns"


class Special(NamedTuple):
    """The tokenizer's own token of a role: `bos_token` or `eos_token`."""

    role: str


Piece = str | Special


@dataclass(frozen=True)
class Named:
    """One template: the texts around the content of each role."""

    prefix: tuple[Piece, ...] = ()
    system: tuple[Piece, ...] = (HOLE,)
    user: tuple[Piece, ...] = (HOLE,)
    """With the opening of the answer behind it."""
    assistant: tuple[Piece, ...] = (HOLE,)
    default_system: str = ""
    """What stands in for a missing system prompt."""
    thought_words: tuple[str, ...] = ()
    """Around thoughts; an answer without any gets an empty one. Empty: it has no thoughts."""
    system_in_user: bool = False
    """Whether the system prompt stands inside the first user turn."""
    plugin: str = ""
    """What its framework reads images with; a model without a processor for them it refuses."""
    replace_jinja: bool = False
    """Whether its framework saves it with the tokenizer."""
    end: str = ""
    """The token that it has in the place of the tokenizer's own end of a text; empty: it keeps that."""
    unfit: str = ""
    """Why a spec cannot name it."""


@cache
def templates() -> Mapping[str, Named]:
    """All of LLaMA-Factory's templates."""
    text = (files("ftspec.data") / "templates" / "llamafactory.json").read_text("utf-8")
    return {name: _made(name, entry) for name, entry in json.loads(text).items()}


def special_tokens(name: str) -> tuple[str, ...]:
    """The special tokens that a named template prints, bos and eos aside."""
    named = templates()[name]
    texts = [*_texts(named.prefix), *_texts(named.system), *_texts(named.user)]
    texts += _texts(named.assistant)
    if named.thought_words and not named.thought_words[1].endswith("\n"):
        texts += named.thought_words  # an answer follows at once
    return tuple(dict.fromkeys(TOKEN.findall("\n".join(texts))))


def _texts(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece for piece in pieces if isinstance(piece, str)]


def _made(name: str, entry: Mapping[str, Any]) -> Named:
    def slot(name: str) -> tuple[Piece, ...]:
        return tuple(_piece(one) for one in entry.get(name, ()))

    named = Named(
        slot("prefix"),
        slot("system"),
        slot("user"),
        slot("assistant"),
        default_system=entry.get("default_system", ""),
        thought_words=tuple(entry.get("thought_words", ())),
        system_in_user=entry.get("system_in_user", False),
        plugin=entry.get("plugin", ""),
        replace_jinja=entry.get("replace_jinja", False),
        end=entry["stop_words"][0] if entry.get("replace_eos") else "",
    )
    return replace(named, unfit=_unfit(name, entry, named))


def _piece(one: Any) -> Piece:
    if isinstance(one, str):
        return one
    return Special(one["special"]) if "special" in one else str(one["token"])


def _unfit(name: str, entry: Mapping[str, Any], named: Named) -> str:
    if entry.get("efficient_eos"):
        return EFFICIENT
    if named.user == named.assistant == (HOLE,):
        return NO_TEXT
    if name in PLAIN or not all(_apart(*seam) for seam in _seams(named)):
        return WORDS
    return ""


def _seams(named: Named) -> Iterator[tuple[Piece, Piece]]:
    """What stands on both sides of each place where a text ends and the next one begins."""
    slots = [named.user] if named.system_in_user else [named.system, named.user]
    for slot in (named.prefix, named.system, named.user, named.assistant):
        yield from pairwise(slot)
    if named.prefix:
        yield from ((named.prefix[-1], slot[0]) for slot in slots)
    yield slots[0][-1] if len(slots) > 1 else named.assistant[-1], named.user[0]
    yield named.assistant[-1], named.user[0]
    if named.thought_words:
        yield named.user[-1], named.thought_words[0]
        yield named.thought_words[1], named.assistant[0]
    yield named.user[-1], named.assistant[0]


def _apart(left: Piece, right: Piece) -> bool:
    """Whether no tokenizer joins the two: one is a special token at the seam, or the left one ends a line."""
    if isinstance(left, Special) or isinstance(right, Special):
        return True
    ends = [match.end() for match in TOKEN.finditer(left)]
    starts = TOKEN.match(right) is not None
    spaced = right[:1].isspace()
    return (len(left) in ends and not spaced) or starts or (left.endswith("\n") and not spaced)
