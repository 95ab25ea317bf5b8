"""What LLaMA-Factory makes of pairs and of judged answers: a prompt and an answer, cut in proportion.

llamafactory 0.9.5: data/processor/pairwise.py and feedback.py. Both answers of a pair share what the longer
one leaves of the room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ftspec.data.by_turns import share
from ftspec.data.example import Example
from ftspec.data.template import Template
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import Asked, Part, Rule, Unknown, View
from ftspec.mapping import Flat
from ftspec_llamafactory.rows import SlotRows, beginning, kept_tokens, labelled, slot_rows

COMPARED = ("dpo", "kto")
"""Stages whose rows end with an answer that is compared or judged."""


@dataclass(frozen=True)
class AnswerSlots:
    """The last turn is the answer, all before it the prompt."""

    slots: SlotRows

    @property
    def packs(self) -> None:
        """Answers that are compared share no row."""

    def accept(self, format: str, example: Example) -> None:
        """Conversations that do not alternate would be left out."""
        self.slots.accept(format, example)

    def ask(self, example: Example) -> Asked:
        """One text for each slot that is not empty, of both answers."""
        sides = [example, *((example.rejected,) if example.rejected else ())]
        turns = [[*self.slots.turns(side)] for side in sides]
        texts = tuple(text for side in turns for turn in side for text in turn)

        def view(encodings: Sequence[Any]) -> View:
            parts = (Part(*pair, len(pair[1])) for pair in zip(texts, encodings, strict=True))
            cut = [[list(islice(parts, len(turn))) for turn in side] for side in turns]
            prompts = [[part for turn in side[:-1] for part in turn] for side in cut]
            views = self._views(prompts, [side[-1] for side in cut])
            return replace(views[0], rejected=views[1] if views[1:] else None, good=example.label)

        return Asked(texts, False, view)

    def describe(self) -> tuple[str, str]:
        """In plain words."""
        return (
            "the tokenizer's template taken apart, and each piece tokenised on its own",
            f"beyond {self.slots.cutoff:,} tokens prompt and answer lose tokens in proportion",
        )

    def _views(self, prompts: Sequence[list[Part]], answers: Sequence[list[Part]]) -> list[View]:
        asked = kept_tokens(prompts[0])
        kept = share(asked, max(map(kept_tokens, answers)), self.slots.cutoff)
        found = []
        for prompt, answer in zip(prompts, answers, strict=True):
            parts = [*beginning(prompt, kept[0])], [*beginning(answer, kept[1])]
            marked = [*labelled(parts[0], False), *labelled(parts[1], True)]
            found.append(View((*parts[0], *parts[1]), marked, asked + kept_tokens(answer)))
        return found


def rows(native: Flat, tokens: Tokens, template: Template | None) -> Rule | Unknown:
    """The rule of a config with these native values."""
    stage = native.get("stage", "sft")
    if stage not in ("sft", *COMPARED):
        return Unknown(f"what stage: {stage} does to rows is not known here")
    rule = slot_rows(native, tokens, template)
    if stage == "sft" or not isinstance(rule, SlotRows):
        return rule
    if rule.slots.thought_words:
        return Unknown("what becomes of thoughts in answers that are compared is not known here")
    return AnswerSlots(rule)
