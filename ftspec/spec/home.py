"""A leading `~` in a path of a spec."""

from __future__ import annotations

from pathlib import Path


def at_home(path: str) -> Path:
    """The path with a leading `~` or `~name` replaced by that home folder, if there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such person: then the folder is really called `~name`
        return Path(f"./{path}")
