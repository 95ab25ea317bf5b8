"""YAML 1.2 (core schema) as plain data, with the line and column of every key and value.

Editors read YAML 1.2; PyYAML reads 1.1, in which ``1e-4`` is text and ``no`` is false. A spec is
read as the editor shows it. What could surprise is refused with its place: duplicate keys, tags,
anchors, aliases, merge keys, infinities, invisible characters. Limits are checked on the stream of
events, so a bomb costs no more than its first kilobytes. JSON is YAML 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from ftspec.errors import Problem, SpecError
from ftspec.spec.scalars import INVISIBLE, Unreadable, quoted, resolve
from ftspec.spec.syntax import plain_words

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 100_000

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """A place in a file, both numbers 1-based."""

    line: int
    column: int


@dataclass(frozen=True)
class Text:
    """What a file says. The root has the path ``()``."""

    data: Any
    values: dict[Path, Place]
    keys: dict[Path, Place]
    """Where the key of each value of a mapping stands."""

    def place(self, path: Path) -> Place:
        """Where a reader looks for it: the key of a block, else the value; else its parent."""
        for length in range(len(path), -1, -1):
            here = path[:length]
            key, value = self.keys.get(here), self.values.get(here)
            if key and value:
                return value if value.line == key.line else key
            if key or value:
                return key or value or Place(1, 1)
        return Place(1, 1)


def parse(content: bytes | str, name: str = "") -> Text:
    """Reads one document; an empty one says None.

    Raises:
        SpecError: with every problem that can be found; a syntax error hides what comes after it.
    """
    text = _decode(content, name)
    reader = _Reader(name)
    try:
        for event in _events(text):
            reader.take(event)
    except YAMLError as error:
        reader.problem(*_syntax(error))
    if reader.problems:
        raise SpecError(reader.problems)
    return Text(reader.root, reader.values, reader.keys)


def _events(text: str) -> Iterator[Event]:
    yield from YAML(typ="safe", pure=True).parse(text)


def _decode(content: bytes | str, name: str) -> str:
    size = len(content)
    if size > MAX_BYTES:
        message = f"the file has {size:,} bytes; a spec has at most {MAX_BYTES:,}"
        raise SpecError(Problem(message, file=name, hint="data belongs in files of its own"))
    if isinstance(content, bytes):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = content[: error.start]
            line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
            message = f"byte 0x{content[error.start]:02x} is not UTF-8"
            hint = "save the file as UTF-8"
            raise SpecError(
                Problem(message, file=name, line=line, column=column, hint=hint)
            ) from None
    else:
        text = content
    problems = [
        Problem(
            f"the file holds the invisible character U+{ord(found[0]):04X}",
            file=name,
            line=text.count("\n", 0, found.start()) + 1,
            column=found.start() - text.rfind("\n", 0, found.start()),
            hint="remove it",
        )
        for found in INVISIBLE.finditer(text)
    ]
    if problems:
        raise SpecError(problems[:20])
    if text.lstrip().startswith("{"):
        # JSON may be indented with tabs, YAML's scanner accepts them only after the first token.
        text = re.sub(r"(?m)^[ \t]+", lambda blank: " " * len(blank[0]), text)
    return text


def _syntax(error: YAMLError) -> tuple[Place, str, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if isinstance(error, MarkedYAMLError) and error.context_mark and "stream" in str(error.problem):
        mark = error.context_mark  # what is never closed is mended where it opens
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(0, 0)
    if isinstance(error, MarkedYAMLError):
        message, hint = plain_words(error.problem or "", error.context or "")
    else:
        message, hint = plain_words(str(error).splitlines()[0], "")
    return place, message, hint


@dataclass
class _Open:
    """A mapping or list that has not ended yet."""

    path: Path
    items: dict[str, Any] | list[Any]
    key: str | None = None
    """The key whose value comes next; of a mapping."""
    seen: dict[str, Place] = field(default_factory=dict)


@dataclass
class _Reader:
    """Builds data from events without recursion, so depth is a number and not a stack overflow."""

    name: str
    root: Any = None
    documents: int = 0
    nodes: int = 0
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    skipped: int = 0
    """How many collections are open inside something that was refused as a whole."""

    def problem(self, place: Place, message: str, hint: str = "") -> None:
        self.problems.append(
            Problem(message, file=self.name, line=place.line, column=place.column, hint=hint)
        )

    def stop(self, place: Place, message: str, hint: str = "") -> None:
        self.problem(place, message, hint)
        raise SpecError(self.problems)

    def take(self, event: Event) -> None:
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, DocumentStartEvent):
            self._document(event, place)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            if self.skipped:
                self.skipped -= 1
            else:
                self.stack.pop()
        elif isinstance(event, AliasEvent | ScalarEvent | MappingStartEvent | SequenceStartEvent):
            self._node(event, place)

    def _document(self, event: DocumentStartEvent, place: Place) -> None:
        self.documents += 1
        if self.documents > 1:
            self.stop(place, "the file holds more than one document", "keep one spec per file")
        if event.version and tuple(event.version) != (1, 2):
            self.problem(place, "a spec is YAML 1.2", "remove the %YAML line")

    def _node(self, event: Event, place: Place) -> None:
        self.nodes += 1
        opens = isinstance(event, MappingStartEvent | SequenceStartEvent)
        if self.nodes > MAX_NODES:
            self.stop(
                place,
                f"the file holds more than {MAX_NODES:,} values",
                "data belongs in files of its own",
            )
        if opens and len(self.stack) + self.skipped >= MAX_DEPTH:
            self.stop(place, f"values are nested more than {MAX_DEPTH} levels deep")
        if self.skipped:
            self.skipped += opens
            return
        self._refuse_references(event, place)
        parent = self.stack[-1] if self.stack else None
        if parent and isinstance(parent.items, dict) and parent.key is None:
            self._key(parent, event, place)
        else:
            self._value(parent, event, place)

    def _refuse_references(self, event: Event, place: Place) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, AliasEvent):
            self.problem(place, f"`*{anchor}`: aliases are off in specs", "write the value out")
        elif anchor:
            self.problem(place, f"`&{anchor}`: anchors are off in specs", "remove it")
        if tag:
            name = str(tag).replace("tag:yaml.org,2002:", "!!")
            self.problem(place, f"the tag `{name}`: tags are off in specs", "remove it")

    def _key(self, parent: _Open, event: Event, place: Place) -> None:
        if not isinstance(event, ScalarEvent):
            if not isinstance(event, AliasEvent):
                self.problem(
                    place, "a key must be text, here it is a list or a section", "name the field"
                )
            # A name no file can hold: reading goes on, and nothing clashes with it.
            parent.key = f"\0{len(parent.items)}"
            self.skipped += isinstance(event, MappingStartEvent | SequenceStartEvent)
            return
        key = self._scalar(event, place)
        if event.value == "<<" and event.implicit[0]:
            self.problem(place, "`<<`: merge keys are off in specs", "write the fields out")
        elif not isinstance(key, str):
            self.problem(
                place, f"a key must be text, `{event.value}` is not", f'quote it: "{event.value}"'
            )
        elif key in parent.seen:
            first = parent.seen[key].line
            self.problem(
                place, f"`{key}` is there twice; it is first on line {first}", "keep one of them"
            )
        parent.key = key if isinstance(key, str) else event.value
        parent.seen.setdefault(parent.key, place)
        self.keys[(*parent.path, parent.key)] = place

    def _value(self, parent: _Open | None, event: Event, place: Place) -> None:
        value: Any = None
        if isinstance(event, MappingStartEvent):
            value = {}
        elif isinstance(event, SequenceStartEvent):
            value = []
        elif isinstance(event, ScalarEvent):
            value = self._scalar(event, place)
        path: Path = ()
        if parent is None:
            self.root = value
        elif isinstance(parent.items, list):
            path = (*parent.path, len(parent.items))
            parent.items.append(value)
        else:
            key = parent.key or ""
            path = (*parent.path, key)
            parent.items[key] = value
            parent.key = None
            if isinstance(event, ScalarEvent) and event.start_mark.index == event.end_mark.index:
                # Nothing is written there: the key is all there is.
                place = self.keys.get(path, place)
        self.values[path] = place
        if isinstance(value, dict | list):
            self.stack.append(_Open(path, value))

    def _scalar(self, event: ScalarEvent, place: Place) -> Any:
        try:
            return resolve(event.value) if event.implicit[0] else quoted(event.value)
        except Unreadable as unreadable:
            self.problem(place, str(unreadable), unreadable.hint)
            return ""
