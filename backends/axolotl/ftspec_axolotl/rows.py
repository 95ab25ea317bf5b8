"""What axolotl makes of rows: the same as ftspec does, but for those that it leaves out or keeps.

Of plain texts none is too long: `data.overflow: error` stops the run before.

axolotl 0.19.0, prompt_strategies/chat_template.py and user_defined.py; utils/data/utils.py for long rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ftspec.data.carried import by_parsing
from ftspec.data.example import Example
from ftspec.data.template import Template
from ftspec.data.tokenise import TrainOn, ask, labels_of
from ftspec.data.tokenizer import Tokens
from ftspec.data.turns import Turns, turns_of
from ftspec.data.view import COUNTS, WRITTEN, Asked, Rule, Unknown, View, parts_of
from ftspec.families.rows.answer_rows import KINDS, AnswerRows
from ftspec.families.rows.images import READ
from ftspec.mapping import Flat
from ftspec_axolotl.answers import ANSWERS, ENERGY, FREE
from ftspec_axolotl.data import LONG
from ftspec_axolotl.fields import SFT
from ftspec_axolotl.sources import kinds_of

LEAST = 2
"""Tokens that a row needs to stay (min_sample_len)."""


@dataclass(frozen=True)
class OwnRows:
    """A conversation or a text tokenised as one, or prompt and answer each by itself."""

    tokens: Tokens
    template: Template | None = field(repr=False)
    train_on: TrainOn
    max_length: int
    cut: bool
    """Whether a longer row keeps its first tokens; else it is left out."""
    turns: Turns
    tools: bool
    written: bool
    """Whether the spec's texts write the rows."""

    @property
    def packs(self) -> None:
        """Rows that axolotl packs itself are refused."""

    def accept(self, format: str, example: Example) -> None:
        """It reads more than the config names."""
        by_parsing(format, example, self.tools)

    def ask(self, example: Example) -> Asked:
        """What ftspec asks."""
        question = ask(
            example,
            tokens=self.tokens,
            template=self.template,
            train_on=self.train_on,
            turns=self.turns,
        )

        def view(encodings: Sequence[Any]) -> View:
            ids = question.ids(encodings)
            labels, length = labels_of(ids, question.mask(encodings)), len(ids)
            reason = f"longer than {self.max_length:,} tokens" if length > self.max_length else ""
            if length < LEAST:
                reason = f"shorter than {LEAST} tokens"
            kept = min(length, self.max_length) if self.cut else length
            parts = parts_of(question, encodings, kept)
            left_out = "" if self.cut and length >= LEAST else reason
            return View(parts, labels[:kept], length, left_out)

        return Asked(question.texts, question.special, view, question.after)

    def describe(self) -> tuple[str, str]:
        """In plain words."""
        how = WRITTEN if self.written else "rendered by the chat template and tokenised as one text"
        long = f"keeps its first {self.max_length:,} tokens" if self.cut else "is left out"
        how += COUNTS[self.turns.part]
        return how, f"a row longer than {self.max_length:,} tokens {long}"


def own_rows(native: Flat, tokens: Tokens, template: Template | None) -> Rule | Unknown:
    """The rule of a config with these native values."""
    if native.get("rl") == ENERGY:
        return Unknown(
            "the preview does not show prompts whose completions are drawn beside an answer"
        )
    if READ in native:
        return Unknown("how many tokens an image becomes is seen by the model's processor alone")
    if f"{ANSWERS}format" in native:
        told = native.get(f"{ANSWERS}system")
        kind = "free" if native["rl"] in FREE else KINDS[native["rl"]]
        return AnswerRows(tokens, template, kind, native["sequence_len"], told)
    entries = native["datasets"]
    spec = SFT.lift(native).spec
    return OwnRows(
        tokens,
        template,
        spec["data.train_on"],
        native["sequence_len"],
        native["excess_length_strategy"] == LONG["truncate"],
        turns_of(spec["data.turn_part"], spec["data.turn_ends"], tokens, template),
        any("field_tools" in entry for entry in entries),
        kinds_of(entries) == {"prompt"},
    )
