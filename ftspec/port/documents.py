"""Files as settings: each leaf of a config, with its place. Nothing is executed, nothing is expanded."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ftspec.errors import Problem, SpecError
from ftspec.port.fates import Setting
from ftspec.read import json, yaml
from ftspec.read.placed import Place, Placed, Trail
from ftspec.read.text import SIZE
from ftspec.spec.present import unread

Scalar = Callable[[str], Any]
INSIDE = "read as the engine's own settings"
"""What an engine's settings are called that stand inside of another file."""
HJSON = (
    "comments, or commas before a bracket, stand in it: DeepSpeed itself reads them, transformers and "
    "accelerate stop at them"
)
"""A note on an engine's JSON that is Hjson."""
ENCODED = "name a config: YAML, JSON, a script, a notebook; of other encodings save it as UTF-8"
SAVED = "standard input is not read: save it as a file, and name that"
ARGUMENTS = "training_args.bin"
BESIDE = "ftspec explain and ftspec diff read its folder: adapter_config.json, trainer_state.json, README.md"
WIDE = (b"\xff\xfe", b"\xfe\xff")
"""The first bytes of UTF-16, in which each second byte of plain English is 0."""
T = TypeVar("T")


@dataclass(frozen=True)
class Document:
    """One file of a source."""

    path: Path
    placed: Placed
    foreign: tuple[tuple[int, str], ...] = ()
    """What in it was not understood as a setting: line and source."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """The file of a key, or of a section with all that is in it, where it is another one."""
    named: frozenset[str] = frozenset()
    """Keys that other values of it refer to."""
    whose: str = ""
    """What it is, where it is no file that was found but one that comes with a tool."""
    notes: tuple[str, ...] = ()
    """What was taken for granted in reading it."""
    words: frozenset[str] = frozenset()
    """Arguments of its command line that it reads."""
    cells: tuple[tuple[int, int], ...] = ()
    """Of a notebook: the line of all its code at which each cell of code begins, and the number of that."""
    release: str = ""
    """The release of its tool that it names, where it does."""
    nested: bool = False
    """Whether sections hold sections in it, so that a dot in a key of its own is none between two."""

    @property
    def data(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return self.placed.data

    def settings(self) -> tuple[Setting, ...]:
        """Its leaves, in the order in which they are written."""
        return tuple(
            Setting(
                self._key(trail),
                value,
                self.owners.get(dotted(trail))
                or self.owners.get(str(trail[0]) if trail else "", str(self.path)),
                *self._where(self.placed.places.get(trail)),
            )
            for trail, value in _leaves(self.data, ())
        )

    def _where(self, place: Place | None) -> tuple[int, str, int]:
        """The line, the comment behind it, and the cell."""
        line, cell = self._in_cell(place.line) if place else (0, 0)
        return line, place.comment if place else "", cell

    def _in_cell(self, line: int) -> tuple[int, int]:
        """A line within its cell, and the number of that; as it is, and 0, where there are none."""
        first, number = max((one for one in self.cells if one[0] <= line), default=(1, 0))
        return (line - first + 1, number) if line else (0, 0)

    def at(self, line: int) -> str:
        """`line 5`, with the cell of a notebook before it."""
        within, cell = self._in_cell(line)
        return f"cell {cell}, line {within}" if cell else f"line {within}"

    def _key(self, trail: Trail) -> str:
        """Its name; a first part that holds a dot or a bracket stands in quotes."""
        first = str(trail[0]) if trail else ""
        if self.nested and ("." in first or "[" in first) and dotted(trail) not in self.owners:
            return f"'{first}'{dotted(('', *trail[1:]))}"
        return dotted(trail)

    def overwritten(self) -> tuple[tuple[Setting, int], ...]:
        """Settings that stand there twice, and the line of the one that holds."""
        return tuple(
            (
                Setting(dotted(one.trail), one.value, str(self.path), one.place.line),
                self.placed.places[one.trail].line,
            )
            for one in self.placed.earlier
        )


def dotted(trail: Trail) -> str:
    """`datasets[0].path`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in trail)
    return text.removeprefix(".")


def _leaves(node: Any, trail: Trail) -> Iterator[tuple[Trail, Any]]:
    """Sections and lists of sections are gone into; an empty one is a value."""
    if isinstance(node, dict) and (node or not trail):
        for key, value in node.items():
            yield from _leaves(value, (*trail, key))
    elif isinstance(node, list) and node and all(isinstance(item, dict) for item in node):
        for number, item in enumerate(node):
            yield from _leaves(item, (*trail, number))
    else:
        yield trail, node


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        SpecError: it cannot be read, is not UTF-8, or is longer than any config.
    """
    try:
        if stat.S_ISFIFO(
            path.stat().st_mode
        ):  # the format is found in a first look, settings in a second
            message = "this is a pipe, which can be read once only"
            raise SpecError(Problem(message, file=str(path), hint=SAVED))
        with path.open("rb") as file:
            content = file.read(4 * SIZE + 1)
    except (OSError, ValueError) as error:
        raise SpecError(_unread(path, error)) from error
    if path.name == ARGUMENTS:
        message = "a pickle is a program, and nothing is executed to read a config"
        raise SpecError(Problem(message, file=str(path), hint=BESIDE))
    if b"\0" in content and not content.startswith(WIDE):
        message = "the file is not text: bytes of value 0 stand in it"
        raise SpecError(Problem(message, file=str(path), hint=ENCODED))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = Problem("the file is not UTF-8 text", file=str(path), line=line, hint=ENCODED)
        raise SpecError(problem) from error


def _unread(path: Path, error: Exception) -> Problem:
    if isinstance(error, IsADirectoryError):
        message = "this is a folder, and not one that ftspec compiled for a backend"
        return Problem(message, file=str(path), hint="name the config in it")
    message, hint = unread(path, error)
    if path == Path("-"):
        hint = SAVED
    elif isinstance(error, FileNotFoundError):
        hint = "name a config, a folder that ftspec compiled, or a command line in quotes"
    return Problem(message, file=str(path), hint=hint)


def in_file(path: Path, read: Callable[..., T], *given: object) -> T:
    """What a reader makes of a file's text; the file is named in its problems."""
    try:
        return read(*given)
    except SpecError as error:
        placed_at = [
            Problem(p.message, p.path, str(path), p.line, p.column, p.hint) for p in error.problems
        ]
        raise SpecError(placed_at) from error


def told_together(read: Callable[[Path], T], paths: Iterable[Path]) -> list[T]:
    """What a reader makes of each path; the problems of all of them are told at once."""
    found, problems = [], list[Problem]()
    for path in paths:
        try:
            found.append(read(path))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    return found


def parse(path: Path, text: str, scalar: Scalar, last_wins: bool) -> Document:
    """The document in a text: JSON where the file is called so, else YAML in a format's dialect.

    Raises:
        SpecError: it is not JSON or YAML, or no mapping; with its line.
    """
    if path.suffix == ".json":
        placed = in_file(path, json.read_placed, text)
    else:
        placed = in_file(path, yaml.read_placed, text, scalar, last_wins)
    return Document(path, placed, nested=True)
