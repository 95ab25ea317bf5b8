"""Which variables of a shell script have a value that is certain at each line, though they are set again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

_OPENS = re.compile(
    r"(?:^|[;&|(]|\b(?:then|do|else))\s*(?:if|for|while|until|case|select)\b", re.ASCII
)
_CLOSES = re.compile(r"(?:^|[;&|])\s*(?:fi|done|esac)\b", re.ASCII)
_FUNCTION = re.compile(r"\s*(?:function\s+[\w:-]+|[\w:-]+\s*\(\s*\))", re.ASCII)
_AT_THE_START = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\+?=(?!\()", re.ASCII)


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
