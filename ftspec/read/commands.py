"""The commands of a shell script, as words. Nothing is executed.

Unlike `shell`, which reads what ftspec writes, this reads what people write: variables that are set once,
or one statement after the other, are put in; a word that the shell would make in another way is marked as not
known.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ftspec.read import assigned, heredocs, lines
from ftspec.read.exported import Around, Exported
from ftspec.read.heredocs import Made
from ftspec.read.text import refuse_huge
from ftspec.read.variables import Variables
from ftspec.read.words import SPACE, Word, closed, total

_LIST = re.compile(r"([A-Za-z_]\w*)(\+?)=", re.ASCII)
_ALL_OF = re.compile(r"\$\{([A-Za-z_]\w*)\[[@*]\]\}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_ADDITION = re.compile(r"([A-Za-z_]\w*)\+=(.*)", re.ASCII | re.DOTALL)
_BRACED = re.compile(r"\{([A-Za-z_]\w*)(?::?-([^}$`]*))?\}", re.ASCII)
_ENDS = ";|&()\n"
_OPEN = frozenset("$`")
_AROUND = frozenset(("do", "then", "else", "{", "env", "time", "nohup", "exec", "command"))
"""Words in front of a command, behind which its variables may stand."""
_PREFIXES = frozenset(("export", "local", "readonly", "declare", "typeset"))
_SOURCES = frozenset(("source", "."))
_HARMLESS = re.compile(
    r"(?:^|[/.])(?:activate|bashrc|bash_profile|profile|zshrc|conda\.sh|setvars\.sh|set_env\.sh)$|^/etc/"
)
"""Files that set up a shell, an environment of Python or a driver, and no variable of a training."""
_QUOTED = '$`"\\'
"""What a backslash takes the meaning from between double quotes; elsewhere there it is one."""


class Command(NamedTuple):
    """One command, its variables in front taken off."""

    words: tuple[Word, ...]
    around: Around
    line: int

    @property
    def environ(self) -> dict[str, str]:
        """Variables that it finds set, as far as their values are known."""
        return {name: text for name, text in self.around.whole().items() if text is not None}


def read(script: str, *, is_inner: bool = False) -> list[Command]:
    """Every command of a script, in the order in which they stand there.

    ``is_inner``: a text of another one, whose variables it may have, so that no default is certain.

    Raises:
        SpecError: the text is longer than any script, or becomes so by what it puts in.
    """
    return read_whole(script, is_inner=is_inner)[0]


def read_whole(script: str, *, is_inner: bool = False) -> tuple[list[Command], Mapping[str, Made]]:
    """The same, and the files that the script writes itself, by `heredocs.named`.

    Raises:
        SpecError: as `read`.
    """
    refuse_huge(script, "a shell script")
    script, documents = heredocs.taken_out(script)
    variables = Variables(script, has_defaults=not is_inner)
    exported = Exported()
    last, functions = assigned.last_lines(script), assigned.functions(script)
    found: list[Command] = []

    def expand(text: str) -> tuple[str, bool]:
        whole, known = heredocs.expanded(text, lambda line, at: _expanded(line, at, variables))
        return whole.replace(SPACE, " "), known

    rows = script.split("\n")
    waiting, filled = deque(documents), list[heredocs.Filled]()
    changes: list[tuple[int, str, set[str]]] = []
    for (number, line), (following, _) in pairwise([*lines.whole(script), (len(rows) + 1, "")]):
        variables.function = functions[number - 1]
        for name in variables.ended(number):
            if name in exported:
                exported.put(name, None, number)
        for words in _commands(line, variables, last[number - 1]):
            command = _taken(words, variables, exported, number, last[number - 1])
            found += [command] if command else []
        while waiting and waiting[0].line <= following:
            filled.append(heredocs.filled(waiting.popleft(), expand))
        for at in range(number, following):
            changes.append((at, rows[at - 1], heredocs.changed(rows[at - 1], expand)))
    return found, heredocs.written(filled, changes)


def _taken(
    words: Sequence[Word],
    variables: Variables,
    exported: Exported,
    line: int,
    last: tuple[int, int],
) -> Command | None:
    """A command, or nothing where its words only set variables, which are taken note of."""
    start = next((n for n, word in enumerate(words) if word.text not in _AROUND), 0)
    first = words[start].text
    shares = first in _PREFIXES
    own, rest = _assigned(words[start:], shares)
    if first in _SOURCES and not _HARMLESS.search("".join(word.text for word in rest[1:2])):
        exported.forget(variables.forget(), line)
    if rest and not shares:
        grown = _grown(rest[0], variables)
        variables |= grown
        spaced = tuple(Word(word.text.replace(SPACE, " "), word.known) for word in rest)
        texts = {name: word.text if word.known else None for name, word in own.items()}
        around = Around(texts, exported, exported.moment, variables.function[1])
        for name in texts:
            exported.hand(name, line)
        return None if grown else Command(spaced, around, line)
    for name, word in own.items():
        is_certain = variables.is_certain(name)
        if is_certain:
            variables[name] = word
            variables.hold(name, last)
        if shares or name in exported:
            exported.put(name, word.text if is_certain and word.known else None, line)
    for name in (word.text for word in rest if word.text in variables.often):
        exported.put(name, variables.known(name), line)  # `export A`
    return None


def _assigned(words: Sequence[Word], shares: bool) -> tuple[dict[str, Word], list[Word]]:
    """The variables in front of a command, and what is left of it; ``shares``: `export A B=x`."""
    rest = sorted(words[1:], key=lambda word: "=" not in word.text) if shares else list(words)
    found: dict[str, Word] = {}
    place = 0
    while place < len(rest) and (match := _ASSIGNMENT.fullmatch(rest[place].text)):
        found[match[1]] = Word(match[2], rest[place].known)
        place += 1
    return found, rest[place:]


def _grown(word: Word, variables: Variables) -> dict[str, Word]:
    """A variable with what `A+=b` puts behind it."""
    match = _ADDITION.fullmatch(word.text)
    if match is None or match[1] not in variables.certain or not (old := variables.seen(match[1])):
        return {}
    return {match[1]: Word(old.text + match[2], old.known and word.known)}


def _commands(  # noqa: PLR0912, PLR0915 - one branch for each kind of character
    line: str, variables: Variables, last: tuple[int, int] | None = None
) -> Iterator[list[Word]]:
    """The commands of one line, one by one: what one sets counts in the next, up to the lines ``last``.

    None: these are words in brackets, which hold no brackets of their own.
    """
    words: list[Word] = []
    text, known, begun, quote = "", True, False, ""
    aside = False
    """Whether the next word is no argument, but says where input or output goes."""
    position = 0
    while position < len(line):
        here = line[position]
        if (
            here == "("
            and not quote
            and last is not None
            and (match := _LIST.fullmatch(text))
            and known
        ):
            end = closed(line, position)
            given = [
                word for one in _commands(line[position + 1 : end - 1], variables) for word in one
            ]
            variables.add(match[1], given, bool(match[2]))
            if not match[2]:
                variables.hold(match[1], last)
            text, begun, position = "", False, end
            continue
        if begun and not quote and here in f" \t<>{_ENDS}":
            if not (aside or (here in "<>" and text.isdigit())):  # 2> names a stream
                words.append(Word(text, known))
            text, known, begun, aside = "", True, False, False
        if quote == "'" and here != "'":
            text += here
        elif here == "\\" and position + 1 < len(line):
            position += 1
            kept = "\\" if quote and line[position] not in _QUOTED else ""
            text, begun = text + kept + line[position], True
        elif here in "\"'" and (not quote or quote == here):
            quote, begun = ("" if quote else here), True
        elif not text and (many := _all_of(line, position, quote, variables)) is not None:
            listed, position, quote = many
            words += listed
            begun = False
            continue
        elif here in "$`":
            value, position, sure = _expanded(line, position, variables)
            parts = [value] if quote else value.split()  # the shell splits it, too
            for part in parts[:-1]:
                words.append(Word(text + part, known and (sure or not _OPEN & {*part})))
                text, known = "", True
            rest = "".join(parts[-1:])
            text, known = text + rest, known and (sure or (not quote and not _OPEN & {*rest}))
            begun = begun or bool(parts)
            continue
        elif quote or here not in f" \t<>#{_ENDS}" or (here == "#" and begun):
            text, begun = text + here, True
        elif here == "#":
            break
        elif here in "<>" or line[position : position + 2] == "&>":
            position, aside = _aside(line, position)
            continue
        elif here in _ENDS:
            if words:
                yield words
            words, aside = [], False
        position += 1
    if begun and not aside:
        words.append(Word(text, known))
    if words:
        yield words


def _aside(line: str, start: int) -> tuple[int, bool]:
    """Behind `>`, `2>&`, `<<<` and their like, and whether a word follows that says where it goes."""
    position = start
    while position < len(line) and line[position] in "<>&|":
        position += 1
    if line[position : position + 1] == "(":  # `> >(tee log.txt)`
        return closed(line, position), False
    return position, True


def _all_of(
    line: str, start: int, quote: str, variables: Variables
) -> tuple[tuple[Word, ...], int, str] | None:
    """The words that `"${ARGS[@]}"` is, where they end, and the quote that is open behind them."""
    match = _ALL_OF.match(line, start)
    if match is None or (given := variables.listed(match[1])) is None or quote == "'":
        return None
    end = match.end()
    if quote:
        if line[end : end + 1] != quote or line[start - 1] != quote:
            return None
        end, quote = end + 1, ""
    if line[end : end + 1] not in ("", " ", "\t", *_ENDS):
        return None
    variables.count(*given)
    return given, end, quote


def _default(text: str) -> Word | None:
    """What stands behind `:-`, without the quotes around it; None where they are within it."""
    if text[:1] == '"' == text[-1:] and len(text) > 1:
        text = text[1:-1]
    return None if {*text} & {*"\"'\\"} else Word(text)


def _expanded(line: str, start: int, variables: Variables) -> tuple[str, int, bool]:
    """What a `$` or a backtick at this place becomes, where it ends, and whether that is sure."""
    if line[start] == "$":
        if braced := _BRACED.match(line, start + 1):
            default = None if braced[2] is None else _default(braced[2])
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
    is_sum = piece.startswith("$((") and piece.endswith("))")
    if is_sum and (number := total(piece[3:-2], variables.known)) is not None:
        return number, end, True
    return piece.replace(" ", SPACE), end, False
