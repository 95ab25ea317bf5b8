"""All that is wrong with the data, told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ftspec.errors import DataError, Problem

LIMIT = 20
"""Problems that are shown; the others are counted."""


class Findings:
    """Problems found so far. The first ones are kept, the rest are counted."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.count = 0
        self.shown: list[Problem] = []

    def add(self, problems: Problem | Iterable[Problem]) -> None:
        """Note one problem, or several."""
        for problem in (problems,) if isinstance(problems, Problem) else problems:
            self.count += 1
            if len(self.shown) < self.limit:
                self.shown.append(problem)

    def told(self) -> list[Problem]:
        """The first ones, and a word about the rest."""
        more = self.count - len(self.shown)
        rest = [Problem(f"and {more} more", file=self.shown[-1].file)] if more else []
        return [*self.shown, *rest]

    def check(self) -> None:
        """Raise all that was found, if anything was."""
        if self.count:
            raise DataError(self.told())


def placed(error: DataError, file: str, line: int, row: int) -> list[Problem]:
    """The error's problems with the place of the row that they speak of.

    A row of a Parquet file has no line, so its number stands in the message.
    """
    lead = "" if line else f"row {row}: "
    return [
        problem
        if problem.file
        else replace(problem, message=lead + problem.message, file=file, line=line)
        for problem in error.problems
    ]
