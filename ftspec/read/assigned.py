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
_AT_THE_START = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\+?=", re.ASCII)
_CHOOSES = re.compile(r"(?:^|[;&|(]|\b(?:then|do|else))\s*(?:if|case)\b", re.ASCII)
_CHOSEN = re.compile(r"(?:^|[;&|])\s*(?:fi|esac)\b", re.ASCII)
_OTHERWISE = re.compile(r"\s*(?:elif|else)\b")
_NAME = r"([A-Za-z_]\w*)"
_CHANGED = tuple(
    re.compile(pattern, re.ASCII | re.MULTILINE)
    for pattern in (
        rf"\b(?:for|select)[ \t]+{_NAME}[ \t\n;]",
        rf"\bread(?:[ \t]+-(?:[adinNptu][ \t]*(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s'\"]+)|[ers]+))*[ \t]+{_NAME}",
        rf"\bprintf[ \t]+-v[ \t]+{_NAME}",
        rf"\b(?:mapfile|readarray)\b[^\n|&;<]*?[ \t]{_NAME}[ \t]*(?:$|[<;&|])",
        rf"\bgetopts[ \t]+\S+[ \t]+{_NAME}",
        rf"\bunset[ \t]+(?:-v[ \t]+)?{_NAME}",
        rf"\blet[ \t]+[\"']?{_NAME}",
        rf"\(\([ \t]*(?:\+\+|--)?{_NAME}[ \t]*(?:[-+*/%]?=(?!=)|\+\+|--)",
        rf"\(\([ \t]*(?:\+\+|--){_NAME}",
        # where a test or a failure decides
        rf"(?:\]|\)\)|\btest\b[^&|;\n]*)[ \t]*&&[ \t]*(?:export[ \t]+)?{_NAME}=",
        rf"\|\|[ \t]*(?:export[ \t]+)?{_NAME}=",
    )
)
"""Statements that change a variable in another way than by a plain `A=b`."""
_ASKED = re.compile(rf"-[zn][ \t]+\"?\$\{{?{_NAME}", re.ASCII)
"""Variables that a script looks for, and sets itself where they are missing."""


def in_order(script: str, often: Mapping[str, int]) -> frozenset[str]:
    """Those that are set by statements of their own alone, outside of branches, loops and functions.

    ``often``: how many times each is set, anywhere in the script.
    """
    plain: Counter[str] = Counter()
    depth, function = 0, False
    for line in script.splitlines():
        opened, closed = len(_OPENS.findall(line)), len(_CLOSES.findall(line))
        if _FUNCTION.match(line) and "}" not in line:
            function = True
        if not depth and not function and not opened and (match := _AT_THE_START.match(line)):
            plain[match[1]] += 1
        depth += opened - closed
        function = function and not line.startswith("}")
        if depth < 0:
            return frozenset()  # something else stands there than it seems
    return frozenset(name for name, times in plain.items() if times == often.get(name))


def asked(script: str) -> frozenset[str]:
    """Variables with a default of the script's own: `[ -z "$A" ] && A=b`."""
    return frozenset(_ASKED.findall(script))


def changed(script: str) -> frozenset[str]:
    """Those that a loop, an input, a sum or a condition changes, so that no value of theirs is certain."""
    found = {name for pattern in _CHANGED for name in pattern.findall(script)}
    return frozenset(found)


def last_lines(script: str) -> list[int]:
    """For each line of a script the last one at which holds what it sets: the end of its branch."""
    lines = script.split("\n")
    ends: list[int] = []
    branches: list[int] = []
    """The branch of each line, as a place in `ends`."""
    open_: list[int] = []

    def begin() -> int:
        ends.append(len(lines))
        return len(ends) - 1

    root = begin()
    for number, line in enumerate(lines, 1):
        opened, closed = len(_CHOOSES.findall(line)), len(_CHOSEN.findall(line))
        if open_ and _OTHERWISE.match(line):
            ends[open_[-1]] = number - 1
            open_[-1] = begin()
        open_ += [begin() for _ in range(opened)]
        branches.append(open_[-1] if open_ else root)
        for _ in range(min(closed, len(open_))):
            ends[open_.pop()] = number
        if open_ and ";;" in line:
            ends[open_[-1]] = number
            open_[-1] = begin()
    return [ends[branch] for branch in branches]
