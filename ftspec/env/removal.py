"""Takes environments away again."""

from __future__ import annotations

from collections.abc import Iterable

from filelock import Timeout

from ftspec.env.exclusive import guard_of, users, wipe
from ftspec.env.failures import disk_failure
from ftspec.env.store import Stored, installed
from ftspec.errors import EnvironmentError_, Problem


def select(
    backend: str = "", lock: str = "", torch: str = "", current: Iterable[str] | None = None
) -> list[Stored]:
    """Environments that fit; with `current` (keys of today's locks) only those of older locks."""
    keys = None if current is None else frozenset(current)
    return [
        each
        for each in installed()
        if (not backend or each.backend == backend)
        and (not lock or each.lock == lock)
        and (not torch or each.torch == torch)
        and (keys is None or each.key not in keys)
    ]


def remove(chosen: Iterable[Stored]) -> list[Stored]:
    """Remove these environments; returns those that were there.

    Raises:
        EnvironmentError_: one is being installed or used; the others are removed all the same.
    """
    removed, problems = [], []
    for each in chosen:
        try:
            with guard_of(each.folder).acquire(timeout=0):
                busy = users(each.folder) if each.complete else []
                if busy:
                    who = ", ".join(str(process.pid) for process in busy[:3])
                    problems.append(_busy(each, f"is in use by process {who}"))
                elif each.folder.is_dir():
                    wipe(each.folder)
                    removed.append(each)
        except Timeout:
            problems.append(_busy(each, "is being installed"))
        except OSError as error:
            problems.extend(disk_failure(f"removing {each.folder.name}", error).problems)
    if problems:
        raise EnvironmentError_(problems)
    return removed


def _busy(stored: Stored, why: str) -> Problem:
    return Problem(
        f"{stored.folder.name} {why}", hint="wait for its end, or stop it, and try again"
    )
