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
_NAMES = re.compile(r"(?<![\w$-])[A-Za-z_]\w*", re.ASCII)
_BEHIND = re.compile(
    r"(?:&&|\|\|)(?:[ \t]|\\?\n)*"
    r"(?:\{\s((?:\$\{[^}\n]{0,80}\}|[^}])*)|((?:\"[^\"\n]*\"|'[^'\n]*'|\\\n|[^\n;\"'])*))"
)
"""What is done only where something else went well, or did not."""
_SET = re.compile(r"(?:^|[\s;&|({])([A-Za-z_]\w*)=", re.ASCII)
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
    found: set[str] = set()
    for match in _ASKED.finditer(script):
        end = match.end()
        branch = script[end : end + _BRANCH]
        if closes := _ENDS.search(branch):
            branch = branch[: closes.start()]
        if not match[2] or match[1] in _SET.findall(branch):
            found.add(match[1])
    return frozenset(found)


def changed(script: str) -> frozenset[str]:
    """Those that a loop, an input or a sum changes, so that no value of theirs is certain."""
    found = {name for pattern in _CHANGED for name in pattern.findall(script)}
    for words in _MANY.findall(script):
        found |= {*_NAMES.findall(words)}
    return frozenset(found)


def perhaps(script: str) -> frozenset[str]:
    """Those that are set behind `&&` or `||`: where a test, or a failure, decides."""
    return frozenset(
        name for texts in _BEHIND.findall(script) for text in texts for name in _SET.findall(text)
    )


def defaulted(script: str) -> frozenset[str]:
    """Those that `${A:=b}` sets where they are not set."""
    return frozenset(_DEFAULT.findall(script))


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
