"""Training scripts and notebooks as settings, from the syntax tree. Nothing is executed.

The calls of a script become the keys that trl's command line has for the same; what has none keeps the
name of its call (`LoraConfig.r`). What is not a literal, a constant or a name becomes a question.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftspec.data.images import COLUMN as IMAGES
from ftspec.port.documents import Document
from ftspec.port.scripts.beside import beside
from ftspec.port.scripts.classes import MAKES, classes
from ftspec.port.scripts.collating import Collated, collated
from ftspec.port.scripts.formatting import SPOKEN, Formatting, rows_of
from ftspec.port.scripts.loaded import files_beside, modules_beside
from ftspec.port.scripts.names import (
    ALIKE,
    ATTRIBUTES,
    COLLATED,
    COLLATES,
    CUTS,
    DIVIDES,
    DRAWN,
    HARMLESS,
    IDLE,
    KNOWN,
    LEARNED,
    MODULES,
    OBJECTS,
    OF_ROWS,
    OF_UNSLOTH,
    PADS,
    PARTED,
    READ,
    REWARD_SOURCE,
    THROUGH,
    VALUED,
    WRITTEN,
)
from ftspec.port.scripts.pairs import FORMATS, TAKES
from ftspec.port.scripts.ran import ran
from ftspec.port.scripts.refused import refuse
from ftspec.port.scripts.rewards import lent, rewards_of
from ftspec.port.scripts.settings import again, chosen, settings
from ftspec.port.scripts.tokenizer import tokenizer
from ftspec.read import json
from ftspec.read.placed import Place, Placed, Trail
from ftspec.read.python import Calls
from ftspec.read.scripts.read import read_script
from ftspec.read.scripts.wanted import Wanted
from ftspec.read.text import wrong

_WRITTEN = re.compile(r"\s*%%(?:writefile|file)[ \t]+(-a[ \t]+)?(\S+)")
_END = "END_OF_CELL"


LONGEST = 150
"""Of what is asked about, so many characters are shown."""


def is_script(path: Path) -> bool:
    """Whether a file is read as Python."""
    return path.suffix in (".py", ".ipynb")


def read(
    path: Path,
    text: str,
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str | None] | None = None,
    words: Sequence[str | None] | None = None,
) -> Document:
    """The settings of a script or a notebook, run with these arguments of a command line.

    ``environ``: variables that are set then, and ``words``: those of the command line, as they stand
    there; None where a value is not known.

    Raises:
        SpecError: it is not Python, or no notebook.
    """
    whole = code(path, text)
    source = ran(whole)
    refuse(source)
    beside_it: list[Path] = []
    wanted = Wanted(
        (*READ, *IDLE), READ, KNOWN, arguments or {},
        THROUGH, PARTED, DIVIDES, VALUED, OBJECTS, MODULES, ALIKE, environ or {},
        ATTRIBUTES, classes(), MAKES, files_beside(path, beside_it),
        modules_beside(path, beside_it), words,
    )  # fmt: skip
    made = read_script(source, wanted)
    calls, models = chosen(made), beside(made)
    before = calls.starts[0][1] if calls.starts else len(calls.foreign)
    data, places, earlier = settings(calls)
    data |= models.data
    places |= models.places
    loaded = tokenizer(made, data, places)
    shown = collated(ast.parse(source))
    if shown is not None:
        said = shown._asdict()
        line = said.pop("line")
        data[COLLATED] = said
        places |= {(COLLATED, name): Place(line, 1) for name in said}
    understood = _rows(source, data, places, shown)
    copied: frozenset[int] = frozenset()
    if rewards := rewards_of(source):
        copied = rewards.lines
        data |= {"reward_funcs": list(rewards.names), REWARD_SOURCE: rewards.text}
        places |= {(key,): Place(rewards.line, 1) for key in ("reward_funcs", REWARD_SOURCE)}
    theirs, told_at = lent(source)
    if theirs:
        data["reward_funcs"] = list(theirs)
        places[("reward_funcs",)] = Place(told_at, 1)
    asked = tuple(
        (line, _short(told, line in calls.parts))
        for line, told in sorted(calls.foreign[:before])
        if not (
            _is_harmless(line, told, calls) and not ("plain_trainer" in data and CUTS.match(told))
        )
        and not (line in understood and OF_ROWS.search(told))
        and not ("train_on_responses_only" in data and PADS.search(told))
        and not ("plain_trainer" in data and LEARNED.search(told))
        and not (shown is not None and line == shown.line and COLLATES.search(told))
        and line not in copied
        and not ((copied or theirs) and ".reward_funcs = " in told)
    )
    starts = read_script(whole, wanted).starts
    more = [(line, "another training: it wants a spec of its own") for line, _ in starts[1:]]
    foreign = (*asked, *again(calls), *models.foreign, *loaded, *more)
    found = Document(
        path, Placed(data, places, earlier), foreign, words=calls.words, cells=cells(path, text)
    )
    return replace(found, notes=_notes(found, calls, beside_it))


def _notes(found: Document, calls: Calls, files: Sequence[Path]) -> tuple[str, ...]:
    read = (f"{path} is loaded by it, and was read as well" for path in files)
    return (*read, *(f"{found.at(line)}: {text}" for line, text in calls.taken))


def code(path: Path, text: str) -> str:
    """The Python of a script, or of a notebook's cells.

    Raises:
        SpecError: it is called a notebook, and is none.
    """
    return _cells(text) if path.suffix == ".ipynb" else text


def cells(path: Path, text: str) -> tuple[tuple[int, int], ...]:
    """Where each cell of a notebook begins in its code, and which one it is; of a script nothing.

    Raises:
        SpecError: it is called a notebook, and is none.
    """
    if path.suffix != ".ipynb":
        return ()
    line, found = 1, []
    for number, cell in _code(text):
        found.append((line, number))
        line += len(cell.splitlines())
    return tuple(found)


def _rows(
    source: str, data: dict[str, Any], places: dict[Trail, Place], shown: Collated | None
) -> set[int]:
    """The lines about rows that were understood, whose settings are told; none where they do not agree."""
    rows = rows_of(source)
    field = data.get("dataset_text_field", "text")
    last = rows.written[max(rows.written)] if rows.written else None
    for one in rows.written.values():
        column = field if one.rendered or one.kind == "text" else SPOKEN
        if one.tokens and not data.get("plain_trainer"):
            return set()
        read = one.into == column or _is_read(one, data.get("trainer"))
        if one != last or not (_is_shown(one, data, shown) if one.images else read):
            return set()
    if last is not None:
        said: dict[str, Any] = dict(last.said)
        said |= {name: True for name in ("ended", "rendered") if getattr(last, name)}
        said |= {"tools": last.tools} if last.tools else {}
        said |= {"images": last.images} if last.images else {}
        said |= {"options": dict(last.options)} if last.options else {}
        data[WRITTEN] = said
        places |= {(WRITTEN, name): Place(max(rows.written), 1) for name in said}
    drawn = {**rows.drawn} | ({"joined": rows.joined} if rows.joined else {})
    if drawn:
        data[DRAWN] = {name: value for name, (value, _) in drawn.items()}
        places |= {(DRAWN, name): Place(line, 1) for name, (_, line) in drawn.items()}
    return rows.lines


def _is_shown(one: Formatting, data: Mapping[str, Any], shown: Collated | None) -> bool:
    """Whether a collator reads such turns with their images."""
    if shown is not None:
        beside = one.embedded or shown.images == IMAGES
        return one.into == shown.column and one.embedded == (not shown.images) and beside
    if data.get(OF_UNSLOTH, {}).get("given"):
        return one.into in (SPOKEN, "conversations", "")
    return one.into == SPOKEN and not one.embedded


def _is_read(one: Formatting, trainer: Any) -> bool:
    """Whether a trainer reads such columns beside each other."""
    form = one.said.get("format") or FORMATS.get(frozenset(one.said), "")
    return one.kind == "pair" and form in TAKES.get(trainer, ())


def _short(told: str, compound: bool) -> str:
    """A statement on one line; of one that holds others its head."""
    text = told.splitlines()[0] if compound else " ".join(told.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _is_harmless(line: int, told: str, calls: Calls) -> bool:
    """Whether a statement changes nothing of what is trained, or all that stand in it."""
    texts = calls.parts.get(line, (told,))
    return all(HARMLESS.match(text) for text in texts)


def _cells(text: str) -> str:
    """The code of a notebook, its magics and shell lines as comments."""
    lines: list[str] = []
    for _, cell in _code(text):
        whole = cell.lstrip().startswith("%%") and not cell.lstrip().startswith(
            ("%%time", "%%capture")
        )
        for line in cell.splitlines():
            skipped = (
                whole or line.lstrip().startswith(("!", "%", "?")) or line.rstrip().endswith("?")
            )
            lines.append(f"# {line}" if skipped else line)
    return _passed("\n".join(lines))


def shell_lines(text: str) -> str:
    """The shell lines of a notebook: `!command`, and cells that begin with `%%bash` or `%%sh`.

    Raises:
        SpecError: it is no notebook.
    """
    lines: list[str] = []
    for _, cell in _code(text):
        if cell.lstrip().startswith(("%%bash", "%%sh")):
            lines += cell.lstrip().splitlines()[1:]
            continue
        if (file := _WRITTEN.match(cell)) is not None:  # as `cat` of the shell writes one
            lines += [f"cat >{'>' if file[1] else ''} {file[2]} <<'{_END}'"]
            lines += [*cell[file.end() :].splitlines()[1:], _END]
            continue
        joined = False
        for line in cell.splitlines():
            if joined or line.lstrip().startswith("!"):
                lines.append(line.lstrip().removeprefix("!"))
                joined = line.rstrip().endswith("\\")
    return "\n".join(lines)


def _code(text: str) -> Iterator[tuple[int, str]]:
    """The cells of code, with their numbers among all cells."""
    notebook = json.read(text)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise wrong("a notebook has a list of cells", hint="save it anew as .ipynb, or as a script")
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            code = cell.get("source") or ""
            yield number, "".join(map(str, code)) if isinstance(code, list) else str(code)


def _passed(code: str) -> str:
    """With `pass` where a block holds a shell line alone, so that it stays Python."""
    return re.sub(r"(?m)^# ([ \t]+)([!%].*)$", r"\1pass  # \2", code)
