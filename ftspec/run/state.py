"""How a run stands, and whose it is: state.json, and processes named beyond doubt."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ftspec.errors import RunError
from ftspec.run.supervise import living

SCHEMA = 1
FOLDER = "run"
Status = Literal["running", "done", "failed", "interrupted"]


@dataclass(frozen=True)
class Owner:
    """A process, named so that neither a reused id nor a reboot can stand in for it."""

    pid: int
    started: int
    """Clock ticks between boot and its start."""
    boot: str


@dataclass(frozen=True)
class State:
    """How a run stands."""

    digest: str
    """Of all that was emitted and launched: two runs of one digest may share a folder."""
    spec: str
    """The spec's name."""
    backend: str
    status: Status
    owner: Owner
    begun: str
    updated: str
    stage: str = ""
    """The stage it is in, or failed in."""
    message: str = ""
    results: str = ""
    """Folder of the results, relative to the compiled folder."""
    schema: int = SCHEMA


def owner() -> Owner:
    """The present process."""
    return _owner(os.getpid()) or Owner(os.getpid(), 0, boot())


def is_alive(one: Owner) -> bool:
    """Whether that very process still runs."""
    return one.boot == boot() and one == _owner(one.pid)


def boot() -> str:
    """A name for the time since this machine was started."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _owner(pid: int) -> Owner | None:
    found = living()
    if pid in found:
        return Owner(pid, found[pid][1], boot())
    if found:
        return None
    # No /proc: only the id is known. The lock decides; this is for the message.
    with suppress(OSError):
        os.kill(pid, 0)
        return Owner(pid, 0, "")
    return None


def now() -> str:
    """The time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_state(folder: Path) -> State | None:
    """The state of the run in a compiled folder; None if there never was one.

    Raises:
        RunError: the file is there but not one of ours.
    """
    path = folder / FOLDER / "state.json"
    try:
        found = json.loads(path.read_bytes())
        if found["schema"] != SCHEMA:
            raise RunError(
                f"{path} was written by another version of ftspec (schema {found['schema']})",
                hint="use another output.folder, or --overwrite",
            )
        known = {field.name for field in fields(State)}
        return State(
            **{**{key: found[key] for key in known & set(found)}, "owner": Owner(**found["owner"])}
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"{path} cannot be read: {error}", hint="use another output.folder, or --overwrite"
        ) from error


def as_bytes(state: State) -> bytes:
    """The content of state.json."""
    return (json.dumps(asdict(state), indent=2, ensure_ascii=False) + "\n").encode()
