"""Rows of a split as frameworks will see them, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ftspec.data.carried import anything
from ftspec.data.example import Example
from ftspec.data.findings import Findings, placed
from ftspec.data.hold_out import AS_THEY_STAND, Draw
from ftspec.data.json_rows import opens_with
from ftspec.data.prepare import examples
from ftspec.data.sources import Row, count_rows
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import Asked, Rule, View
from ftspec.errors import DataError, Problem
from ftspec.spec.data import Source

BATCH = 256
"""Rows whose texts are tokenised at once: enough for all cores, little in memory."""
Answers = list["Asked | DataError"]
Encodings = Mapping[tuple[str, bool], Any]
"""By text, and whether special tokens stand around it: rules often ask for the same."""


Numbered = tuple[int, Row, str, Example]
"""A row with its number in the split and its format."""


@dataclass(frozen=True)
class Looked:
    """A row, and what each rule makes of it."""

    number: int
    """0-based, in the whole split."""
    row: Row
    example: Example
    views: tuple[View | DataError, ...]
    """One for each rule. An error says why the row cannot be trained on there."""

    @property
    def left_out(self) -> bool:
        """Whether a rule does not train on it."""
        return any(isinstance(view, View) and bool(view.left_out) for view in self.views)

    @property
    def place(self) -> str:
        """`chat.jsonl:17`; in a Parquet file, which has no lines, `chat.parquet: row 17`."""
        where = f":{self.row.line}" if self.row.line else f": row {self.row.index + 1}"
        return f"{self.row.file.rpartition('/')[2]}{where}"


def look(
    sources: Sequence[Source],
    base: Path,
    tokens: Tokens,
    rules: Sequence[Rule],
    found: Findings,
    draw: Draw = AS_THEY_STAND,
) -> Iterator[Looked]:
    """All rows of a split, in order. A row that is nothing to anybody is noted in ``found``.

    ``sources`` name their formats. ``draw``: which of the rows, and in which order; where some are
    held out or all are mixed, they are held in memory. Texts are tokenised in batches on another thread,
    while this one reads and renders the next batch. What one of the rules leaves out is not among rows
    that are held out from the end.
    """
    refuse_hub(sources)
    rows: Iterable[Numbered] = _rows(sources, base, found, draw.seed)
    if draw.mixed:
        rows = _numbered(draw.mix(list(rows)))
    if (part := draw.part) is None:
        yield from _looked(rows, tokens, rules)
    elif part.last:
        every = list(_looked(part.drawn(list(rows)), tokens, rules))
        chosen = part.cut([one for one in every if not one.left_out])
        kept = {id(one) for one in chosen}
        shown = [one for one in every if id(one) in kept or (one.left_out and not part.held)]
        yield from (replace(one, number=number) for number, one in enumerate(shown))
    else:
        yield from _looked(_numbered(part.of(list(rows))), tokens, rules)


def _numbered(rows: Iterable[Numbered]) -> Iterator[Numbered]:
    """The rows, with numbers in the order that they have now."""
    for number, (_, row, kind, example) in enumerate(rows):
        yield number, row, kind, example


def _looked(rows: Iterable[Numbered], tokens: Tokens, rules: Sequence[Rule]) -> Iterator[Looked]:
    """Rows with what each rule makes of them. Texts are tokenised on another thread."""
    rows = iter(rows)
    waiting: list[tuple[list[tuple[int, Row, Example, Answers]], Future[Encodings]]] = []
    with ThreadPoolExecutor(1) as pool:
        while True:
            batch = [
                (number, row, example, [_asked(rule, format, row, example) for rule in rules])
                for number, row, format, example in islice(rows, BATCH)
            ]
            if batch:
                asked = [answers for *_, answers in batch]
                waiting.append((batch, pool.submit(_encoded, tokens, asked)))
            if waiting and (len(waiting) > 1 or not batch):
                done, encodings = waiting.pop(0)
                encoded = encodings.result()
                for number, row, example, answers in done:
                    views = tuple(_view(answer, row, encoded) for answer in answers)
                    yield Looked(number, row, example, views)
            if not batch and not waiting:
                return


def expected_rows(sources: Sequence[Source], base: Path) -> int | None:
    """About how many rows there are, for a progress bar: lines, or what a Parquet file says itself.

    None where lines say nothing, as in a JSON array.
    """
    total = 0
    for source in sources:
        path = base / str(source.path)
        try:
            if path.suffix.lower() == ".parquet":
                total += count_rows(source, base)
            elif path.suffix.lower() != ".csv" and opens_with(path, b"["):
                return None
            else:
                with path.open("rb") as file:
                    lines = sum(
                        block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")
                    )
                total += min(lines, source.limit or lines)
        except (OSError, DataError):
            return None  # reading the rows will say what is wrong
    return total


def refuse_hub(sources: Sequence[Source]) -> None:
    """Raise if rows are not on this machine."""
    for source in sources:
        if source.hub is not None:
            hint = (
                f"hf download --repo-type dataset {source.hub} --local-dir FOLDER, and give the path "
                "of its JSON, JSONL, Parquet or CSV file"
            )
            message = f"{source.hub} is a hub data set, whose rows ftspec does not read"
            raise DataError(Problem(message, path="data", hint=hint))


def _rows(sources: Sequence[Source], base: Path, found: Findings, seed: int) -> Iterator[Numbered]:
    """Rows with their number in the split and their format."""
    start = 0
    for source in sources:
        count = 0
        for at, (row, example) in enumerate(examples((source,), base, found, anything, seed)):
            index = row.index if source.share is None else at
            count = index + 1
            yield start + index, row, source.format, example
        start += count


def _asked(rule: Rule, format: str, row: Row, example: Example) -> Asked | DataError:
    try:
        rule.accept(format, example)
        return rule.ask(example)
    except DataError as error:
        return _placed(error, row)


def _encoded(tokens: Tokens, batch: Iterable[Answers]) -> Encodings:
    """The encodings of all texts that are asked for. Tokenising releases Python's lock."""
    found: dict[tuple[str, bool], Any] = {}
    asked = [each for answers in batch for each in answers if isinstance(each, Asked)]
    for special in (False, True):
        pairs = dict.fromkeys(pair for each in asked for pair in each.pairs())
        texts = [text for text, around in pairs if around == special]
        encodings = tokens.tokenizer.encode_batch(texts, add_special_tokens=special)
        found |= {(text, special): each for text, each in zip(texts, encodings, strict=True)}
    return found


def _view(asked: Asked | DataError, row: Row, encoded: Encodings) -> View | DataError:
    if isinstance(asked, DataError):
        return asked
    try:
        view = asked.view([encoded[pair] for pair in asked.pairs()])
    except DataError as error:
        return _placed(error, row)
    if not view.refused:
        return view
    return replace(view, refused=_placed(DataError(view.refused), row).problems)


def _placed(error: DataError, row: Row) -> DataError:
    return DataError(placed(error, row.file, row.line, row.index + 1))
