"""Numbers over a whole split, counted row by row: memory grows by some bytes per row, not by rows."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ftspec.data.example import Example
from ftspec.data.findings import Findings
from ftspec.data.pack import Packed
from ftspec.data.preview import Looked
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import Rule, View
from ftspec.errors import DataError

NAMED = 5
"""Rows of one kind that are named; the others are counted."""
PERCENTILES = (50, 90, 95, 99)


@dataclass
class Named:
    """How many rows are of a kind, and which came first."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, place: str) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(place)


@dataclass
class Statistics:
    """What one rule makes of the rows seen so far."""

    refused: Named = field(default_factory=Named)
    """Rows that stop the run."""
    problems: Findings = field(default_factory=Findings)
    """Why."""
    left_out: dict[str, Named] = field(default_factory=dict)
    """Rows that the framework leaves out, by reason."""
    untrained: Named = field(default_factory=Named)
    """Rows that are trained on though none of their tokens counts."""
    cut: Named = field(default_factory=Named)
    """Rows that lose tokens to the length limit."""
    lost: int = 0
    """Tokens that they lose."""
    kept: int = 0
    """Rows that are trained on."""
    tokens: int = 0
    """Tokens of these rows, after any cut, without padding."""
    trained: int = 0
    """Tokens that count in the loss."""
    ended: int = 0
    """Rows that train a special token, such as the one an answer ends with."""
    lengths: Counter[int] = field(default_factory=Counter)
    """Tokens of all rows that could be rendered, before any cut."""
    notes: dict[str, Named] = field(default_factory=dict)
    """What else there is to know about rows."""
    packed: Packed | None = None
    """Rows of batches, where several of these share one."""
    pairs: int = 0
    """Rows with two answers."""
    longer: int = 0
    """Pairs whose chosen answer has more trained tokens than the other one."""
    same: Named = field(default_factory=Named)
    """Pairs whose answers have the same tokens."""
    judged: Counter[bool] = field(default_factory=Counter)
    """Answers that are judged by themselves, by their label."""
    open: int = 0
    """Prompts whose answers are yet to be drawn."""

    def add(self, view: View | DataError, place: str, special: frozenset[int]) -> None:
        """Count a row. ``special``: ids of special tokens."""
        problems = view.problems if isinstance(view, DataError) else view.refused
        self.problems.add(problems)
        if problems:
            self.refused.add(place)
        if isinstance(view, DataError):
            return
        self.lengths[max(side.length for side in view.sides)] += 1
        if problems:
            return
        if view.note:
            self.notes.setdefault(view.note, Named()).add(place)
        if view.left_out:
            self.left_out.setdefault(view.left_out, Named()).add(place)
            return
        tokens, trained = (
            sum(getattr(side, name) for side in view.sides) for name in ("tokens", "trained_tokens")
        )
        length = sum(side.length for side in view.sides)
        self.kept += 1
        self.open += view.open
        if view.good is not None:
            self.judged[view.good] += 1
        if view.rejected is not None:
            self.pairs += 1
            self.longer += view.trained_tokens > view.rejected.trained_tokens
            if view.input_ids == view.rejected.input_ids:
                self.same.add(place)
        self.tokens += tokens
        if self.packed is not None:
            self.packed.add(tokens)
        self.trained += trained
        self.ended += not special.isdisjoint(view.labels[1:])
        if tokens < length:
            self.cut.add(place)
            self.lost += length - tokens
        if not all(side.trained_tokens or side.open for side in view.sides):
            self.untrained.add(place)

    @property
    def batched(self) -> int:
        """How many rows batches are made of."""
        return self.kept if self.packed is None else self.packed.count

    @property
    def counted(self) -> int:
        """Tokens that count in the loss: of a block, the first has nothing before it."""
        blocks = self.packed is not None and self.packed.packs.kind == "blocks"
        return self.trained - (self.batched if blocks else 0)

    @property
    def longest(self) -> int:
        """Tokens of the longest row; 0 without rows."""
        return max(self.lengths, default=0)

    def percentiles(self) -> dict[int, int]:
        """Lengths that so many per cent of the rows do not exceed."""
        return percentiles(self.lengths, PERCENTILES)


