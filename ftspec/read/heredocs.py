"""Files that a shell script writes itself: `cat > train.yaml <<EOF`. Nothing is executed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from typing import NamedTuple

_BEGINS = re.compile(
    r"(?<!<)<<(?P<tabs>-?)[ \t]*(?P<quote>[\\'\"]?)(?P<end>[A-Za-z_]\w*)['\"]?", re.ASCII
)
_WORD = r"[ \t]*(\"[^\"]+\"|'[^']+'|[^\s|;&<>\"']+)"
_INTO = re.compile(rf"(?:>>?\|?|\btee\b(?:[ \t]+-a|[ \t]+--append)?[ \t]){_WORD}")
_APPENDS = re.compile(r">>|\btee[ \t]+(?:-a|--append)\b")
_EDITS = re.compile(r"\b(?:sed|yq|perl)\b.*\s-\w*i")
_ESCAPED = re.compile(r"\\([$`\\])")
_BRACED = re.compile(r"\$\{(\w+)\}", re.ASCII)
_SHELLS = re.compile(r"\b(?:ba|z|da)?sh\b|\bs(?:batch|run|sh)\b")
_SCRIPTS = (".sh", ".bash", ".slurm", ".sbatch")

Expand = Callable[[str], tuple[str, bool]]
"""A text with the shell's variables put in, and whether all of them were known."""


class Heredoc(NamedTuple):
    """The lines between `<<EOF` and `EOF`."""

    line: int
    """Of the first of them."""
    into: str
    """The file they go to, as it is named there; empty where they go elsewhere."""
    appends: bool
    plain: bool
    """Whether they are taken as they stand: the word behind `<<` is in quotes."""
    lines: tuple[str, ...]


class Made(NamedTuple):
    """A file as a script writes it."""

    text: str
    """With a blank line in the place of each one that holds what only the shell knows."""
    numbers: tuple[int, ...]
    """The line of the script for each of its lines."""
    open: tuple[tuple[int, str], ...] = ()
    """What is not known of it: lines of the script, and what stands there."""


class Filled(NamedTuple):
    """A heredoc with the variables put in that hold where it stands."""

    heredoc: Heredoc
    name: str
    """Of its file, as `named` has it."""
    lines: tuple[tuple[str, bool], ...]
    """And whether all that is in each is known."""


class _Making(NamedTuple):
    """A file while it is put together."""

    lines: list[str]
    numbers: list[int]
    open: list[tuple[int, str]]


def taken_out(script: str) -> tuple[str, list[Heredoc]]:
    """A script with blank lines in the place of its heredocs, and these."""
    lines = script.split("\n")
    found: list[Heredoc] = []
    ends: dict[tuple[str, str], deque[int]] = {}
    used: set[int] = set()
    for number, line in enumerate(lines):
        ends.setdefault(("", line.rstrip("\r")), deque()).append(number)
        ends.setdefault(("-", line.strip("\t\r")), deque()).append(number)
        ends.setdefault(("like", line.strip()), deque()).append(number)
    at = 0
    while at < len(lines):
        head = lines[at]
        begun = None if head.lstrip().startswith("#") else _BEGINS.search(head)
        at += 1
        if begun is None:
            continue
        end = _next(ends.get((begun["tabs"], begun["end"])), at, used)
        if end is None and _next(ends.get(("like", begun["end"])), at, used) is not None:
            end = len(lines) - 1  # what is indented ends none: all that follows is in it
        if end is None:  # a shift of bits, or a word of a text
            continue
        rest = head[: begun.start()] + head[begun.end() :]
        into = _INTO.search(rest)
        body = [line.lstrip("\t") if begun["tabs"] else line for line in lines[at:end]]
        if _is_script(into[1].strip("\"'") if into else "", rest, body):
            lines[at - 1], lines[end] = rest, ""
            used.add(end)
            continue
        found.append(
            Heredoc(
                at + 1,
                into[1].strip("\"'") if into else "",
                _APPENDS.search(rest) is not None,
                begun["quote"] != "",
                tuple(body),
            )
        )
        lines[at - 1] = rest[: into.start()] + rest[into.end() :] if into else rest
        lines[at : end + 1] = [""] * (end + 1 - at)
        at = end + 1
    return "\n".join(lines), found


def _next(places: deque[int] | None, start: int, used: Set[int]) -> int | None:
    """The first of these places from there on; those before it are done with."""
    while places and (places[0] < start or places[0] in used):
        places.popleft()
    return places[0] if places else None


def _is_script(into: str, head: str, body: Sequence[str]) -> bool:
    """Whether the lines are commands, of a shell that gets them or of a script that they become."""
    if into:
        return into.endswith(_SCRIPTS) or any(re.match(r"#!.*sh\b", line) for line in body[:1])
    return _SHELLS.search(head) is not None


def filled(heredoc: Heredoc, expand: Expand) -> Filled:
    """A heredoc as it is written where ``expand`` knows the variables."""
    lines = [(line, True) if heredoc.plain else expand(line) for line in heredoc.lines]
    return Filled(heredoc, named(expand(heredoc.into)[0]), tuple(lines))


def written(
    found: Sequence[Filled], changes: Iterable[tuple[int, str, Set[str]]]
) -> dict[str, Made]:
    """The files that these write, by `named`; ``changes``: lines that change them, and which."""
    files: dict[str, _Making] = {}
    for heredoc, name, lines in found:
        before = files.get(name)
        now = before if before is not None and heredoc.appends else _Making([], [], [])
        for number, (text, known) in enumerate(lines, heredoc.line):
            now.lines.append(text if known else "")
            now.numbers.append(number)
            said = heredoc.lines[number - heredoc.line].strip()
            now.open.extend([] if known else [(number, said)])
        if before is not None and now is not before:
            said = f"{heredoc.into} is written anew here: which of them is meant?"
            now.open.append((heredoc.line - 1, said))
        files[name] = now
    for number, line, names in changes:
        for name in names & files.keys():
            files[name].open.append((number, line.strip()))
    files.pop("", None)
    return {
        name: Made("\n".join(one.lines), tuple(one.numbers), tuple(one.open))
        for name, one in files.items()
    }


def named(text: str) -> str:
    """The name of a file, with one way to write a variable that is not known."""
    return _BRACED.sub(r"$\1", text.removeprefix("./"))


def changed(line: str, expand: Expand) -> set[str]:
    """The files that a command writes to, or edits in place."""
    if line.lstrip().startswith("#"):
        return set()
    words = [found[1] for found in _INTO.finditer(line)]
    words += line.split() if _EDITS.search(line) else []
    return {named(expand(word.strip("\"'"))[0]) for word in words}


def expanded(text: str, one: Callable[[str, int], tuple[str, int, bool]]) -> tuple[str, bool]:
    """A text with what ``one`` makes of each `$` and backtick in it."""
    done, known, position = "", True, 0
    while position < len(text):
        if escaped := _ESCAPED.match(text, position):
            done, position = done + escaped[1], escaped.end()
        elif text[position] in "$`":
            value, position, sure = one(text, position)
            done, known = done + value, known and sure
        else:
            done, position = done + text[position], position + 1
    return done, known
