"""The commands of a shell script, as words. Nothing is executed.

Unlike `shell`, which reads what ftspec writes, this reads what people write: variables that are set once
and plainly are put in; a word that the shell would make in another way is marked as not known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from ftspec.read.shell import joined_lines
from ftspec.read.text import refuse_huge

_SET = re.compile(
    r"(?:^|[\s;])(?:export\s+|local\s+|readonly\s+)?([A-Za-z_]\w*)=", re.ASCII | re.MULTILINE
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_BRACED = re.compile(r"\{([A-Za-z_]\w*)(?::?-([^}$`]*))?\}", re.ASCII)
_ENDS = ";|&()\n"
_PREFIXES = frozenset(("export", "local", "readonly", "declare"))


class Word(NamedTuple):
    """One word of a command."""

    text: str
    known: bool = True
    """Whether the text is what the program gets; else it is what stands there."""


class Command(NamedTuple):
    """One command, its variables in front taken off."""

    words: tuple[Word, ...]
    environ: Mapping[str, str]
    line: int


def read(script: str) -> list[Command]:
    """Every command of a script, in the order in which they stand there.

    Raises:
        SpecError: the text is longer than any script.
    """
    refuse_huge(script, "a shell script")
    often = Counter(_SET.findall(script))
    variables: dict[str, str] = {}
    exported: dict[str, str] = {}
    found: list[Command] = []
    for number, line in joined_lines(script):
        for words in _commands(line, variables):
            environ: dict[str, str] = {}
            shares = words[0].text in _PREFIXES
            rest = list(words[1:] if shares else words)
            while rest and (match := _ASSIGNMENT.fullmatch(rest[0].text)):
                if rest[0].known:
                    environ[match[1]] = match[2]
                rest = rest[1:]
            if rest and not shares:
                found.append(Command(tuple(rest), {**exported, **environ}, number))
                continue
            once = {name: value for name, value in environ.items() if often[name] == 1}
            variables |= once
            exported |= once if shares else {}
    return found


def _commands(line: str, variables: Mapping[str, str]) -> list[list[Word]]:
    """The commands of one line."""
    found: list[list[Word]] = [[]]
    text, known, begun, quote = "", True, False, ""
    position = 0

    def end() -> None:
        nonlocal text, known, begun
        if begun:
            found[-1].append(Word(text, known))
        text, known, begun = "", True, False

    while position < len(line):
        here = line[position]
        if quote == "'" and here != "'":
            text += here
        elif here == "\\" and position + 1 < len(line):
            position += 1
            text, begun = text + line[position], True
        elif here in "\"'" and (not quote or quote == here):
            quote, begun = ("" if quote else here), True
        elif here in "$`":
            value, position, sure = _expanded(line, position, variables)
            text, known, begun = text + value, known and sure, True
            continue
        elif quote:
            text += here
        elif here in " \t":
            end()
        elif here == "#" and not begun:
            break
        elif here in _ENDS:
            end()
            found.append([])
        elif here in "<>":
            if text.isdigit():
                text, begun = "", False
            end()
            found.append([])  # where output goes is no argument
        else:
            text, begun = text + here, True
        position += 1
    end()
    return [words for words in found if words]


def _expanded(line: str, start: int, variables: Mapping[str, str]) -> tuple[str, int, bool]:
    """What a `$` or a backtick at this place becomes, where it ends, and whether that is sure."""
    if line[start] == "$":
        if braced := _BRACED.match(line, start + 1):
            value: str | None = variables.get(braced[1], braced[2])
            return (f"${braced[0]}" if value is None else value), braced.end(), value is not None
        if name := _NAME.match(line, start + 1):
            value = variables.get(name[0])
            return (f"${name[0]}" if value is None else value), name.end(), value is not None
    closing = {"(": ")", "{": "}"}.get(
        line[start + 1 : start + 2], "`" if line[start] == "`" else ""
    )
    end = line.find(closing, start + 1) + 1 if closing else start + 1
    end = end or len(line)
    return line[start:end], end, False
