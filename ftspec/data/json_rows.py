"""Rows of JSON files: one array of objects, or an object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftspec.data.findings import Findings
from ftspec.errors import Problem

Placed = tuple[int, Mapping[str, Any]]
"""A line number and the row that begins there."""
BOM = b"\xef\xbb\xbf"
SPACE = " \t\r\n"
KINDS = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


def opens_with(path: Path, mark: bytes) -> bool:
    """Whether the file's first byte that is not white space is ``mark``."""
    with path.open("rb") as file:
        for line in file:
            text = line.removeprefix(BOM).lstrip()
            if text:
                return text.startswith(mark)
    return False


def not_utf8(path: Path, line: int, error: UnicodeDecodeError) -> Problem:
    """A byte that is not UTF-8, with its line and its place there."""
    return Problem(
        f"not UTF-8: byte 0x{error.object[error.start]:02x} cannot be read",
        file=str(path),
        line=line,
        column=error.start + 1,
        hint="save the file as UTF-8",
    )


def json_lines(path: Path, found: Findings) -> Iterator[Placed]:
    """An object per line; empty lines are skipped."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                value = json.loads(line) if line.strip() else None
            except UnicodeDecodeError as error:
                found.add(not_utf8(path, number, error))
            except json.JSONDecodeError as error:
                hint = "each line holds one complete JSON object"
                if number == 1 and error.pos >= len(line.rstrip()):
                    # an object over several lines: its other lines would only repeat this
                    hint = (
                        "write each object on one line, or all of them in one array: [{...}, {...}]"
                    )
                    found.add(_invalid(path, error.msg, number, error.colno, hint))
                    return
                found.add(_invalid(path, error.msg, number, error.colno, hint))
            except (ValueError, RecursionError) as error:
                found.add(_invalid(path, _reason(error), number, 0))
            else:
                if isinstance(value, dict):
                    yield number, value
                elif line.strip():
                    found.add(_not_object(path, value, number))


def json_array(path: Path, found: Findings) -> Iterator[Placed]:
    """One array of objects. The text is held whole, the rows are decoded one by one."""
    data = path.read_bytes().removeprefix(BOM)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        error.start, error.object = error.start - line_start, data[line_start:]
        found.add(not_utf8(path, data.count(b"\n", 0, line_start) + 1, error))
        return
    try:
        for line, value in _elements(text):
            if isinstance(value, dict):
                yield line, value
            else:
                found.add(_not_object(path, value, line))
    except json.JSONDecodeError as error:
        found.add(_invalid(path, error.msg, error.lineno, error.colno))
    except (ValueError, RecursionError) as error:
        found.add(_invalid(path, _reason(error), 0, 0))


def _elements(text: str) -> Iterator[tuple[int, Any]]:
    """The elements of the array that the text is, each with its line."""
    decoder = json.JSONDecoder()
    at = _past_space(text, text.index("[") + 1)
    line, counted = 1, 0
    end = text.startswith("]", at)
    while not end:
        line, counted = line + text.count("\n", counted, at), at
        value, at = decoder.raw_decode(text, at)
        yield line, value
        at = _past_space(text, at)
        end = text.startswith("]", at)
        if not end and not text.startswith(",", at):
            raise json.JSONDecodeError("Expecting ',' or ']' after a row", text, at)
        if not end:
            at = _past_space(text, at + 1)
    rest = _past_space(text, at + 1)
    if rest < len(text):
        raise json.JSONDecodeError("Text after the end of the array", text, rest)


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _invalid(path: Path, message: str, line: int, column: int, hint: str = "") -> Problem:
    return Problem(f"invalid JSON: {message}", file=str(path), line=line, column=column, hint=hint)


def _not_object(path: Path, value: Any, line: int) -> Problem:
    kind = KINDS.get(type(value), "null")
    hint = "a row is an object: {column: value}"
    return Problem(f"the row is {kind}, not an object", file=str(path), line=line, hint=hint)
