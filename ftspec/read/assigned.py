"""Which variables of a shell script have a value that is certain, and from which line to which."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

_OPENS = re.compile(
    r"(?:^|[;&|(]|\b(?:then|do|else))\s*(?:if|for|while|until|case|select)\b", re.ASCII
)
_CLOSES = re.compile(r"(?:^|[;&|])\s*(?:fi|done|esac)\b", re.ASCII)
_FUNCTION = re.compile(r"\s*(?:function\s+[\w:-]+|[\w:-]+\s*\(\s*\))", re.ASCII)
_OPENED = re.compile(r"(?:^|[\s;&|)])\{(?=\s|$)")
_CLOSED = re.compile(r"(?:^|[\s;&|])\}(?=[\s;&|)<>]|$)")
_OWN_SHELL = re.compile(r"^\s*\((?!\()|(?:[;&|]|\b(?:then|do|else))\s*\((?!\()")
"""`( A=b )`, whose variables are its own."""
_AT_THE_START = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\+?=", re.ASCII)
_CHOOSES = re.compile(r"(?:^|[;&|(]|\b(?:then|do|else))\s*(?:if|case)\b", re.ASCII)
_CHOSEN = re.compile(r"(?:^|[;&|])\s*(?:fi|esac)\b", re.ASCII)
_OTHERWISE = re.compile(r"\s*(?:elif|else)\b")
_NAME = r"([A-Za-z_]\w*)"
_WORDS = r"((?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s;|&<>\"'])+)+)"
_CHANGED = tuple(
    re.compile(pattern, re.ASCII | re.MULTILINE)
    for pattern in (
        rf"\b(?:for|select)[ \t]+{_NAME}[ \t\n;]",
        rf"\bprintf[ \t]+-v[ \t]+{_NAME}",
        rf"\b(?:mapfile|readarray)\b[^\n|&;<]{{0,200}}?[ \t]{_NAME}[ \t]*(?:$|[<;&|])",
        rf"\bgetopts[ \t]+\S+[ \t]+{_NAME}",
        rf"\(\([ \t]*(?:\+\+|--)?{_NAME}[ \t]*(?:[-+*/%]?=(?!=)|\+\+|--)",
        rf"\(\([ \t]*(?:\+\+|--){_NAME}",
        rf"(?:^|[\s;&|(]){_NAME}\[[^\]\n]{{0,80}}\]\+?=",  # an element of a list
    )
)
"""Statements that change a variable in another way than by a plain `A=b`."""
_MANY = re.compile(rf"\b(?:read|unset|let){_WORDS}", re.ASCII)
"""Those that change each variable that they name."""
_EVAL = re.compile(r"\beval[ \t]([^\n]*)")
_SET_THERE = re.compile(rf"(?<![\w$-]){_NAME}\+?=", re.ASCII)
_NAMES = re.compile(r"(?<![\w$-])[A-Za-z_]\w*", re.ASCII)
_BEHIND = re.compile(
    r"(?:&&|\|\|)(?:[ \t]|\\?\n)*"
    r"(?:\{\s((?:\$\{[^}\n]{0,80}\}|[^}])*)|((?:\"[^\"\n]*\"|'[^'\n]*'|\\\n|[^\n;\"'])*))"
)
"""What is done only where something else went well, or did not."""
SET = re.compile(r"(?:^|[\s;&|({])([A-Za-z_]\w*)=", re.ASCII)
"""Where a variable is set, alone or in front of a command."""
_ASKED = re.compile(
    rf"-z[ \t]+\"?\$\{{?{_NAME}(?::?-|:?\+\w+)?\}}?\"?[ \t]*\]{{0,2}}[ \t]*"
    r"(?:(;?\s*then\b)|&&[ \t]*(?:\{[ \t]*)?(?:export[ \t]+)?(?=\1=))",
    re.ASCII,
)
_DEFAULT = re.compile(rf"\$\{{{_NAME}:?=", re.ASCII)
"""`${A:=b}`, which sets it as well."""
_ENDS = re.compile(r"\b(?:fi|else|elif)\b")
_BRANCH = 500
"""Letters of a branch in which a default is looked for."""


def in_order(script: str, often: Mapping[str, int]) -> frozenset[str]:
    """Those that are set by statements of their own alone, outside of branches, loops and functions.

    ``often``: how many times each is set, anywhere in the script.
    """
    plain: Counter[str] = Counter()
    depth, inside, own = 0, functions(script), own_shells(script)
    for number, line in enumerate(script.split("\n")):
        opened, closed = len(_OPENS.findall(line)), len(_CLOSES.findall(line))
        is_own = not depth and not (inside[number][1] or own[number] or opened)
        if is_own and (match := _AT_THE_START.match(line)):
            plain[match[1]] += 1
        depth += opened - closed
        if depth < 0:
            return frozenset()  # something else stands there than it seems
    return frozenset(name for name, times in plain.items() if times == often.get(name))


def functions(script: str) -> list[tuple[int, int]]:
    """For each line the first and the last one of the function that it is in; (0, 0) outside of any."""
    lines = script.split("\n")
    found = [(0, 0)] * len(lines)
    start, depth, begun, end = 0, 0, False, "}"
    for number, line in enumerate(lines, 1):
        if not start and (match := _FUNCTION.match(line)):
            start, depth, begun = number, 0, False
            end = ")" if line[match.end() :].lstrip().startswith("(") else "}"
        if not start:
            continue
        opened = len(_OPENED.findall(line))
        depth += opened - len(_CLOSED.findall(line))
        begun = begun or opened > 0 or end == ")"
        if not begun and number > start and line.strip():
            start = 0  # a call in a text of another language
        elif (begun and end == "}" and depth <= 0) or line.startswith(end):
            found[start - 1 : number] = [(start, number)] * (number - start + 1)
            start = 0
    if start:
        found[start - 1 :] = [(start, len(lines))] * (len(lines) - start + 1)
    return found


def asked(script: str) -> dict[str, bool]:
    """Variables with a default of the script's own: `[ -z "$A" ] && A=b`; True: in a branch."""
    found: dict[str, bool] = {}
    for match in _ASKED.finditer(script):
        end = match.end()
        branch = script[end : end + _BRANCH]
        if closes := _ENDS.search(branch):
            branch = branch[: closes.start()]
        if not match[2] or match[1] in SET.findall(branch):
            found[match[1]] = bool(match[2])
    return found


