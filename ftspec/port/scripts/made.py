"""What a function of a script makes of a row: columns, texts, turns, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Unfollowed(Exception):  # noqa: N818 - control flow, never leaves this folder
    """What is not understood."""


@dataclass(frozen=True)
class Column:
    """A row's value in a column."""

    name: str


@dataclass(frozen=True)
class End:
    """The tokenizer's eos_token."""


@dataclass(frozen=True)
class Picture:
    """The place of an image, and the column that holds it; empty where the turns do not say it."""

    name: str


@dataclass(frozen=True)
class Alone:
    """A list of one value."""

    of: Column


@dataclass(frozen=True)
class Turns:
    """A conversation: roles, and what each says."""

    turns: tuple[tuple[str, Text], ...]


@dataclass(frozen=True)
class Rendered:
    """What the chat template writes of turns, or of a column that holds some."""

    of: Turns | Column
    tools: str = ""
    """The column of the tools that it is given."""
    options: tuple[tuple[str, Any], ...] = ()
    """Further values that it is given."""


@dataclass(frozen=True)
class Tokens:
    """What the tokenizer makes of a text, cut to a length if one is said."""

    of: Any
    length: int | None
    padded: bool


@dataclass(frozen=True)
class Each:
    """One value for each of many rows; nothing yet of an empty list."""

    of: Any = None


@dataclass(frozen=True)
class Row:
    """What a function is given; ``many`` rows at once, by column."""

    many: bool


@dataclass(frozen=True)
class Batch:
    """Columns of many rows, side by side."""

    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Position:
    """A number that counts rows."""


Text = tuple[str | Column | End | Picture, ...]
PIECES = 1000
"""Of a text, at most so many: names that double each other forty times are no prompt."""
