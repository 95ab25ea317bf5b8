"""A split from its sources: looked at before a run, or prepared once for all backends."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ftspec.data.arrow import write_split
from ftspec.data.by_turns import kept as kept_by_turns
from ftspec.data.carried import Accept, anything
from ftspec.data.conversation import with_system, without_system
from ftspec.data.example import Example
from ftspec.data.findings import Findings, placed
from ftspec.data.formats import conversation, detect, fit
from ftspec.data.hold_out import AS_THEY_STAND, Draw, HoldOut, share_of
from ftspec.data.images import lengthened
from ftspec.data.kept import EVERYTHING, Keep, Overflow, parts, without_repeats
from ftspec.data.pack import Packing, blocks, documents, padded
from ftspec.data.sources import Row, rows
from ftspec.data.template import Template
from ftspec.data.text_side import NO_OPTIONS, OWN_TEMPLATE, text_side
from ftspec.data.tokenise import ENDLESS, IGNORED, Encoded, TrainOn, encode, no_template
from ftspec.data.tokenizer import AS_IT_IS, Tokens, Vocabulary
from ftspec.data.turns import WRITTEN, TurnPart, Turns, turns_of
from ftspec.data.written import try_out
from ftspec.errors import DataError, Problem
from ftspec.spec.data import Format, Source

EIGHT = 8
"""Collators pad to a multiple of it (hazards.md#padding)."""


@dataclass(frozen=True)
class Report:
    """What a split holds. Without tokenising, only rows, kept and duplicates are known."""

    rows: int
    """Rows read."""
    kept: int
    """Rows that are trained on."""
    dropped: int = 0
    """Rows left out because they are too long."""
    truncated: int = 0
    """Rows cut to the length limit."""
    longest: int = 0
    """Tokens of the longest row, before any cut."""
    tokens: int = 0
    """Tokens of all kept rows, after the cut."""
    trained_tokens: int = 0
    """Tokens that count in the loss."""
    duplicates: int = 0
    """Rows that say the same as an earlier one."""


@dataclass
class _Tally:
    """A report while it grows."""

    rows: int = 0
    kept: int = 0
    dropped: int = 0
    truncated: int = 0
    longest: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    duplicates: int = 0
    seen: set[bytes] = field(default_factory=set)

    def note(self, example: Example) -> None:
        self.rows += 1
        digest = hashlib.blake2b(repr(example).encode(), digest_size=16).digest()
        self.duplicates += digest in self.seen
        self.seen.add(digest)

    def report(self) -> Report:
        numbers = {name: getattr(self, name) for name in Report.__dataclass_fields__}
        return Report(**numbers)


@dataclass(frozen=True)
class _Rules:
    """What becomes of a row."""

    tokens: Tokens
    template: Template | None
    max_length: int
    overflow: Overflow
    train_on: TrainOn
    packing: Packing | None = None
    system: str | None = None
    draw: Draw = AS_THEY_STAND
    keep: Keep = EVERYTHING
    turns: Turns = WRITTEN
    image_tokens: int = 0


def prepare(
    sources: Sequence[Source],
    *,
    base: Path,
    tokenizer: str,
    revision: str = "main",
    template: str = OWN_TEMPLATE,
    options: Mapping[str, Any] = NO_OPTIONS,
    vocabulary: Vocabulary = AS_IT_IS,
    max_length: int,
    overflow: Overflow,
    train_on: TrainOn,
    turn_part: TurnPart = "written",
    turn_ends: Sequence[str] = (),
    turn_flag: str | None = None,
    packing: Packing | None = None,
    system: str | None = None,
    columns: Sequence[str] = (),
    target: Path | None,
    accept: Accept = anything,
    draw: Draw = AS_THEY_STAND,
    keep: Keep = EVERYTHING,
    image_tokens: int = 0,
) -> Report:
    """Render, tokenise, mask, cut and pack all rows, and write them to ``target`` unless it is None.

    Paths start at ``base``. ``columns``: what is written beside ids and labels where documents share
    a row. ``draw``: which of the rows, and in which order; ``keep``: what of each. ``image_tokens``: how
    many an image has at most. All rows that cannot be trained on are named at once, and then nothing is
    written.
    """
    side = text_side(tokenizer, revision, template, base, options, train_on, vocabulary)
    turns = turns_of(turn_part, turn_ends, *side, turn_flag)
    rules = _Rules(
        *side, max_length, overflow, train_on, packing, system, draw, keep, turns, image_tokens
    )
    tally = _Tally()
    encoded = _packed(_encoded(sources, base, rules, tally, accept), rules, columns)
    if target is None:
        for _ in encoded:
            pass
    else:
        write_split(encoded, target, columns)
    return tally.report()


def _packed(rows: Iterator[Encoded], rules: _Rules, columns: Sequence[str]) -> Iterator[Encoded]:
    if rules.packing is None:
        return rows
    if rules.packing == "blocks":
        return blocks(rows, rules.max_length)
    found = documents(rows, rules.max_length)
    if "position_ids" not in columns:
        return found
    # no collator pads positions, so all rows get one length, which none would pad further
    size = math.ceil(rules.max_length / EIGHT) * EIGHT
    pad = rules.tokens.named_id("pad_token") or rules.tokens.named_id("eos_token") or 0
    return (padded(row, size, pad) for row in found)


def check(
    sources: Sequence[Source],
    *,
    base: Path,
    lengths: bool,
    tokenizer: str = "",
    revision: str = "main",
    template: str = OWN_TEMPLATE,
    options: Mapping[str, Any] = NO_OPTIONS,
    vocabulary: Vocabulary = AS_IT_IS,
    max_length: int = 0,
    overflow: Overflow = "truncate",
    train_on: TrainOn = "assistant",
    turn_part: TurnPart = "written",
    turn_ends: Sequence[str] = (),
    turn_flag: str | None = None,
    packing: Packing | None = None,
    system: str | None = None,
    accept: Accept = anything,
    draw: Draw = AS_THEY_STAND,
    keep: Keep = EVERYTHING,
    image_tokens: int = 0,
) -> Report:
    """Look at all rows before a run, held out or not. ``lengths``: tokenise them as well, as `prepare` would.

    ``accept`` says what the one who will read the rows makes of them.
    """
    if lengths:
        return prepare(
            sources,
            base=base,
            tokenizer=tokenizer,
            revision=revision,
            template=template,
            options=options,
            vocabulary=vocabulary,
            max_length=max_length,
            overflow=overflow,
            train_on=train_on,
            turn_part=turn_part,
            turn_ends=turn_ends,
            turn_flag=turn_flag,
            packing=packing,
            system=system,
            target=None,
            accept=accept,
            draw=Draw(draw.seed),
            keep=keep,
            image_tokens=image_tokens,
        )
    tally, found = _Tally(), Findings()
    for _, example in examples(sources, base, found, accept, draw.seed):
        tally.note(example)
    found.check()
    tally.kept = tally.rows
    return tally.report()


def examples(
    sources: Sequence[Source], base: Path, found: Findings, accept: Accept, seed: int = 0
) -> Iterator[tuple[Row, Example]]:
    """The rows of all sources that can be trained on; the others are noted in ``found``.

    ``seed``: what the rows of a source are drawn by that gives a share of them.
    """
    for source in sources:
        own = _of_source(source, base, found, accept)
        yield from own if source.share is None else share_of([*own], source.share, seed)


def _of_source(
    source: Source, base: Path, found: Findings, accept: Accept
) -> Iterator[tuple[Row, Example]]:
    format: Format = source.format
    for row in rows(source, base, found):
        try:
            if row.index == 0 and source.template is not None:
                try_out(source.template, row.values)
            elif row.index == 0:
                if format == "auto":
                    format = detect(row.values, source.columns, row.file)
                fit(row.values, format, source.columns, row.file)
        except DataError as error:
            found.add(placed(error, row.file, row.line, 1))
            return  # the whole source is of another form: one word about it, not one per row
        try:
            example = conversation(row, format, source.columns, source.template)
            accept(format, example)
        except DataError as error:
            found.add(placed(error, row.file, row.line, row.index + 1))
        else:
            yield row, example


class _Made(NamedTuple):
    """What became of a row: one row or several, or none."""

    example: Example
    length: int
    """Tokens before any cut."""
    parts: tuple[Encoded, ...]


def _encoded(
    sources: Sequence[Source], base: Path, rules: _Rules, tally: _Tally, accept: Accept
) -> Iterator[Encoded]:
    """All rows as they are trained on; raises at the end if any row had a problem."""
    found, draw, part = Findings(), rules.draw, rules.draw.part
    pairs: Iterable[tuple[Row, Example]] = examples(sources, base, found, accept, draw.seed)
    if draw.whole:
        every = list(pairs)
        found.check()  # before numbers are drawn: they are those of all rows
        every = draw.mix(every)
        pairs = every if part is None or part.last else part.of(every)
    made = _made(pairs, rules, found)
    rows: Iterator[Encoded] = (row for one in made for row in _noted(one, tally))
    if part is not None and part.last:
        rows = iter(_last(part, list(made), rules, tally))
    elif rules.keep.distinct:
        rows = without_repeats(rows)
    for row in rows:
        tally.kept += 1
        tally.tokens += len(row.input_ids)
        tally.trained_tokens += row.trained
        yield row
    found.check()
    if not tally.kept:
        message = f"no row is left: all are longer than {rules.max_length} tokens"
        raise DataError(
            Problem(message, path="data.max_length", hint="raise it, or set overflow: truncate")
        )


def _made(pairs: Iterable[tuple[Row, Example]], rules: _Rules, found: Findings) -> Iterator[_Made]:
    for row, example in pairs:
        if example.kind == "chat" and rules.template is None:
            raise DataError(no_template(rules.tokens))
        try:
            whole = _whole(example, rules)
            if example.images:
                whole = lengthened(example, rules.image_tokens, whole, IGNORED)
            limit = ENDLESS if rules.packing == "blocks" else rules.max_length
            length = len(whole.input_ids)
            if rules.overflow == "truncate-turns" and length > limit:
                whole = _cut_by_turns(_sides(example, rules)[0], whole, rules, limit)
            kept = parts(whole, limit, rules.overflow, rules.keep)
        except DataError as error:
            found.add(placed(error, row.file, row.line, row.index + 1))
        else:
            yield _Made(example, length, tuple(kept))


def _noted(made: _Made, tally: _Tally) -> tuple[Encoded, ...]:
    tally.note(made.example)
    tally.longest = max(tally.longest, made.length)
    tally.dropped += not made.parts
    tally.truncated += bool(made.parts) and len(made.parts[0].input_ids) < made.length
    return made.parts


def _last(part: HoldOut, made: Sequence[_Made], rules: _Rules, tally: _Tally) -> Sequence[Encoded]:
    """The rows of this part, of those that were drawn and not left out: each as it is by then."""
    nothing: tuple[None] = (None,)
    drawn = part.drawn([(one, row) for one in made for row in one.parts or nothing])
    left = [row for _, row in drawn if row is not None]
    chosen = part.cut([*without_repeats(left)] if rules.keep.distinct else left)
    wanted = {id(row) for row in chosen}
    tally.dropped = sum(row is None for _, row in drawn)
    tally.rows = tally.dropped
    for one, row in drawn:
        if id(row) in wanted:
            tally.note(one.example)
            tally.longest = max(tally.longest, one.length)
            tally.truncated += row is not None and len(row.input_ids) < one.length
    return chosen


def _whole(example: Example, rules: _Rules) -> Encoded:
    """The row uncut; of a pair the longer one."""
    encoded = [
        encode(
            side,
            tokens=rules.tokens,
            template=rules.template,
            train_on=rules.train_on,
            turns=rules.turns,
        )
        for side in _sides(example, rules)
    ]
    return max(encoded, key=lambda side: len(side.input_ids))


def _sides(example: Example, rules: _Rules) -> tuple[Example, ...]:
    """The row with the system prompt that it is trained with; of a pair both."""
    bare = without_system(example) if rules.keep.drop_system else example
    told = with_system(bare, rules.system)
    return (told, told.rejected) if told.rejected else (told,)


def _cut_by_turns(example: Example, whole: Encoded, rules: _Rules, limit: int) -> Encoded:
    """The row within the limit, where an answer is all that the template writes of it."""
    last: TrainOn = "completions"
    asked: tuple[TrainOn, ...] = ("assistant", last) if rules.train_on == last else ("assistant",)
    found = [
        encode(example, tokens=rules.tokens, template=rules.template, train_on=what).labels
        for what in asked
    ]
    said = [any(label != IGNORED for label in labels) for labels in zip(*found, strict=True)]
    left = kept_by_turns(said, limit, last_first=rules.train_on == last)
    ids, labels = whole.input_ids, whole.labels
    return Encoded([ids[at] for at in left], [IGNORED, *(labels[at] for at in left[1:])])
