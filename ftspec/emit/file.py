"""One emitted file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One emitted file: a relative path, its bytes, and whether it is a program."""

    path: str
    content: bytes
    executable: bool = False

    @classmethod
    def text(cls, path: str, content: str, executable: bool = False) -> File:
        """A UTF-8 file."""
        return cls(path, content.encode(), executable)
