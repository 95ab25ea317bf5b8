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


def is_there(path: Path) -> bool:
    """The same for either."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def unread(path: Path, error: Exception) -> tuple[str, str]:
    """Why a file cannot be read, and a remedy where there is one."""
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return f"this is a link to {path.readlink()}, where nothing is", ""
        return "there is no such file", ""
    remedy = "check its permissions" if isinstance(error, PermissionError) else ""
    return f"the file cannot be read: {getattr(error, 'strerror', None) or error}", remedy
