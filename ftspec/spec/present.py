"""Whether a file or a folder is there, asked about names that people wrote."""

from __future__ import annotations

from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether a file is there that may be looked at; a name that no file can have has none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, a NUL, a folder on the way that may not be entered
        return False


def is_folder(path: Path) -> bool:
    """The same for a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
