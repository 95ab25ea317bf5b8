"""Where environments lie, and what is there.

One folder per backend, lock, key of the lock's text and torch variant, all beneath
``<cache>/environments``. The file ``complete.json`` is written last: a folder without it is a
remainder of an interrupted installation and is never used.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path

from ftspec.env.locks import KEY_LENGTH, Lock

Variant = Literal["cpu", "cuda"]
VARIANTS: tuple[Variant, ...] = ("cpu", "cuda")
MARKER = "complete.json"
OWN = "own"
"""The key of an environment that is a person's own, and of no lock."""
_SHAPE = re.compile(
    rf"(?P<backend>.+)-(?P<lock>[^-]+)-(?P<key>[0-9a-f]{{{KEY_LENGTH}}})-(?P<torch>\w+)"
)


@dataclass(frozen=True)
class Environment:
    """An interpreter that a backend trains in."""

    backend: str
    lock: str
    key: str
    """Key of the lock it was made from; `own` for a person's own interpreter."""
    torch: str
    """`cpu` or `cuda`: which build of torch."""
    python: Path
    bin: Path
    """Programs beside the interpreter. Put it first in PATH: torch looks for ninja there."""
    folder: Path
    versions: Mapping[str, str] = field(default_factory=dict)
    """What is installed, by package."""
    notes: tuple[str, ...] = ()
    """What a person should know about it, such as versions that differ from the lock."""


@dataclass(frozen=True)
class Stored:
    """A folder of the cache, whatever its state."""

    folder: Path
    backend: str
    lock: str
    key: str
    torch: str
    complete: bool
    """False: its installation was interrupted, or goes on at this moment."""
    alive: bool
    """False: the interpreter it was made with is gone."""
    date: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """Bytes of a folder: all of them, and those that removing it sets free.

    uv links files from its cache into every environment, so most bytes lie on the disk only once.
    """

    total: int
    own: int


def cache_folder() -> Path:
    """The folder of everything ftspec can make again; `FTSPEC_CACHE` chooses another."""
    chosen = os.environ.get("FTSPEC_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("ftspec")


def environments_folder() -> Path:
    """The folder of all environments."""
    return cache_folder() / "environments"


def folder_of(lock: Lock, variant: str) -> Path:
    """Where the environment of this lock and variant lies, or would."""
    return environments_folder() / f"{lock.backend}-{lock.name}-{lock.key}-{variant}"


def lookup(lock: Lock, variant: str) -> Environment | None:
    """The environment of this lock and variant, if it is complete and its interpreter is there."""
    folder = folder_of(lock, variant)
    facts = read_marker(folder)
    if facts is None or facts.get("key") != lock.key or not interpreter(folder).exists():
        return None
    return Environment(
        backend=lock.backend,
        lock=lock.name,
        key=lock.key,
        torch=variant,
        python=interpreter(folder),
        bin=interpreter(folder).parent,
        folder=folder,
        versions=facts["versions"],
    )


def interpreter(folder: Path) -> Path:
    """The interpreter of the environment in that folder."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What the marker of completeness says; None without one, or with a damaged one."""
    try:
        facts = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and isinstance(facts.get("versions"), dict) else None


def write_marker(folder: Path, facts: Mapping[str, Any]) -> None:
    """Declare the environment complete, all at once: from here on it is used."""
    draft = folder / f".{MARKER}"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / MARKER)


def installed() -> list[Stored]:
    """Every environment in the cache, the unusable ones included, by name."""
    return list(_stored())


def size(folder: Path) -> Size:
    """Bytes beneath a folder. Walks it all: a second or so for each environment."""
    total = own = 0
    for place, _folders, files in os.walk(folder):
        for name in files:
            status = os.lstat(os.path.join(place, name))  # noqa: PTH118 - 50,000 files: no Path each
            total += status.st_size
            own += status.st_size if status.st_nlink == 1 else 0
    return Size(total, own)


def _stored() -> Iterator[Stored]:
    home = environments_folder()
    for folder in sorted(home.iterdir()) if home.is_dir() else ():
        parts = _SHAPE.fullmatch(folder.name)
        if parts is None or not folder.is_dir():
            continue
        facts = read_marker(folder)
        yield Stored(
            folder=folder,
            **parts.groupdict(),
            complete=facts is not None,
            alive=interpreter(folder).exists(),
            date=str((facts or {}).get("date", "")),
            versions=(facts or {}).get("versions", {}),
        )
