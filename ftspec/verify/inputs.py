"""Checks of what goes into the model: order, text, tokens, labels, batches. All exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ftspec.verify.compare import EQUAL, Outcome, differs, first_difference, pair, unobserved
from ftspec.verify.evidence import Batch, Evidence, Round

MASKED = -100
AROUND = 60
"""Characters of text shown on either side of a difference."""
ROW_ENDS = "end of row"


@dataclass(frozen=True)
class Row:
    """One row of one step's global batch; of packed rows, one document that sees no other."""

    step: int
    number: int
    """From 1, over all micro-batches and processes of the step."""
    source: int | None
    """Row of the prepared data set, where that could be observed."""
    ids: tuple[int, ...]
    """Without padding, as are the labels."""
    labels: tuple[int, ...] | None
    text: str | None

    def place(self) -> str:
        """`step 2, row 3`, and where it is known which row of the data set that is."""
        known = "" if self.source is None else f" (row {self.source} of the data)"
        return f"step {self.step}, row {self.number}{known}"


def rows(evidence: Evidence) -> list[Row]:
    """All rows in the order of training."""
    found: list[Row] = []
    for batch in evidence.batches:
        ids = batch.cut(batch.input_ids)
        labels = None if batch.labels is None else batch.cut(batch.labels)
        sources = batch.indices if batch.documents is None else None
        for position in range(len(ids)):
            number = found[-1].number + 1 if found and found[-1].step == batch.step else 1
            found.append(
                Row(
                    batch.step,
                    number,
                    # of pairs, the chosen answers of all rows come first, then the rejected ones
                    sources[position % len(sources)] if sources else None,
                    ids[position],
                    labels[position] if labels else None,
                    batch.text[position] if batch.text else None,
                )
            )
    return found


