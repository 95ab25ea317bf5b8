"""One process at a time: who may lay down, use up or take away an environment's folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ftspec.env.failures import disk_failure
from ftspec.env.store import MARKER
from ftspec.env.uv import Listener, end_tree, tell


def guard_of(folder: Path) -> FileLock:
    """The lock that stands for an environment's folder. It lies beside it, so it outlives it."""
    return FileLock(folder.parent / f".{folder.name}.turn")


def wipe(folder: Path) -> None:
    """Remove an environment, its marker first, so that half of one is never taken for whole."""
    (folder / MARKER).unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)


def users(folder: Path) -> list[psutil.Process]:
    """Processes that run from an environment or write into it."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or ()
        inside = any(part == str(folder) or part.startswith(f"{folder}/") for part in arguments)
        if inside and process.pid != os.getpid():
            found.append(process)
    return found


def opened(processes: Iterable[psutil.Process]) -> set[Path] | None:
    """The files that these processes have open; None where somebody else's may not be looked at."""
    found: set[Path] = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            try:
                found |= {Path(file.path) for file in process.open_files()}
            except psutil.AccessDenied:
                return None
    return found


def end_orphans(folder: Path) -> None:
    """End every uv that still writes into a folder: its ftspec was killed."""
    for process in users(folder):
        # Only uv: an editor that shows a file of the folder is somebody's work.
        if any(Path(part).name in {"uv", "uv.exe"} for part in process.info["cmdline"][:2]):
            end_tree(process.pid)


@contextmanager
def turn(folder: Path, progress: Listener | None = None) -> Iterator[None]:
    """Hold the folder alone among all processes; waits, with a word, for another to finish."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        guard = guard_of(folder)
        try:
            guard.acquire(timeout=0)
        except Timeout:
            tell(progress, folder.name, "another process is installing it: waiting")
            guard.acquire(poll_interval=0.2)
    except OSError as error:
        raise disk_failure(f"preparing {folder.name}", error) from error
    try:
        yield
    finally:
        guard.release()
