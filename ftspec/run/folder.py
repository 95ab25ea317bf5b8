"""The run folder: who runs here, what happened, and whose results these are.

::

    <compiled folder>/run/lock           held while any process of the run lives
                          state.json     how it stands now; whole at every moment
                          events.jsonl   what happened; appended, a torn last line does no harm
                          train.log      what the training printed
                          results.json   size and SHA-256 of each result
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftspec.emit.disk import write_atomic
from ftspec.errors import OutputError, Problem, RunError
from ftspec.run.state import FOLDER, State, as_bytes, is_alive, now, owner, read_state

CLEANUP = 6.0
"""Seconds to wait for a lock whose ftspec is dead: its supervisor is still stopping the old run."""


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All events. A line that a crash tore is left out."""
    events = []
    with suppress(FileNotFoundError):
        for line in (folder / FOLDER / "events.jsonl").read_bytes().split(b"\n"):
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    events.append(event)
    return events


@contextmanager
def claim(
    folder: Path, digest: str, *, spec: str, backend: str, results: str, overwrite: bool = False
) -> Iterator[Journal]:
    """Have the folder to oneself for one run.

    Raises:
        RunError: another run is going on here, or the folder holds results that would be lost.
        OutputError: the folder cannot be written.
    """
    home = folder / FOLDER
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unwritable(home, error) from error
    try:
        _lock(descriptor, folder)
        if not overwrite:
            _refuse(folder, digest, backend, results)
        start = now()
        state = State(digest, spec, backend, "running", owner(), start, start, results=results)
        yield Journal(folder, state, descriptor)
    finally:
        # Closing is unlocking, but not for a supervisor that holds the same lock.
        os.close(descriptor)


class Journal:
    """Writes down a run while it goes on."""

    def __init__(self, folder: Path, state: State, lock: int) -> None:
        self.folder, self.state, self.lock = folder, state, lock
        self.home = folder / FOLDER

    def save(self, **changes: Any) -> None:
        """Change the state. Never fails half-way: readers see the old state or the new one."""
        self.state = replace(self.state, **changes, updated=now())
        write_atomic(self.home / "state.json", as_bytes(self.state))

    def note(self, kind: str, **facts: Any) -> None:
        """Append an event."""
        line = json.dumps({"time": now(), "event": kind, **facts}, ensure_ascii=False, default=str)
        path = self.home / "events.jsonl"
        try:
            with path.open("ab+", buffering=0) as file:
                # After a torn line, so that it spoils only itself.
                torn = (
                    file.seek(0, os.SEEK_END)
                    and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
                )
                file.write((b"\n" if torn else b"") + line.encode() + b"\n")
        except OSError as error:
            raise _unwritable(path, error) from error

    def make_room(self, overwrite: bool, keep: bool) -> Path | None:
        """Move an earlier attempt's results aside; where to, or None if there were none.

        Old and new checkpoints in one folder would be taken for one run. ``overwrite`` deletes them
        instead; ``keep`` leaves them, for a run that resumes from one.
        """
        results = (self.folder / self.state.results).resolve()
        if keep or not results.is_dir() or not any(results.iterdir()):
            return None
        try:
            if overwrite:
                shutil.rmtree(results)
                return None
            aside = next(
                path
                for number in range(1, 10_000)
                if not (path := results.with_name(f"{results.name}.{number}")).exists()
            )
            return results.rename(aside)
        except OSError as error:
            raise _unwritable(results, error) from error


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + CLEANUP
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP):
                return  # a file system without locks; state.json still tells of a living owner
            holder = None
            with suppress(RunError):
                holder = read_state(folder)
            # The holder may be another ftspec, or the supervisor of one that was killed.
            living = holder is None or (holder.status == "running" and is_alive(holder.owner))
            if living or time.monotonic() > deadline:
                who = f" by process {holder.owner.pid} since {holder.begun}" if holder else ""
                raise RunError(
                    f"{folder} is in use{who}: another ftspec runs there",
                    hint="wait for it, or give this run another output.folder",
                ) from error
            time.sleep(0.1)
        else:
            return


def _refuse(folder: Path, digest: str, backend: str, results: str) -> None:
    """Stop before anything of another run is lost or mixed with ours."""
    old = read_state(folder)
    place = folder / results
    filled = place.is_dir() and any(place.iterdir())
    hint = "choose another output.folder, or replace them with --overwrite"
    if old is None:
        if filled:
            raise RunError(f"{place} holds results of a run that ftspec did not start", hint=hint)
    elif (old.digest, old.backend) != (digest, backend):
        if filled or (folder / old.results).is_dir():
            raise RunError(
                f"{folder} holds results of another spec: {old.spec} on {old.backend}, "
                f"{old.status} {old.updated}",
                hint=hint,
            )
    elif old.status == "done" and filled:
        raise RunError(f"{folder} holds this spec's finished results ({old.updated})", hint=hint)


def _unwritable(path: Path, error: OSError) -> OutputError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = (
        "free some space"
        if error.errno in (errno.ENOSPC, errno.EDQUOT)
        else "check its permissions"
    )
    return OutputError(
        Problem(
            f"cannot write {path}: {reason}",
            file=str(path),
            hint=f"{hint}, or choose another output.folder",
        )
    )
