"""The lines of a shell script as the shell takes them: joined, and without comments."""

from __future__ import annotations

from typing import NamedTuple

_SPACES = " \t;("
"""What a comment stands behind."""


class _End(NamedTuple):
    """What is open at an end of line."""

    kept: str
    """The line without its comment, or the backslash at its end."""
    quote: str = ""
    depth: int = 0
    """Brackets of a list: `ARGS=(`."""
    goes_on: bool = False

    @property
    def glue(self) -> str | None:
        """What stands between this line and the next one, where that belongs to it."""
        if self.goes_on:
            return ""
        return " " if self.quote or self.depth else None


def whole(script: str) -> list[tuple[int, str]]:
    """Lines with their numbers; one that ends in a backslash, a quote or a list takes the next one in."""
    found: list[tuple[int, list[str]]] = []
    end = _End("")
    for number, line in enumerate(script.split("\n"), 1):
        glue = end.glue
        before = found[-1][1][-1][-1:] if glue == "" else " "
        end = _scanned(line, end.quote, end.depth, before or " ")
        if glue is None:
            found.append((number, [end.kept]))
        else:
            found[-1][1].append(f"{glue}{end.kept}")
    return [(number, "".join(pieces)) for number, pieces in found]


def _scanned(line: str, quote: str, depth: int, before: str) -> _End:
    escaped = False
    for place, here in enumerate(line):
        if escaped:
            escaped = False
        elif here == "\\" and quote != "'":
            escaped = True
        elif here in "\"'" and (not quote or quote == here):
            quote = "" if quote else here
        elif quote:
            pass
        elif here == "#" and before in _SPACES:
            return _End(line[:place], quote, depth)
        elif here == "(" and (depth or _is_list(line, place)):
            depth += 1
        elif here == ")" and depth:
            depth -= 1
        before = here
    return _End(line[:-1] if escaped else line, quote, depth, escaped)


def _is_list(line: str, place: int) -> bool:
    """Whether the bracket at this place opens the value of a variable: `A=(`, `A+=(`."""
    end = place - 1
    if line[end : end + 1] != "=" or end < 1:
        return False
    end -= line[end - 1] == "+"
    start = end
    while start and (line[start - 1].isalnum() or line[start - 1] == "_"):
        start -= 1
    return start < end and not line[start].isdigit() and (not start or line[start - 1] in _SPACES)
