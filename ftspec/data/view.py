"""A row as one framework trains on it, and the rule that says so.

A rule first asks for texts to be tokenised and then says what becomes of their tokens, so that the
texts of many rows can be tokenised at once. Rules that compare equal see every row alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

from ftspec.data.carried import anything
from ftspec.data.conversation import with_system
from ftspec.data.example import Example
from ftspec.data.kept import Overflow, fitted
from ftspec.data.pack import WINDOW, Packing, Packs
from ftspec.data.template import Template
from ftspec.data.tokenise import ENDLESS, IGNORED, Encoded, Question, TrainOn, answer, ask
from ftspec.data.tokenizer import Tokens
from ftspec.data.turns import WRITTEN as WHOLE
from ftspec.data.turns import TurnPart, Turns
from ftspec.errors import DataError, Problem

WRITTEN = "written by the spec's template, prompt and completion tokenised each by itself"
"""What becomes of rows that have a template, in plain words."""
COUNTS: Mapping[TurnPart, str] = {
    "written": "",
    "ended": "; of a turn counts what it says, and its end",
    "said": "; of a turn counts what it says",
}


@dataclass(frozen=True)
class Part:
    """A text of the row and how many of its tokens, from the first on, are in the row."""

    text: str
    encoding: Any
    kept: int

    def pieces(self) -> Iterator[str]:
        """The text of each kept token. Those of an uncut part make up the whole text.

        A token that the tokenizer added, or that continues a character, has none.
        """
        done, count = 0, len(self.encoding)
        for number, (_, end) in enumerate(islice(self.encoding.offsets, self.kept), 1):
            # what no token covers goes to the next one, and after the last one to that
            reached = len(self.text) if number == count else max(done, end)
            yield self.text[done:reached]
            done = reached


@dataclass(frozen=True)
class View:
    """What a framework makes of a row: ids, labels, and the text that they stand for."""

    parts: tuple[Part, ...]
    labels: list[int]
    """As the framework's batches hold them."""
    length: int
    """Tokens before any cut."""
    left_out: str = ""
    """Why the framework does not train on the row; empty if it does."""
    note: str = ""
    """What else should be known about it."""
    refused: tuple[Problem, ...] = ()
    """Why `ftspec run` stops at the row."""
    joined: bool = False
    """Whether it stands in a block behind others, so that its first token is predicted as well."""
    rejected: View | None = None
    """Of a pair: the prompt with the answer that was not chosen."""
    good: bool | None = None
    """Of an answer that is judged by itself: its label."""
    open: bool = False
    """Whether an answer is yet to be drawn, so that nothing of the row is trained by itself."""

    @property
    def sides(self) -> tuple[View, ...]:
        """The view, and that of the other answer of a pair."""
        return (self, self.rejected) if self.rejected else (self,)

    @property
    def input_ids(self) -> list[int]:
        """Token ids, after any cut."""
        return [token for part in self.parts for token in part.encoding.ids[: part.kept]]

    @property
    def tokens(self) -> int:
        """How many tokens are in the row, after any cut."""
        return sum(part.kept for part in self.parts)

    @property
    def trained(self) -> list[bool]:
        """Which tokens count in the loss. Not the first one, unless it is joined: nothing predicts it."""
        first = self.joined
        return [(first or bool(at)) and label != IGNORED for at, label in enumerate(self.labels)]

    @property
    def trained_tokens(self) -> int:
        """How many tokens count in the loss."""
        labels = self.labels if self.joined else self.labels[1:]
        return len(labels) - labels.count(IGNORED)

    def pieces(self) -> list[str]:
        """The text of each token."""
        return [piece for part in self.parts for piece in part.pieces()]

    def words(self) -> list[str]:
        """Each token as the vocabulary writes it."""
        return [word for part in self.parts for word in part.encoding.tokens[: part.kept]]


@dataclass(frozen=True)
class Asked:
    """Texts to tokenise, and the view that their encodings make. ``view`` may raise DataError."""

    texts: tuple[str, ...]
    special: bool
    """Whether the tokenizer puts its own special tokens around each, such as BOS."""
    view: Callable[[Sequence[Any]], View]
    after: tuple[str, ...] = ()
    """Texts without special tokens around them; their encodings stand last."""

    def pairs(self) -> list[tuple[str, bool]]:
        """Each text, with whether special tokens stand around it."""
        return [(text, self.special) for text in self.texts] + [
            (text, False) for text in self.after
        ]


class Rule(Protocol):
    """How a framework reads rows."""

    def accept(self, format: str, example: Example) -> None:
        """Raise DataError where `ftspec run` would refuse the row for this framework."""

    def ask(self, example: Example) -> Asked:
        """What to tokenise for a row. Raises DataError if it cannot be rendered."""

    def describe(self) -> tuple[str, str]:
        """In plain words: how it reads a row, and what becomes of one that is too long."""

    @property
    def packs(self) -> Packs | None:
        """How rows come to share one of a batch; None where each stands alone."""


