"""Local data files as rows: JSON, JSONL, Parquet, CSV. Streams where the file format allows it."""

from __future__ import annotations

import csv
import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ftspec.data.findings import Findings
from ftspec.data.json_rows import json_array, json_lines, not_utf8, opens_with
from ftspec.errors import Problem
from ftspec.spec.data import Source

LONGEST_CELL = 1 << 26
"""Characters in one CSV cell; Python's own limit of 131,072 is shorter than a long document."""
BATCH = 1000


@dataclass(frozen=True)
class Row:
    """One row of a source and where it stands."""

    index: int
    """0-based, within its source."""
    line: int
    """1-based line on which the row begins; 0 where a file has no lines (Parquet)."""
    values: Mapping[str, Any]
    file: str = ""


def rows(source: Source, base: Path, findings: Findings | None = None) -> Iterator[Row]:
    """The rows of a local source, in the file's order, up to its limit; nothing beyond is looked at.

    Good rows come out whatever the others are like. Problems go to ``findings``; without it they
    are raised, all at once, after the last good row.
    """
    found = Findings() if findings is None else findings
    before, index = found.count, -1
    path = base / source.path if source.path else None
    for index, (line, values) in enumerate(islice(_read(source, path, found), source.limit)):
        yield Row(index, line, values, str(path))
    if index < 0 and found.count == before:
        found.add(Problem("the file holds no rows", file=str(path), hint="add at least one row"))
    if findings is None:
        found.check()


def count_rows(source: Source, base: Path) -> int:
    """How many rows a local source has. Parquet says so in its footer; other files are read."""
    if source.path and source.path.lower().endswith(".parquet"):
        found = Findings()
        file = _open_parquet(base / source.path, found)
        found.check()
        if file is not None and file.metadata.num_rows:
            return min(int(file.metadata.num_rows), source.limit or sys.maxsize)
    return sum(1 for _ in rows(source, base))


def _read(
    source: Source, path: Path | None, found: Findings
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path is None:
        found.add(
            Problem(
                f"{source.hub} is a hub data set, which ftspec does not read itself",
                path="data",
                hint="give the path of a copy; or set its `format` and `data.prepare: framework`, with "
                "`data.turn_part: written`",
            )
        )
        return
    suffix = path.suffix.lower()
    try:
        if (gone := missing(path)) is not None:
            found.add(gone)
            return
        if suffix == ".parquet":
            yield from _parquet_rows(path, found)
        elif suffix == ".csv":
            yield from _csv_rows(path, found)
        elif opens_with(path, b"["):
            yield from json_array(path, found)
        else:
            yield from json_lines(path, found)
    except OSError as error:
        reason = error.strerror or str(error)
        found.add(Problem(f"the file cannot be read: {reason}", file=str(path)))


def missing(path: Path) -> Problem | None:
    """Why there is no such file, and what was perhaps meant. None: it is there.

    Raises:
        OSError: nobody can say, since a folder on the way may not be entered.
    """
    if path.is_file():
        return None
    if path.is_dir():
        return Problem(
            "this is a folder; a data file is expected",
            file=str(path),
            hint="name the files in it, one source each",
        )
    if not path.parent.is_dir():
        return Problem(
            "no such file: its folder does not exist",
            file=str(path),
            hint="a path in a spec starts at the spec's folder",
        )
    names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else "a path in a spec starts at the spec's folder"
    return Problem("no such file", file=str(path), hint=hint)


def _csv_rows(path: Path, found: Findings) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(LONGEST_CELL)
    with path.open("rb") as file:
        reader = csv.reader(_decoded(file, path, found), strict=True)
        header: list[str] | None = None
        line = 1
        try:
            for cells in reader:
                start, line = line, reader.line_num + 1
                if not cells:
                    continue  # an empty line
                if header is None:
                    header = cells
                    twice = sorted({name for name in header if header.count(name) > 1})
                    if twice:
                        message = f"the header names a column twice: {', '.join(twice)}"
                        found.add(Problem(message, file=str(path), line=start))
                        return
                elif len(cells) == len(header):
                    yield start, dict(zip(header, cells, strict=True))
                else:
                    message = f"the row has {len(cells)} cells, the header has {len(header)}"
                    hint = 'put text that holds a comma, a quote or a line break in "quotes"'
                    found.add(Problem(message, file=str(path), line=start, hint=hint))
        except csv.Error as error:
            found.add(Problem(f"invalid CSV: {error}", file=str(path), line=line))


def _decoded(lines: Iterable[bytes], path: Path, found: Findings) -> Iterator[str]:
    """Text line by line; ends at the first line that is not UTF-8."""
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            found.add(not_utf8(path, number, error))
            return


def _open_parquet(path: Path, found: Findings) -> Any:
    import pyarrow  # noqa: PLC0415 -- 0.1 s that most commands need not pay
    import pyarrow.parquet  # noqa: PLC0415

    if (gone := missing(path)) is not None:
        found.add(gone)
        return None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        hint = "write it again, or check that it was downloaded completely"
        found.add(Problem(f"not a readable Parquet file: {reason}", file=str(path), hint=hint))
        return None


def _parquet_rows(path: Path, found: Findings) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow  # noqa: PLC0415

    file = _open_parquet(path, found)
    if file is None:
        return
    try:
        for batch in file.iter_batches(batch_size=BATCH):
            for values in batch.to_pylist():
                yield 0, values
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        found.add(Problem(f"the Parquet file breaks off: {reason}", file=str(path)))
