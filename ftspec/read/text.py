"""What every reader does first: refuse what is too big, and say where something is wrong."""

from __future__ import annotations

import ast
import io

from ftspec.errors import Problem, SpecError
from ftspec.spec.secrets import masked

SIZE = 1 << 20
"""Longest text that is read, in characters. Real configs have a few thousand."""
DEPTH = 64
"""Deepest nesting that is read."""


KEYS = "a config is made of keys and values; rows of data are none"
"""The way out, where a file holds something else."""


def wrong(message: str, line: int = 0, column: int = 0, hint: str = "") -> SpecError:
    """The error for a text that cannot be read; lines and columns from 1."""
    return SpecError(Problem(message, line=line, column=column, hint=hint))


def kind(value: object) -> str:
    """What a JSON or YAML value is called in a message; a half of a secret would have its form no more."""
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"one value, {masked(str(value))[:20]!a}"


class Segments:
    """The text of a script, of which parts are asked for by their nodes.

    `ast.get_source_segment` says the same and splits the whole text for each node, which took a fifth of the
    reading of a script.
    """

    def __init__(self, source: str) -> None:
        self._lines = io.StringIO(
            source, newline=""
        ).readlines()  # as the parser splits: no form feeds

    def of(self, node: ast.stmt | ast.expr | ast.keyword | ast.ExceptHandler) -> str:
        """What stands in the text for a node; nothing of one that was made and not read."""
        if node.end_lineno is None or node.end_col_offset is None:
            return ""
        lines = [line.encode() for line in self._lines[node.lineno - 1 : node.end_lineno]]
        lines[-1] = lines[-1][
            : node.end_col_offset
        ]  # before the beginning: it may be the same line
        lines[0] = lines[0][node.col_offset :]
        return b"".join(lines).decode()


def refuse_huge(text: str, kind: str) -> None:
    """Raise if a text is longer than any real file of its kind."""
    if len(text) > SIZE:
        raise wrong(f"{len(text):,} characters are too many for {kind} (at most {SIZE:,})")
