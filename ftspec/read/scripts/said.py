"""What a script has said so far, while it is read."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ftspec.read.python import Calls, Unknown
from ftspec.read.scripts.literals import Read
from ftspec.read.scripts.worked import Folder
from ftspec.read.text import Segments


@dataclass
class Said:
    """Arguments of calls, and what was not understood: `Calls` in the making."""

    text: Segments
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    foreign: list[tuple[int, str]] = field(default_factory=list)
    parts: dict[int, tuple[str, ...]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    taken: dict[tuple[int, str], None] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    starts: list[tuple[int, int]] = field(default_factory=list)
    count: Counter[str] = field(default_factory=Counter)
    """How often each call has been made."""
    late: set[str] = field(default_factory=set)

    def make(self, call: str) -> str:
        """A call is made: the name under which its arguments stand."""
        self.count[call] += 1
        return self.latest(call)

    def latest(self, call: str) -> str:
        """The name of a call as it was made last."""
        number = self.count[call]
        return call if number < 2 else f"{call}#{number}"

    def made(self, call: str) -> None:
        """The arguments of a call have been read."""
        if self.starts:
            self.late.add(self.latest(call))

    def start(self, line: int) -> None:
        """A training starts."""
        self.starts.append((line, len(self.foreign)))

    def take(self, line: int, text: str) -> None:
        """Something is taken for granted."""
        self.taken[(line, text)] = None

    def spread(self, call: str, keyword: ast.keyword, found: Any) -> bool:
        """Take a mapping as arguments, `**settings`; False where it is none, or says one again."""
        if not isinstance(found, dict) or any(f"{call}.{key}" in self.values for key in found):
            return False
        self.values |= {f"{call}.{key}": value for key, value in found.items()}
        self.lines |= {f"{call}.{key}": keyword.value.lineno for key in found}
        return True

    def assign(self, name: str, key: str, value: ast.expr, read: Read) -> bool:
        """`tokenizer.chat_template = "..."`; False where nobody asks for it, or it is set again."""
        place = name + key
        if not name or place in self.values:
            return False
        try:
            self.values[place] = read(value)
        except Unknown:
            return False
        return True

    def leave(self, node: ast.stmt | ast.expr | ast.keyword, before: str = "") -> None:
        """Something was not understood."""
        self.foreign.append((node.lineno, before + (self.text.of(node) or ast.unparse(node))))

    def calls(self) -> Calls:
        """All of it."""
        folders = {place: str(one) for place, one in self.values.items() if isinstance(one, Folder)}
        return Calls(
            self.values | folders, tuple(self.foreign), self.lines, self.parts, self.origins,
            tuple(self.taken), frozenset(self.words), tuple(self.starts), frozenset(self.count),
            frozenset(self.late),
        )  # fmt: skip
