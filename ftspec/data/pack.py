"""Several documents in one row: kept apart, or joined into blocks."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from ftspec.data.tokenise import IGNORED, Encoded
from ftspec.spec.data import SHARED

Packing = Literal["documents", "together", "blocks"]
WINDOW = 1000
"""Documents that are packed together; trl packs as many at a time (`datasets` maps so many at once)."""


def documents(rows: Iterable[Encoded], size: int) -> Iterator[Encoded]:
    """Rows of whole documents, each of at most ``size`` tokens."""
    left = iter(rows)
    while window := list(islice(left, WINDOW)):
        for found in best_fit([len(row.input_ids) for row in window], size):
            yield joined([window[at] for at in found])


def best_fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Best fit decreasing: which documents share a row, as trl's `bfd` has it (trl/data_utils.py).

    The longest first, each into the row where it leaves the least room; among equals, the oldest.
    """
    bins: list[list[int]] = []
    rooms: list[int] = []
    open_bins: defaultdict[int, deque[list[int]]] = defaultdict(deque)
    for at in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        place = bisect_left(rooms, lengths[at])
        if place < len(rooms):
            room = rooms[place]
            chosen = open_bins[room].popleft()
            if not open_bins[room]:
                del rooms[place]
        else:
            room, chosen = size, []
            bins.append(chosen)
        chosen.append(at)
        room -= lengths[at]
        if room:
            if not open_bins[room]:
                insort(rooms, room)
            open_bins[room].append(chosen)
    return bins


@dataclass(frozen=True)
class Packs:
    """How documents come to share rows of at most ``size`` tokens."""

    kind: Packing
    size: int
    window: int = WINDOW
    """Documents that are packed at once; 0: all of them."""

    def rows(self, lengths: Sequence[int]) -> int:
        """How many rows documents of these lengths make, packed at once."""
        if self.kind in SHARED:
            return len(best_fit(lengths, self.size))
        tokens = sum(lengths)
        # of blocks over all documents, a last one of a single token has nothing to predict
        return tokens // self.size + (tokens % self.size > (0 if self.window else 1))

    def describe(self) -> str:
        """In plain words."""
        if self.kind in SHARED:
            seen = "do not see each other" if self.kind == "documents" else "see those before them"
            return f"documents share rows of {self.size:,} tokens and {seen}"
        return f"all documents are joined, and cut every {self.size:,} tokens"


@dataclass
class Packed:
    """Rows that documents make, counted while these come in."""

    packs: Packs
    whole: int = 0
    """Rows of windows that are full."""
    waiting: list[int] = field(default_factory=list)
    """Lengths of those in the window that is not; of endless blocks, one sum."""

    def add(self, length: int) -> None:
        """One more document."""
        if not self.packs.window and self.packs.kind == "blocks":
            self.waiting = [sum(self.waiting) + length]
            return
        self.waiting.append(length)
        if len(self.waiting) == self.packs.window:
            self.whole += self.packs.rows(self.waiting)
            self.waiting.clear()

    @property
    def count(self) -> int:
        """How many rows there are by now."""
        return self.whole + (self.packs.rows(self.waiting) if self.waiting else 0)


def joined(rows: Sequence[Encoded]) -> Encoded:
    """Documents one after the other. The first label of each is -100: no other document predicts it."""
    return Encoded(
        [token for row in rows for token in row.input_ids],
        [label for row in rows for label in row.labels],
        [len(row.input_ids) for row in rows],
    )


def padded(row: Encoded, size: int, pad: int) -> Encoded:
    """The row with padding up to ``size`` tokens; its lengths are those of its documents still."""
    more = size - len(row.input_ids)
    return Encoded([*row.input_ids, *[pad] * more], [*row.labels, *[IGNORED] * more], row.lengths)


def blocks(rows: Iterable[Encoded], size: int) -> Iterator[Encoded]:
    """All tokens of all documents, cut every ``size`` tokens; the last block may be shorter.

    Every token is trained but the first of a block, which nothing predicts: also the first of a
    document, from the end of the one before.
    """
    held: list[int] = []
    for row in rows:
        held += row.input_ids
        while len(held) >= size:
            yield _block(held[:size])
            del held[:size]
    if len(held) > 1:
        yield _block(held)


def _block(ids: Sequence[int]) -> Encoded:
    return Encoded(list(ids), [IGNORED, *ids[1:]])