def changed(script: str) -> frozenset[str]:
    """Those that a loop, an input or a sum changes, so that no value of theirs is certain."""
    found = {name for pattern in _CHANGED for name in pattern.findall(script)}
    for words in _MANY.findall(script):
        found |= {*_NAMES.findall(words)}
    for text in _EVAL.findall(script):
        found |= {*_SET_THERE.findall(text)}
    return frozenset(found)


def perhaps(script: str) -> frozenset[str]:
    """Those that are set behind `&&` or `||`: where a test, or a failure, decides."""
    return frozenset(
        name for texts in _BEHIND.findall(script) for text in texts for name in SET.findall(text)
    )


def defaulted(script: str) -> frozenset[str]:
    """Those that `${A:=b}` sets where they are not set."""
    return frozenset(_DEFAULT.findall(script))


def last_lines(script: str) -> list[tuple[int, int]]:
    """For each line of a script the last one of its branch, and of the one around that."""
    lines = script.split("\n")
    ends: list[int] = []
    around: list[int] = []
    branches: list[int] = []
    """The branch of each line, as a place in `ends`."""
    open_: list[int] = []

    def begin(outer: int = 0) -> int:
        ends.append(len(lines))
        around.append(outer)
        return len(ends) - 1

    root = begin()
    for number, line in enumerate(lines, 1):
        opened, closed = len(_CHOOSES.findall(line)), len(_CHOSEN.findall(line))
        if open_ and _OTHERWISE.match(line):
            ends[open_[-1]] = number - 1
            open_[-1] = begin(around[open_[-1]])
        for _ in range(opened):
            open_.append(begin(open_[-1] if open_ else root))
        branches.append(open_[-1] if open_ else root)
        for _ in range(min(closed, len(open_))):
            ends[open_.pop()] = number
        if open_ and ";;" in line:
            ends[open_[-1]] = number
            open_[-1] = begin(around[open_[-1]])
    return [
        (min(ends[branch], end or len(lines)), min(ends[around[branch]], end or len(lines)))
        for branch, end in zip(branches, own_shells(script), strict=True)
    ]


def own_shells(script: str) -> list[int]:
    """For each line the last one of the shell of its own that it is in, `( A=b )`; 0 outside of any."""
    ends = [0]
    found: list[int] = []
    """For each line its shell, as a place in `ends`."""
    open_: list[tuple[int, int]] = []
    """Those that are open, and how many brackets are open in front of each."""
    brackets = 0
    lines = script.split("\n")
    for number, line in enumerate(lines, 1):
        if _OWN_SHELL.search(line):
            open_.append((len(ends), brackets))
            ends.append(len(lines))
        found.append(open_[-1][0] if open_ else 0)
        brackets += line.count("(") - line.count(")")
        while open_ and brackets <= open_[-1][1]:
            ends[open_.pop()[0]] = number
    return [ends[shell] for shell in found]
