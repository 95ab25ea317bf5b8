"""What the frameworks' own data paths carry over from a row; only ftspec's preparation carries all."""

from __future__ import annotations

from collections.abc import Callable

from ftspec.data.example import Example
from ftspec.errors import DataError, Problem

Accept = Callable[[str, Example], None]
"""Looks at a row (format, example) and raises DataError if it would not be trained on as it is."""
REMEDY = "data.prepare: ftspec"


def anything(_format: str, _example: Example) -> None:
    """ftspec prepares the rows itself: all of a row reaches the model."""


def by_frameworks(format: str, example: Example) -> None:
    """The columns that emitted scripts and configs name.

    Raises:
        DataError: the row has tools, or an alpaca row has a system prompt or a history.
    """
    if example.tools:
        raise DataError(Problem("the row's tools would be ignored", hint=REMEDY))
    if format == "alpaca" and len(example.messages) > 2:
        raise DataError(Problem("the row's system prompt or history would be ignored", hint=REMEDY))


def by_alternating(format: str, example: Example) -> None:
    """The same, for a framework that leaves out conversations which do not alternate.

    LLaMA-Factory warns and drops them (data/converter.py), which also moves all later rows.

    Raises:
        DataError: turns are not user and assistant in alternation after at most one system prompt.
    """
    by_frameworks(format, example)
    if example.kind != "chat":
        return
    roles = [message.role for message in example.messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns[::2] != ["user"] * len(turns[::2]) or turns[1::2] != ["assistant"] * len(turns[1::2]):
        raise DataError(
            Problem(
                f"LLaMA-Factory would leave the row out: its turns are {', '.join(roles)}",
                hint=f"user and assistant in alternation, or {REMEDY}",
            )
        )
