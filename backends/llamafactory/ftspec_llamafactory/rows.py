"""What LLaMA-Factory makes of rows: turns tokenised slot by slot, a long row cut in proportion.

llamafactory 0.9.5: data/template.py (encode_multiturn), data/processor/supervised.py,
data/processor/processor_utils.py (infer_seqlen). tests/real/test_preview.py holds this against them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from ftspec.data.by_turns import share
from ftspec.data.carried import REMEDY, by_alternating
from ftspec.data.example import Example
from ftspec.data.named import HOLE
from ftspec.data.template import Template
from ftspec.data.thinking import THINKING
from ftspec.data.tokenise import IGNORED
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import Asked, Part, Rule, Unknown, View
from ftspec.errors import DataError
from ftspec.mapping import Flat
from ftspec.spec.chat_templates import NAMED
from ftspec_llamafactory.named import named_slots
from ftspec_llamafactory.slots import Slots, slots

NUMBER = "{{idx}}"
"""A hole of user turns for their number; where a person's own text holds it, it is filled as well."""
ASSUMED = {
    "packing": False,
    "neat_packing": False,
    "preserve_thinking": False,
    "tool_format": None,
}
"""Keys that change rows, and the values that the rule below is true for."""


@dataclass(frozen=True)
class SlotRows:
    """Every answer is trained, or the last one only; and with ``on_prompt`` all there is."""

    tokens: Tokens = field(repr=False)
    slots: Slots
    cutoff: int
    on_prompt: bool
    last_only: bool
    """mask_history: only the last answer is trained, and a long row loses its first turns."""
    thinking: bool = True
    """enable_thinking: whether empty thoughts train; without it no answer keeps its own."""

    @property
    def packs(self) -> None:
        """Rows that LLaMA-Factory packs itself are refused."""

    def accept(self, format: str, example: Example) -> None:
        """Conversations that do not alternate would be left out."""
        by_alternating(format, example, self.thinking)

    def ask(self, example: Example) -> Asked:
        """One text for each slot that is not empty."""
        turns = list(self.turns(example))
        texts = tuple(text for turn in turns for text in turn)

        def view(encodings: Sequence[Any]) -> View:
            parts = (Part(*pair, len(pair[1])) for pair in zip(texts, encodings, strict=True))
            cut = [list(islice(parts, len(turn))) for turn in turns]
            return self._view(list(zip(cut[::2], cut[1::2], strict=True)))

        return Asked(texts, False, view)

    def describe(self) -> tuple[str, str]:
        """In plain words."""
        first = "the first turns" if self.last_only else "the last turns"
        return (
            "the tokenizer's template taken apart, and each piece tokenised on its own",
            f"a row longer than {self.cutoff:,} tokens loses tokens from prompt and answer in "
            f"proportion, turn by turn, and {first} whole",
        )

    def turns(self, example: Example) -> Iterator[list[str]]:
        """The texts of each turn; what stands before the first one belongs to it."""
        system, messages = self.slots.default_system, list(example.messages)
        if messages[0].role == "system":
            system = messages.pop(0).content or system
        for at, message in enumerate(messages):
            content, texts = message.content, []
            if at == 0:
                said = self.slots.system.replace(HOLE, system, 1) if system else ""
                texts = [self.slots.prefix]
                if self.slots.system_in_user:
                    content = said + content
                else:
                    texts.append(said)
            if message.role == "user":
                text = self.slots.user.replace(HOLE, content, 1)
                texts.append(text.replace(NUMBER, str(at // 2), 1))
                answer = messages[at + 1].content
                if self.slots.thought_words and not self.thinking:
                    answer = _without_thought(answer, *self.slots.thought_words)
                if not self.thinking and self._emptied(answer, at + 2 == len(messages)):
                    texts.append("".join(self.slots.thought_words))
            else:
                last = at + 1 == len(messages)
                if self.slots.thought_words:
                    if not self.thinking or (self.last_only and not last):
                        content = _without_thought(content, *self.slots.thought_words)
                    if self.thinking and self._emptied(content, last):
                        texts.append("".join(self.slots.thought_words))
                texts.append(self.slots.assistant.replace(HOLE, content, 1))
            yield [text for text in texts if text]

    def _emptied(self, answer: str, last: bool) -> bool:
        """Whether an answer gets an empty thought."""
        words = [word.strip() for word in self.slots.thought_words]
        kept = any(word in answer for word in words)
        return bool(words) and not kept and (last or not self.last_only)

    def _view(self, pairs: list[tuple[list[Part], list[Part]]]) -> View:
        """Turns as long as there is room for them."""
        length = sum(part.kept for pair in pairs for side in pair for part in side)
        kept: list[tuple[list[Part], list[int]]] = []
        room = self.cutoff
        for number, (prompt, answer) in enumerate(reversed(pairs) if self.last_only else pairs):
            if room <= 0:
                break
            counts = share(kept_tokens(prompt), kept_tokens(answer), room)
            room -= sum(counts)
            asked, said = list(beginning(prompt, counts[0])), list(beginning(answer, counts[1]))
            trained = not (self.last_only and number)
            labels = [*labelled(asked, self.on_prompt), *labelled(said, trained)]
            kept.append(([*asked, *said], labels))
        if self.last_only:
            kept.reverse()
        note = ""
        if length > self.cutoff and len(kept) < len(pairs):
            note = f"{len(kept)} of {len(pairs)} question-answer pairs are left"
        parts = tuple(part for turn, _ in kept for part in turn)
        return View(parts, [label for _, labels in kept for label in labels], length, note=note)


def slot_rows(native: Flat, tokens: Tokens, template: Template | None) -> Rule | Unknown:
    """The rule of a config with these native values."""
    for key, value in ASSUMED.items():
        if key in native and native[key] != value:
            return Unknown(f"what {key}: {native[key]} does to rows is not known here", REMEDY)
    if "image_max_pixels" in native:
        return Unknown("how many tokens an image becomes is seen by the model's processor alone")
    if native.get("template") not in (None, *NAMED):
        return Unknown(f"its own template {native['template']!r} is not known here", REMEDY)
    if template is None or "eos_token" not in tokens.special:
        missing = "chat template" if template is None else "eos_token"
        return Unknown(
            f"the tokenizer has no {missing}, and LLaMA-Factory then takes its own", REMEDY
        )
    name = native.get("template")
    try:
        taken = named_slots(name, tokens) if name else slots(tokens, template)
        if native.get("default_system") is not None:
            taken = replace(taken, default_system=native["default_system"])
    except DataError as error:
        return Unknown(error.problems[0].message, REMEDY)
    cutoff, on_prompt = native["cutoff_len"], native.get("train_on_prompt", False)
    thinking = native.get(THINKING, True)
    return SlotRows(tokens, taken, cutoff, on_prompt, native.get("mask_history", False), thinking)


def _without_thought(content: str, opened: str, closed: str) -> str:
    thought = f"{re.escape(opened)}.*?{re.escape(closed)}"
    return re.sub(thought, "", content, flags=re.DOTALL).lstrip("\n")


def kept_tokens(parts: Iterable[Part]) -> int:
    """How many tokens of the parts are in the row."""
    return sum(part.kept for part in parts)


def beginning(parts: Iterable[Part], count: int) -> Iterator[Part]:
    """The first ``count`` tokens of the parts."""
    for part in parts:
        taken = min(part.kept, count)
        count -= taken
        yield replace(part, kept=taken)


def labelled(parts: Iterable[Part], trained: bool) -> list[int]:
    """The ids of the parts where they are trained."""
    ids = [token for part in parts for token in part.encoding.ids[: part.kept]]
    return ids if trained else [IGNORED] * len(ids)
