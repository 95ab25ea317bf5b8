"""What is kept of a row that is tokenised: all of it, a part, several parts, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ftspec.data.tokenise import IGNORED, Encoded
from ftspec.errors import DataError, Problem

Overflow = Literal["truncate", "truncate-left", "truncate-turns", "split", "drop", "error"]


@dataclass(frozen=True)
class Keep:
    """What a spec leaves out beside what is too long."""

    split_rows: int | None = None
    """Of one long row at most so many are made; what lies behind them is left out."""
    min_length: int | None = None
    """Rows of fewer tokens are left out."""
    distinct: bool = False
    """Rows that have the tokens and labels of an earlier one are left out."""
    drop_system: bool = False
    """A system turn that begins a conversation is left out."""


EVERYTHING = Keep()


def parts(whole: Encoded, limit: int, overflow: Overflow, keep: Keep) -> list[Encoded]:
    """The rows that become of one, in order. Raises if it cannot be trained on.

    Of a split row, parts in which nothing trains are left out.
    """
    if overflow == "split" and whole.trained:
        starts = range(0, len(whole.input_ids), limit)[: keep.split_rows]
        found = [cut_from(whole, start, limit) for start in starts]
        found = [part for part in found if part.trained]
    else:
        short = fitted(whole, limit, overflow)
        found = [] if short is None else [short]
    return [part for part in found if len(part.input_ids) >= (keep.min_length or 0)]


def without_repeats(rows: Iterable[Encoded]) -> Iterator[Encoded]:
    """The rows, without those that are there already."""
    seen: set[bytes] = set()
    for row in rows:
        digest = hashlib.blake2b(
            repr((row.input_ids, row.labels)).encode(), digest_size=16
        ).digest()
        if digest not in seen:
            seen.add(digest)
            yield row


def fitted(whole: Encoded, limit: int, overflow: Overflow) -> Encoded | None:
    """The row within the length limit; None if it is left out. Raises if it cannot be trained on."""
    length = len(whole.input_ids)
    if not whole.trained:
        raise DataError(Problem("the row has nothing to train on"))
    if length <= limit:
        return whole
    if overflow == "error":
        hint = "raise data.max_length, or set data.overflow to truncate or drop"
        raise DataError(
            Problem(f"the row has {length:,} tokens; the limit is {limit:,}", hint=hint)
        )
    if overflow == "drop":
        return None
    last = overflow == "truncate-left"
    short = cut_left(whole, limit) if last else cut(whole, limit)
    if not short.trained:
        hint = "raise data.max_length, or set data.overflow: drop"
        which = "last" if last else "first"
        message = (
            f"nothing to train on is among the {which} {limit:,} of the row's {length:,} tokens"
        )
        raise DataError(Problem(message, hint=hint))
    return short


def cut(whole: Encoded, limit: int) -> Encoded:
    """The first ``limit`` tokens."""
    return Encoded(whole.input_ids[:limit], whole.labels[:limit])


def cut_from(whole: Encoded, start: int, limit: int) -> Encoded:
    """At most ``limit`` tokens from there on; nothing predicts the first of them."""
    labels = (IGNORED, *whole.labels[start + 1 : start + limit])
    return Encoded(whole.input_ids[start : start + limit], labels)


def cut_left(whole: Encoded, limit: int) -> Encoded:
    """The last ``limit`` tokens."""
    return cut_from(whole, len(whole.input_ids) - limit, limit)
