"""Which tokens of a trained turn count: all that the template writes of it, or what the turn says.

What a turn says is found by writing the conversation again with another text in its place: where the two
differ, the turn speaks. axolotl finds it so (prompt_strategies/chat_template.py of 0.19.0).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ftspec.data.example import Example, Message
from ftspec.data.template import Template
from ftspec.data.tokenizer import Tokens
from ftspec.errors import DataError, Problem, SpecError

TurnPart = Literal["written", "ended", "said"]
NEAR = 3
"""How many tokens may stand between what a turn says and its end-of-turn token, as axolotl has it."""
OTHERS = ("[[another turn]]", "zz another turn zz")
"""Two texts that begin and end with different characters: one of them differs where the other may not."""


@dataclass(frozen=True)
class Turns:
    """What of a trained turn counts."""

    part: TurnPart = "written"
    ends: tuple[frozenset[int], ...] = ()
    """Ids that end a turn. The first one of each set counts."""
    flag: str | None = None
    """The key of a turn that says whether it trains."""

    def chosen(self, messages: Sequence[Message], usual: Collection[int]) -> list[int]:
        """The messages that train: those that say so, and of those that say nothing, the ``usual`` ones.

        Raises:
            DataError: a message says neither true nor false; none trains.
        """
        if self.flag is None:
            return list(usual)
        said = [message.extra.get(self.flag) for message in messages]
        for number, word in enumerate(said, 1):
            if word is not None and not isinstance(word, bool):
                message = f"{self.flag} of message {number} is {word!r}, true or false is expected"
                raise DataError(Problem(message, path="data.turn_flag"))
        found = [at for at, word in enumerate(said) if (at in usual if word is None else word)]
        if not found:
            hint = "leave the row out"
            raise DataError(Problem("none of its turns trains", path="data.turn_flag", hint=hint))
        return found

    def unflagged(self, example: Example) -> Example:
        """The conversation as a chat template is to see it."""
        if self.flag is None:
            return example
        messages = (
            replace(one, extra={key: one.extra[key] for key in one.extra if key != self.flag})
            for one in example.messages
        )
        return replace(example, messages=tuple(messages))


WRITTEN = Turns()


def turns_of(
    part: TurnPart,
    ends: Sequence[str],
    tokens: Tokens,
    template: Template | None,
    flag: str | None = None,
) -> Turns:
    """What of a turn counts, with this tokenizer.

    Raises:
        SpecError: a token that shall end turns is not one token, or the template does not write it.
    """
    if part != "ended":
        return Turns(part, flag=flag)
    own = frozenset(_end(text, tokens, template) for text in ends)
    eos = tokens.named_id("eos_token")
    found = tuple(ids for ids in (own, frozenset(() if eos is None else (eos,))) if ids)
    if not found:
        message = "the tokenizer names no eos_token, so no token is known that ends a turn"
        raise SpecError(Problem(message, "data.turn_ends", hint="name the tokens that end turns"))
    return Turns(part, found, flag)


def _end(text: str, tokens: Tokens, template: Template | None) -> int:
    ids = tokens.ids(text)
    if len(ids) != 1:
        message = f"{text!r} is {len(ids)} tokens of this tokenizer, and one ends a turn"
        raise SpecError(Problem(message, "data.turn_ends", hint="name a token of its vocabulary"))
    named = text == tokens.special.get("eos_token") and template and template.reads("eos_token")
    if template is not None and text not in template.source and not named:
        hint = "leave it out, or name what the template writes behind a turn"
        raise SpecError(
            Problem(f"the chat template writes no {text!r}", "data.turn_ends", hint=hint)
        )
    return ids[0]


def said(
    example: Example, template: Template, text: str, chosen: Sequence[int], turns: Turns
) -> Callable[[Sequence[Any]], list[bool]]:
    """The mask of what the ``chosen`` messages say in ``text``, for the encoding of it.

    A token that holds a character of it counts. A turn without words counts nowhere, nor does its end.
    """
    spans = [_span(example, template, text, at) for at in chosen]

    def mask(encodings: Sequence[Any]) -> list[bool]:
        encoding = encodings[0]
        starts = [start for start, _ in encoding.offsets]
        stops = [stop for _, stop in encoding.offsets]
        found = [False] * len(starts)
        for begin, end in spans:
            first, behind = bisect_right(stops, begin), bisect_left(starts, end)
            if end <= begin or behind <= first:
                continue
            found[first:behind] = [True] * (behind - first)
            near = list(enumerate(encoding.ids))[behind : behind + NEAR + 1]
            for ends in turns.ends:
                found_end = next((at for at, token in near if token in ends), None)
                if found_end is not None:
                    found[found_end] = True
        return found

    return mask


def _span(example: Example, template: Template, text: str, at: int) -> tuple[int, int]:
    """The characters of ``text`` that are the message's: its content, thoughts and calls of tools."""
    messages = list(example.messages)
    spans = []
    for other in OTHERS:
        messages[at] = Message(example.messages[at].role, other)
        spans.append(_apart(text, template.render(messages, tools=example.tools).text))
    return min(start for start, _ in spans), max(stop for _, stop in spans)


def _apart(text: str, other: str) -> tuple[int, int]:
    """Where a text differs from another one, from the first to the last character."""
    room = min(len(text), len(other))
    start = _common(text, other, room)
    return start, len(text) - _common(text[::-1], other[::-1], room - start)


def _common(text: str, other: str, most: int) -> int:
    """How many characters both begin with, up to ``most``."""
    pairs = enumerate(zip(text[:most], other[:most], strict=True))
    return next((at for at, (one, another) in pairs if one != another), most)
