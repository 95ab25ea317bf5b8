"""Which tokens of a packed row see each other: read off what the model is given."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

Span = tuple[int, int, int]
"""Row of the batch, first token, and the token behind the last."""


def documents(given: dict[str, Any]) -> list[Span] | None:
    """Stretches of tokens that attend to nothing outside themselves; None where no row is packed.

    Told by a mask in four dimensions, or where there is no mask at all by positions that start again,
    as transformers does (masking_utils.py, find_packed_sequence_indices).
    """
    mask: Any
    positions: Any
    mask, positions = given.get("attention_mask"), given.get("position_ids")
    if getattr(mask, "ndim", 0) == 4:
        return [span for row, seen in enumerate(mask[:, 0]) for span in _by_mask(row, seen)]
    if mask is None and getattr(positions, "ndim", 0) == 2:
        found = [span for row, seen in enumerate(positions) for span in _by_position(row, seen)]
        return found if len(found) > len(positions) else None
    return None


def _by_position(row: int, positions: Any) -> list[Span]:
    breaks = ((positions.diff() != 1).nonzero().flatten() + 1).tolist()
    edges = [0, *breaks, len(positions)]
    return [(row, start, end) for start, end in pairwise(edges)]


def _by_mask(row: int, mask: Any) -> list[Span]:
    """Of tokens x tokens: true, or zero where a number is added, lets one see the other."""
    import torch

    seen = mask if mask.dtype == torch.bool else mask == 0
    at = torch.arange(len(seen), device=seen.device)
    used = seen.any(-1)  # padding sees nothing
    first = seen.int().argmax(-1)  # the first token that each sees
    expected = (at[None] >= first[:, None]) & (at[None] <= at[:, None]) & used[:, None]
    if not torch.equal(seen, expected):
        return [(row, 0, len(seen))]  # no stretches: all of the row counts as one
    starts = (used & (first == at)).nonzero().flatten().tolist()
    ends = [*starts[1:], int(used.sum())]
    return [(row, start, end) for start, end in zip(starts, ends, strict=True)]
