"""Which variables each command of a shell script finds set, without a copy of them for each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Exported:
    """What a script exports, one after the other. None stands for a value that only the shell knows."""

    def __init__(self) -> None:
        self.moment = 0
        self._said: dict[str, tuple[list[int], list[str | None]]] = {}
        self._last: dict[str, int] = {}
        """The last line in which each is set for a command."""

    def hand(self, name: str, line: int) -> None:
        """Set a variable for one command, which may be a function: `A=b train`."""
        self._last[name] = line

    def put(self, name: str, value: str | None, line: int) -> None:
        """Export a variable; it holds from the next moment on."""
        self.hand(name, line)
        self.moment += 1
        moments, values = self._said.setdefault(name, ([], []))
        moments.append(self.moment)
        values.append(value)

    def forget(self, names: Iterable[str], line: int) -> None:
        """What these are only the shell knows from here on, as far as they are exported."""
        for name in names:
            if name in self:
                self.put(name, None, line)

    def __contains__(self, name: str) -> bool:
        return name in self._said

    def at(self, moment: int, end: int = 0) -> dict[str, str | None]:
        """All that was exported up to then; ``end``: of the function, below which it is called."""
        found: dict[str, str | None] = {}
        for name, (moments, values) in self._said.items():
            if place := bisect_right(moments, moment):
                found[name] = values[place - 1]
        later = {name: None for name, line in self._last.items() if line > end > 0}
        return found | later


class Around(NamedTuple):
    """The variables of one command: those in front of it, over those that are exported before."""

    own: Mapping[str, str | None]
    shared: Exported
    moment: int
    end: int = 0
    """The last line of the function that it is in."""

    def whole(self) -> dict[str, str | None]:
        """All of them."""
        return {**self.shared.at(self.moment, self.end), **self.own}

    def within(self, other: Around) -> Around:
        """The same inside of another command, such as `bash -c`."""
        return Around({**other.whole(), **self.whole()}, Exported(), 0)
