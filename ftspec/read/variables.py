"""The variables of a shell script, as far as their values are certain. Nothing is executed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from ftspec.read import assigned, slurm
from ftspec.read.text import SIZE, wrong
from ftspec.read.words import Word

_ADDED = re.compile(r"(?:^|[\s;&|({])([A-Za-z_]\w*)\+=", re.ASCII | re.MULTILINE)


class Variables(dict[str, Word]):
    """What a script has set so far."""

    put_in = 0

    def __init__(self, script: str, *, has_defaults: bool = True) -> None:
        """Those that Slurm sets."""
        self._given = {name: Word(text) for name, text in slurm.variables(script).items()}
        super().__init__(self._given)
        self.lists: dict[str, tuple[Word, ...]] = {}
        """Values in brackets: `ARGS=(--bf16 --lora_r 8)`."""
        added = {*_ADDED.findall(script)}
        set_ = Counter(assigned.SET.findall(script))
        self.often = set_ + Counter(_ADDED.findall(script))
        plain = assigned.in_order(script, self.often)
        once = {name for name, times in self.often.items() if times == 1}
        asked = assigned.asked(script)
        changed = (
            assigned.changed(script)
            | assigned.defaulted(script)
            | (
                assigned.perhaps(script)
                - {name for name, in_branch in asked.items() if not in_branch}
            )
        )
        self.certain = ((once - added) | plain) - changed
        self.begun = ({name for name in self.often if set_[name] <= 1} | plain) - changed
        """Lists whose first words are certain; what a branch adds to one becomes a question."""
        self._asked = asked
        self._ends: list[tuple[int, str]] = []
        self._has_defaults = has_defaults
        self.function = (0, 0)
        """The first and the last line of the function that is read, which another line calls."""
        self._places: dict[str, tuple[int, int]] = {}
        """The first and the last line in which each is set."""
        for number, line in enumerate(script.split("\n"), 1):
            for name in (*assigned.SET.findall(line), *_ADDED.findall(line)):
                self._places[name] = (self._places.get(name, (number, 0))[0], number)
        self._doubted = {*changed} | added | (self.often.keys() - self.certain)
        """Those that may be set where no value is known, so that no default holds: `${A:-b}`."""

    def _is_settled(self, name: str) -> bool:
        """Whether it is not set anew between the function that is read and a call of it."""
        _, end = self.function
        return not end or self._places.get(name, (0, 0))[1] <= end

    def seen(self, name: str) -> Word | None:
        """What a variable is where the script is read."""
        return self.get(name) if self._is_settled(name) else None

    def listed(self, name: str) -> tuple[Word, ...] | None:
        """The same of one in brackets."""
        return self.lists.get(name) if self._is_settled(name) else None

    def _may_default(self, name: str) -> bool:
        """Whether a variable without a value that is known is not set at all."""
        if not self._has_defaults or name in self._doubted or name in self.lists:
            return False
        start, end = self.function
        first, last = self._places.get(name, (start, end))
        return not end or start <= first <= last <= end

    def is_certain(self, name: str) -> bool:
        """Whether what the script sets a variable to is what it has."""
        return name in self.certain and (self._has_defaults or name not in self._asked)

    def forget(self) -> list[str]:
        """Another file may set any of them, and those that have a default; their names."""
        names = [*self]
        self.clear()
        self |= self._given
        self.lists.clear()
        self._has_defaults = False
        return names

    def known(self, name: str) -> str | None:
        """What a variable is, if that is sure."""
        word = self.seen(name)
        return word.text if word is not None and word.known else None

    def hold(self, name: str, last: tuple[int, int]) -> None:
        """What is set in a branch, or in a function, counts up to its end alone.

        ``last``: the last line of the branch, and of the one around it, in which a default counts.
        """
        line = last[self._asked.get(name, False)]
        if self.function[1]:
            line = min(line, self.function[1])
        heappush(self._ends, (line, name))

    def ended(self, line: int) -> Iterator[str]:
        """Variables whose branch has ended before a line, which are forgotten."""
        while self._ends and self._ends[0][0] < line:
            _, name = heappop(self._ends)
            self.pop(name, None)
            self.lists.pop(name, None)
            self._doubted.add(name)
            yield name

    def add(self, name: str, words: Sequence[Word], grows: bool) -> None:
        """A value in brackets, or more of one."""
        before = self.lists.get(name) if grows else ()
        if before is None or name not in self.begun:
            return
        if name not in self.certain:
            said = " ".join(word.text for word in words)
            words = [Word(f"{name}+=({said})", False)] if grows else words
        self.count(*words)
        self.lists[name] = (*before, *words)

    def count(self, *words: Word) -> None:
        """Take note of words that are put in.

        Raises:
            SpecError: all in all they are more than any script is long: `A=$A$A`, line after line.
        """
        self.put_in += sum(len(word.text) + 1 for word in words)
        if self.put_in > SIZE:
            raise wrong(f"the values of its variables come to more than {SIZE:,} characters")

    def value(self, name: str, default: Word | None, written: str) -> tuple[str, bool]:
        """What is put in for a variable, and whether that is sure; else what stands there.

        Raises:
            SpecError: as `count`.
        """
        word = self.seen(name)
        if word is None and self._may_default(name):
            word = default
        if word is None:
            return written, False
        self.count(word)
        return word.text, word.known
