"""The commands of a shell script, as words. Nothing is executed.

Unlike `shell`, which reads what ftspec writes, this reads what people write: variables that are set once,
or one statement after the other, are put in; a word that the shell would make in another way is marked as not
known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from ftspec.read import heredocs, slurm
from ftspec.read.assigned import in_order
from ftspec.read.heredocs import Made
from ftspec.read.shell import joined_lines
from ftspec.read.text import SIZE, refuse_huge, wrong
from ftspec.read.words import SPACE, closed, total

_SET = re.compile(
    r"(?:^|[\s;])(?:export\s+|local\s+|readonly\s+)?([A-Za-z_]\w*)=", re.ASCII | re.MULTILINE
)
_ADDED = re.compile(r"(?:^|[\s;])([A-Za-z_]\w*)\+=", re.ASCII | re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_ADDITION = re.compile(r"([A-Za-z_]\w*)\+=(.*)", re.ASCII | re.DOTALL)
_BRACED = re.compile(r"\{([A-Za-z_]\w*)(?::?-([^}$`]*))?\}", re.ASCII)
_ENDS = ";|&()\n"
_OPEN = frozenset("$`")
_AROUND = frozenset(("do", "then", "else", "{", "env", "time", "nohup", "exec", "command"))
"""Words in front of a command, behind which its variables may stand."""
_PREFIXES = frozenset(("export", "local", "readonly", "declare"))


class Word(NamedTuple):
    """One word of a command."""

    text: str
    known: bool = True
    """Whether the text is what the program gets; else it is what stands there."""


class Variables(dict[str, Word]):
    """What a script has set so far."""

    put_in = 0

    def value(self, name: str, default: Word | None, written: str) -> tuple[str, bool]:
        """What is put in for a variable, and whether that is sure; else what stands there.

        Raises:
            SpecError: all in all it is more than any script is long: `A=$A$A`, line after line.
        """
        word = self.get(name, default)
        if word is None:
            return written, False
        self.put_in += len(word.text)
        if self.put_in > SIZE:
            raise wrong(f"the values of its variables come to more than {SIZE:,} characters")
        return word.text, word.known


class Command(NamedTuple):
    """One command, its variables in front taken off."""

    words: tuple[Word, ...]
    environ: Mapping[str, str]
    line: int
    unsure: frozenset[str] = frozenset()
    """Variables of the environment that are set to what only the shell knows."""


def read(script: str) -> list[Command]:
    """Every command of a script, in the order in which they stand there.

    Raises:
        SpecError: the text is longer than any script, or becomes so by what it puts in.
    """
    return read_whole(script)[0]


def read_whole(script: str) -> tuple[list[Command], Mapping[str, Made]]:
    """The same, and the files that the script writes itself, by `heredocs.named`.

    Raises:
        SpecError: as `read`.
    """
    refuse_huge(script, "a shell script")
    script, documents = heredocs.taken_out(script)
    often = Counter(_SET.findall(script))
    often.update(_ADDED.findall(script))
    certain = {name for name, times in often.items() if times == 1} | in_order(script, often)
    certain -= {*_ADDED.findall(script)} - in_order(script, often)
    variables = Variables({name: Word(text) for name, text in slurm.variables(script).items()})
    exported: dict[str, str] = {}
    unsure: set[str] = set()
    found: list[Command] = []
    for number, line in _whole(script):
        for words in _commands(line, variables):
            environ: dict[str, str] = {}
            partly: dict[str, Word] = {}
            unknown: set[str] = set()
            shares = words[0].text in _PREFIXES
            first = next((n for n, word in enumerate(words) if word.text not in _AROUND), 0)
            rest = list(words[first:])
            if shares:  # `export A B=x`
                rest = sorted(words[1:], key=lambda word: "=" not in word.text)
            while rest and (match := _ASSIGNMENT.fullmatch(rest[0].text)):
                if rest[0].known:
                    environ[match[1]] = match[2]
                else:
                    unknown.add(match[1])
                    partly |= {match[1]: Word(match[2], False)} if match[1] in certain else {}
                rest = rest[1:]
            if rest and not shares and (grown := _grown(rest[0], variables, certain)):
                variables |= grown
                continue
            if rest and not shares:
                spaced = tuple(Word(word.text.replace(SPACE, " "), word.known) for word in rest)
                open_ones = frozenset((unsure - environ.keys()) | unknown)
                found.append(Command(spaced, {**exported, **environ}, number, open_ones))
                continue
            once = {name: value for name, value in environ.items() if name in certain}
            variables |= {name: Word(value) for name, value in once.items()} | partly
            if shares:
                again = {word.text: variables.get(word.text) for word in rest if often[word.text]}
                exported |= once | {
                    name: old.text for name, old in again.items() if old and old.known
                }
                unsure |= (environ.keys() | unknown | again.keys()) - exported.keys()

    # a text may have been written before the last value was there
    fixed = Variables({name: word for name, word in variables.items() if often[name] <= 1})

    def expand(text: str) -> tuple[str, bool]:
        whole, known = heredocs.expanded(text, lambda line, at: _expanded(line, at, fixed))
        return whole.replace(SPACE, " "), known

    return found, heredocs.written(documents, script, expand)


def _grown(word: Word, variables: Mapping[str, Word], certain: Collection[str]) -> dict[str, Word]:
    """A variable with what `A+=b` puts behind it."""
    match = _ADDITION.fullmatch(word.text)
    if match is None or match[1] not in certain or not (old := variables.get(match[1])):
        return {}
    return {match[1]: Word(old.text + match[2], old.known and word.known)}


def _whole(script: str) -> list[tuple[int, str]]:
    """Lines with their numbers; a quote that is open at an end of line takes the next one in."""
    found: list[tuple[int, str]] = []
    quote = ""
    for number, line in joined_lines(script):
        if quote:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line}")
        else:
            found.append((number, line))
        quote = _open(line, quote)
    return found


def _open(line: str, quote: str) -> str:
    """The quote that is open at the end of a line."""
    escaped = False
    for place, here in enumerate(line):
        if escaped:
            escaped = False
        elif here == "\\" and quote != "'":
            escaped = True
        elif here in "\"'" and (not quote or quote == here):
            quote = "" if quote else here
        elif here == "#" and not quote and (place == 0 or line[place - 1] in " \t;"):
            break
    return quote


def _commands(  # noqa: PLR0912 - one branch for each kind of character
    line: str, variables: Variables
) -> Iterator[list[Word]]:
    """The commands of one line, one by one: what one sets counts in the next."""
    words: list[Word] = []
    text, known, begun, quote = "", True, False, ""
    position = 0
    while position < len(line):
        here = line[position]
        if begun and not quote and here in f" \t<>{_ENDS}":
            if here not in "<>" or not text.isdigit():  # 2> names a stream
                words.append(Word(text, known))
            text, known, begun = "", True, False
        if quote == "'" and here != "'":
            text += here
        elif here == "\\" and position + 1 < len(line):
            position += 1
            text, begun = text + line[position], True
        elif here in "\"'" and (not quote or quote == here):
            quote, begun = ("" if quote else here), True
        elif here in "$`":
            value, position, sure = _expanded(line, position, variables)
            parts = [value] if quote else value.split()  # the shell splits it, too
            for part in parts[:-1]:
                words.append(Word(text + part, known and (sure or not _OPEN & {*part})))
                text, known = "", True
            last = "".join(parts[-1:])
            text, known = text + last, known and (sure or (not quote and not _OPEN & {*last}))
            begun = begun or bool(parts)
            continue
        elif quote or here not in f" \t<>#{_ENDS}" or (here == "#" and begun):
            text, begun = text + here, True
        elif here == "#":
            break
        elif here in f"<>{_ENDS}":  # where output goes is no argument
            if words:
                yield words
            words = []
        position += 1
    if begun:
        words.append(Word(text, known))
    if words:
        yield words


def _expanded(line: str, start: int, variables: Variables) -> tuple[str, int, bool]:
    """What a `$` or a backtick at this place becomes, where it ends, and whether that is sure."""
    if line[start] == "$":
        if braced := _BRACED.match(line, start + 1):
            default = None if braced[2] is None else Word(braced[2])
            text, known = variables.value(braced[1], default, f"${braced[0]}")
            return text, braced.end(), known
        if name := _NAME.match(line, start + 1):
            text, known = variables.value(name[0], None, f"${name[0]}")
            return text, name.end(), known
    if line[start + 1 : start + 2] in ("(", "{"):
        end = closed(line, start + 1)
    else:
        end = (line.find("`", start + 1) + 1 if line[start] == "`" else start + 1) or len(line)
    piece = line[start:end]
    if piece.startswith("$((") and piece.endswith("))"):
        values = {name: word.text for name, word in variables.items() if word.known}
        if (number := total(piece[3:-2], values)) is not None:
            return number, end, True
    return piece.replace(" ", SPACE), end, False
