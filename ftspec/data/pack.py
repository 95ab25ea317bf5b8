"""Several documents in one row: kept apart, or joined into blocks."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ftspec.data.tokenise import IGNORED, Encoded

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