def parts_of(question: Question, encodings: Sequence[Any], kept: int) -> tuple[Part, ...]:
    """The texts of the row, and how many tokens of each are among the first ``kept``."""
    texts = (question.texts[0], *question.after)
    found, room = [], kept
    for text, encoding in zip(
        texts, (encodings[0], *encodings[len(question.texts) :]), strict=True
    ):
        found.append(Part(text, encoding, min(room, len(encoding.ids))))
        room -= found[-1].kept
    return tuple(found)


@dataclass(frozen=True)
class Unknown:
    """Why it is not known what a framework makes of rows."""

    reason: str
    hint: str = ""


UNCUT = "no row is cut, however long"


@dataclass(frozen=True)
class Prepared:
    """Rows that ftspec prepares itself: the same for all backends."""

    tokens: Tokens
    template: Template | None = field(repr=False)
    train_on: TrainOn
    max_length: int
    overflow: Overflow
    packing: Packing | None = None
    system: str | None = None
    written: bool = False
    """Whether a template of the spec writes the rows."""
    turns: Turns = WHOLE

    @property
    def packs(self) -> Packs | None:
        """Whole documents a thousand at a time, as TRL does; blocks over all of them."""
        if self.packing is None:
            return None
        return Packs(self.packing, self.max_length, 0 if self.packing == "blocks" else WINDOW)

    def accept(self, format: str, example: Example) -> None:
        """All of a row is carried."""
        anything(format, example)

    def ask(self, example: Example) -> Asked:
        """As `prepare` writes the row."""
        whole_example = with_system(example, self.system)
        question = ask(
            whole_example,
            tokens=self.tokens,
            template=self.template,
            train_on=self.train_on,
            turns=self.turns,
        )
        endless = self.packing == "blocks"

        def view(encodings: Sequence[Any]) -> View:
            whole = answer(question, encodings)
            short: Encoded | None = whole
            refused: tuple[Problem, ...] = ()
            try:
                limit = ENDLESS if endless else self.max_length
                short = fitted(whole, limit, self.overflow)
            except DataError as error:
                refused = error.problems
            length = len(whole.input_ids)
            kept = whole if short is None else short
            parts = parts_of(question, encodings, len(kept.input_ids))
            reason = f"longer than {self.max_length:,} tokens" if short is None else ""
            labels = list(kept.input_ids if endless else kept.labels)
            return View(parts, labels, length, reason, refused=refused, joined=endless)

        return Asked(question.texts, question.special, view, question.after)

    def describe(self) -> tuple[str, str]:
        """In plain words."""
        return (
            f"prepared by ftspec: {WRITTEN if self.written else 'rendered once and tokenised as one text'}"
            + COUNTS[self.turns.part],
            self.packs.describe()
            if self.packs and self.packing == "blocks"
            else UNCUT
            if self.max_length == ENDLESS
            else {
                "truncate": f"a longer row keeps its first {self.max_length:,} tokens",
                "truncate-left": f"a longer row keeps its last {self.max_length:,} tokens",
                "truncate-turns": f"a longer row is cut to {self.max_length:,} tokens turn by turn",
                "split": f"a longer row becomes several of at most {self.max_length:,} tokens",
                "drop": f"a row longer than {self.max_length:,} tokens is left out",
                "error": f"a row longer than {self.max_length:,} tokens stops the run",
            }[self.overflow]
            + (f"; {self.packs.describe()}" if self.packs else ""),
        )


@dataclass(frozen=True)
class Checked:
    """A framework's own rule, behind the check that `ftspec run` makes for `data.overflow: error`."""

    rule: Rule
    check: Prepared

    @property
    def packs(self) -> Packs | None:
        """The framework's own way."""
        return self.rule.packs

    def accept(self, format: str, example: Example) -> None:
        """What the framework would leave out is refused first."""
        self.rule.accept(format, example)

    def ask(self, example: Example) -> Asked:
        """What both ask."""
        sides = (example, *((example.rejected,) if example.rejected else ()))
        checks, own = [self.check.ask(side) for side in sides], self.rule.ask(example)
        every = (*checks, own)
        texts = tuple(text for asked in every for text in asked.texts)

        def view(encodings: Sequence[Any]) -> View:
            first, behind = iter(encodings[: len(texts)]), iter(encodings[len(texts) :])
            *looked, said = (
                [*islice(first, len(asked.texts)), *islice(behind, len(asked.after))]
                for asked in every
            )
            views = [check.view(found) for check, found in zip(checks, looked, strict=True)]
            refused = next((each for each in views if each.refused), None)
            if refused is None or example.rejected is None:
                return refused or own.view(said)
            return replace(own.view(said), refused=refused.refused)

        return Asked(texts, own.special, view, tuple(t for asked in every for t in asked.after))

    def describe(self) -> tuple[str, str]:
        """In plain words."""
        return self.rule.describe()[0], self.check.describe()[1]