@dataclass
class Repeats:
    """Rows that say exactly what an earlier one says.

    An open hash table of 64-bit digests and row numbers: at most 96 bytes per row. Among ten million
    different rows, two are taken for equal with a probability of one in 300,000.
    """

    found: Named = field(default_factory=Named)
    rows: int = 0
    digests: array[int] = field(default_factory=lambda: array("Q", (0,)) * 1024)
    numbers: array[int] = field(default_factory=lambda: array("Q", (0,)) * 1024)

    def add(self, looked: Looked) -> None:
        """Look for the row among those before it, and remember it."""
        digest = _digest(looked.example)
        at = self._slot(digest)
        if self.digests[at]:
            self.found.add(f"{looked.place} (as row {self.numbers[at]})")
            return
        self.digests[at], self.numbers[at] = digest, looked.number
        self.rows += 1
        if 2 * self.rows > len(self.digests):
            self._grow()

    def _slot(self, digest: int) -> int:
        """Where the digest stands, or would stand."""
        at, last = digest & (len(self.digests) - 1), len(self.digests) - 1
        while self.digests[at] not in (0, digest):
            at = (at + 1) & last
        return at

    def _grow(self) -> None:
        old, size = (self.digests, self.numbers), 2 * len(self.digests)
        self.digests, self.numbers = array("Q", (0,)) * size, array("Q", (0,)) * size
        for digest, number in zip(*old, strict=True):
            if digest:
                at = self._slot(digest)
                self.digests[at], self.numbers[at] = digest, number


@dataclass
class Survey:
    """All that is counted of a split: by rule, and of the rows as they are."""

    statistics: tuple[Statistics, ...]
    """One for each rule."""
    special: frozenset[int]
    """Ids of special tokens."""
    rows: int = 0
    repeats: Repeats = field(default_factory=Repeats)

    def add(self, looked: Looked) -> None:
        """Count a row."""
        self.rows += 1
        self.repeats.add(looked)
        for statistics, view in zip(self.statistics, looked.views, strict=True):
            statistics.add(view, looked.place, self.special)


def survey(rules: Sequence[Rule], tokens: Tokens) -> Survey:
    """Nothing counted yet."""
    added = tokens.tokenizer.get_added_tokens_decoder()
    special = frozenset(id for id, token in added.items() if token.special)
    packed = [Packed(rule.packs) if rule.packs else None for rule in rules]
    return Survey(tuple(Statistics(packed=one) for one in packed), special)


def percentiles(lengths: Mapping[int, int], shares: tuple[int, ...]) -> dict[int, int]:
    """The smallest length that at least so many per cent of the rows do not exceed (nearest rank)."""
    total, found, seen = sum(lengths.values()), {}, 0
    wanted = list(shares)
    for length in sorted(lengths):
        seen += lengths[length]
        while wanted and Fraction(wanted[0], 100) * total <= seen:
            found[wanted.pop(0)] = length
    return found


def histogram(lengths: Mapping[int, int], bars: int = 10) -> list[tuple[int, int, int]]:
    """(from, to, rows) of equally wide ranges, the ends included; fewer where lengths are few."""
    if not lengths:
        return []
    low, high = min(lengths), max(lengths)
    width = -(-(high - low + 1) // bars)
    counts: Counter[int] = Counter()
    for length, rows in lengths.items():
        counts[(length - low) // width] += rows
    return [
        (low + bar * width, min(low + (bar + 1) * width - 1, high), counts[bar])
        for bar in range((high - low) // width + 1)
    ]


def _digest(example: Example) -> int:
    hashed = hashlib.blake2b(repr(example).encode(), digest_size=8).digest()
    return int.from_bytes(hashed) or 1  # 0 is an empty slot