def data_order(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """Which rows of the prepared data set are taken, in which order."""
    whole = pair(_shows_rows, reference, other)
    if missing := unobserved("which rows it took", *whole):
        return missing
    counts = pair(lambda e: e.setting.get("rows"), reference, other)
    note = "" if counts[0] == counts[1] else f"data sets of {counts[0]} and {counts[1]} rows"
    ours, theirs = pair(_taken, reference, other)
    at = first_difference(ours, theirs)
    if at is None:
        return differs("rows in the data set", *counts) if note else EQUAL
    step, _index = max(ours, theirs, key=len)[at]
    names = pair(
        lambda e: f"row {e[at][1]} in step {e[at][0]}" if at < len(e) else "no more rows",
        ours,
        theirs,
    )
    number = 1 + sum(taken[0] == step for taken in max(ours, theirs, key=len)[:at])
    return differs(f"step {step}, row {number}", *names, note=note)


def _shows_rows(evidence: Evidence) -> bool:
    taken = _fetches(evidence)
    return bool(taken) and all(each.indices for each in taken)


def _fetches(evidence: Evidence) -> Sequence[Batch | Round]:
    """The batches; where these do not show their rows, the rounds of drawing completions for them."""
    shown = evidence.batches and all(batch.indices for batch in evidence.batches)
    return evidence.batches if shown or not evidence.rounds else evidence.rounds


def _taken(evidence: Evidence) -> list[tuple[int, int]]:
    """Step and row of the data set, in the order of training; of prompts, in that of drawing."""
    return [(each.step, index) for each in _fetches(evidence) for index in each.indices or ()]


def text(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """Every row as its tokenizer reads it back."""
    ours, theirs = pair(rows, reference, other)
    seen = pair(lambda e: bool(e) and all(row.text is not None for row in e), ours, theirs)
    if missing := unobserved("its text", *seen):
        return missing
    for one, two in zip(ours, theirs, strict=False):
        at = first_difference(one.text or "", two.text or "")
        if at is not None:
            context = _excerpt(one.text or "", at), _excerpt(two.text or "", at)
            return differs(f"{one.place()}, character {at}", *context, context=context)
    return _same_number(ours, theirs)


def token_ids(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """Every row's token ids without padding."""
    ours, theirs = pair(rows, reference, other)
    if missing := unobserved("its batches", bool(ours), bool(theirs)):
        return missing
    for one, two in zip(ours, theirs, strict=False):
        at = first_difference(one.ids, two.ids)
        if at is not None:
            sides = ((reference, one.ids), (other, two.ids))
            context = [_around(evidence, ids, at) for evidence, ids in sides]
            values = [_token(evidence, ids, at) for evidence, ids in sides]
            lengths = pair(len, one.ids, two.ids)
            uneven = f"rows of {lengths[0]} and {lengths[1]} tokens"
            note = uneven if lengths[0] != lengths[1] else ""
            return differs(
                f"{one.place()}, token {at}", *values, context=(context[0], context[1]), note=note
            )
    return _same_number(ours, theirs)


def label_mask(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """Which tokens of every row are trained on, and that each label is its token."""
    ours, theirs = pair(rows, reference, other)
    seen = pair(lambda e: bool(e) and all(row.labels is not None for row in e), ours, theirs)
    if missing := unobserved("its labels", *seen):
        return missing
    for one, two in zip(ours, theirs, strict=False):
        labels = one.labels or (), two.labels or ()
        at = first_difference(*labels)
        if at is not None:
            around = _around(reference, one.ids, at)
            values = [_label(side, at) for side in labels]
            counts = pair(lambda side: sum(label != MASKED for label in side), *labels)
            note = f"{counts[0]} and {counts[1]} trained tokens in this row"
            where = f"{one.place()}, token {at}"
            return differs(where, *values, context=(around, around), note=note)
    return _same_number(ours, theirs)


def batches(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """The padded tensors of every micro-batch."""
    if missing := unobserved("its batches", bool(reference.batches), bool(other.batches)):
        return missing
    shared = all(any(map(_begins_again, side.batches)) for side in (reference, other))
    compare = _together if shared else _batch
    for number, (one, two) in enumerate(zip(reference.batches, other.batches, strict=False)):
        outcome = compare(f"step {one.step}, micro-batch {number + 1}", one, two)
        if outcome.verdict != "equal":
            return outcome
    counts = pair(len, reference.batches, other.batches)
    if counts[0] != counts[1]:
        return differs("micro-batches in the run", *counts)
    kept_apart = sum(len(batch.documents or ()) for batch in reference.batches)
    note = f"{kept_apart} packed documents, none of which sees another" if kept_apart else ""
    return Outcome("equal", note=note)


def _batch(where: str, one: Batch, two: Batch) -> Outcome:
    if one.documents is not None and two.documents is not None:
        return _packed(where, one, two)
    shapes = pair(lambda b: f"{len(b.input_ids)} rows x {len(b.input_ids[0])} tokens", one, two)
    if shapes[0] != shapes[1]:
        return differs(where, *shapes)
    if one.step != two.step:
        return differs(where, f"in step {one.step}", f"in step {two.step}")
    if one.images != two.images:
        return differs(f"{where}, images", *pair(lambda b: b.images or "none", one, two))
    for noun, ours, theirs in (
        ("attention mask", one.attended(), two.attended()),
        ("position ids", one.positions(), two.positions()),
        ("padding", one.input_ids, two.input_ids),
        ("labels of padding", one.labels or (), two.labels or ()),
    ):
        row = first_difference(ours, theirs)
        if row is not None:
            values = [side[row] if row < len(side) else () for side in (ours, theirs)]
            return differs(f"{where}, row {row + 1}, {noun}", *values)
    return EQUAL


def _packed(where: str, one: Batch, two: Batch) -> Outcome:
    """Documents kept apart and their positions, whether their rows stand below each other or in line."""
    if one.step != two.step:
        return differs(where, f"in step {one.step}", f"in step {two.step}")
    lengths = pair(lambda b: [end - start for _, start, end in b.documents or ()], one, two)
    at = first_difference(*lengths)
    if at is not None:
        values = [f"{side[at]} tokens" if at < len(side) else "none" for side in lengths]
        return differs(f"{where}, document {at + 1}", *values)
    at = first_difference(*pair(lambda b: b.cut(b.positions()), one, two))
    if at is not None:
        places = pair(lambda b: b.cut(b.positions()), one, two)
        return differs(f"{where}, document {at + 1}, position ids", *(p[at] for p in places))
    return EQUAL


def _begins_again(batch: Batch) -> bool:
    """Whether positions start again within a row: documents share it, and see those before them.

    Tokens of one image stand at one point in time: their positions rest, in a row of one document.
    """
    if batch.documents is not None or batch.images is not None or batch.position_ids is None:
        return False
    rows = batch.unpadded(batch.position_ids)
    return any(after <= before for row in rows for before, after in pairwise(row))


def _together(where: str, one: Batch, two: Batch) -> Outcome:
    """Rows of several documents, and their positions; how far a row is filled up is not asked."""
    if one.step != two.step:
        return differs(where, f"in step {one.step}", f"in step {two.step}")
    for noun, ours, theirs in (
        ("tokens", one.unpadded(one.input_ids), two.unpadded(two.input_ids)),
        ("position ids", one.unpadded(one.positions()), two.unpadded(two.positions())),
    ):
        row = first_difference(ours, theirs)
        if row is not None:
            values = [side[row] if row < len(side) else () for side in (ours, theirs)]
            return differs(f"{where}, row {row + 1}, {noun}", *values)
    return EQUAL


def _same_number(ours: list[Row], theirs: list[Row]) -> Outcome:
    if len(ours) == len(theirs):
        return EQUAL
    row = max(ours, theirs, key=len)[min(len(ours), len(theirs))]
    return differs(row.place(), *pair(lambda e: f"{len(e)} rows in the run", ours, theirs))


def _excerpt(text: str, at: int) -> str:
    """The text around a position, newlines visible."""
    start, end = max(0, at - AROUND), at + AROUND
    head, tail = "…" if start else "", "…" if end < len(text) else ""
    part = text[start:end].replace("\n", "⏎")
    return f"{head}{part}{tail}" if at < len(text) else f"{head}{part}[{ROW_ENDS}]"


def _around(evidence: Evidence, ids: tuple[int, ...], at: int) -> str:
    """Decoded tokens around a position, the one in question in brackets."""
    pieces = [evidence.pieces.get(token) or f"<{token}>" for token in ids]
    head = "".join(pieces[max(0, at - 16) : at])[-AROUND:]
    tail = "".join(pieces[at + 1 : at + 16])[:AROUND]
    piece = pieces[at] if at < len(pieces) else ROW_ENDS
    return f"{head}[{piece}]{tail}".replace("\n", "⏎")


def _token(evidence: Evidence, ids: tuple[int, ...], at: int) -> str:
    if at >= len(ids):
        return ROW_ENDS
    piece = evidence.pieces.get(ids[at])
    return str(ids[at]) if piece is None else f"{ids[at]} {piece!r}"


def _label(labels: tuple[int, ...], at: int) -> str:
    if at >= len(labels):
        return ROW_ENDS
    return "not trained (-100)" if labels[at] == MASKED else f"trained, label {labels[at]}"
