"""What is wrong with the environments and what they need, and the command that mends it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ftspec import registry
from ftspec.backend import Backend
from ftspec.env import store
from ftspec.env.install import installed_versions
from ftspec.env.locks import Lock, lock_names, read_lock
from ftspec.env.machine import Finding, check_disk, check_hardware, check_tools
from ftspec.env.sources import read_sources, redact
from ftspec.env.variables import stale_builds
from ftspec.errors import FtspecError

# By name: others that begin so, such as UV_INDEX_<NAME>_PASSWORD, are nobody's business.
_UV_SOURCES = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
    "UV_NO_INDEX", "UV_INDEX_STRATEGY",
)  # fmt: skip


def diagnose(backends: Sequence[Backend] | None = None) -> list[Finding]:
    """Look at everything; never raises. Without `backends`, all that are installed."""
    findings: list[Finding] = []
    members = list(backends or ())
    for name in () if backends is not None else registry.names():
        try:
            members.append(registry.load(name))
        except FtspecError as error:
            findings.append(_of_error(f"backend {name}", error))
    locks: list[Lock] = []
    for backend in members:
        for name in lock_names(backend):
            try:
                locks.append(read_lock(backend, name))
            except FtspecError as error:
                findings.append(_of_error(f"{backend.name} {name}", error))
    findings.extend(check_tools(locks))
    findings.extend(check_disk())
    findings.extend(_sources())
    findings.extend(finding for lock in locks for finding in _environments(lock))
    findings.extend(_stale(locks))
    findings.extend(check_hardware(any(lock.backend == "deepspeed" for lock in locks)))
    return findings


def _of_error(subject: str, error: FtspecError) -> Finding:
    first = error.problems[0]
    return Finding("error", subject, redact(first.message), redact(first.hint))


def _sources() -> Iterator[Finding]:
    options = read_sources()
    for option in options.values():
        yield Finding("ok", "packages", f"pip's {option}")
    own = [redact(f"{name}={value}") for name in _UV_SOURCES if (value := os.environ.get(name))]
    for text in own:
        yield Finding("ok", "packages", f"uv's {text}")
    if not options and not own:
        yield Finding("ok", "packages", "from PyPI: neither pip nor uv is told otherwise")
    certificate = options.get("cert")
    if certificate and not Path(certificate.values[0]).exists():
        yield Finding("error", "packages", f"{certificate}: no such file", "correct the path")


def _environments(lock: Lock) -> Iterator[Finding]:
    subject = f"{lock.backend} {lock.name}"
    install = f"ftspec env install {lock.backend} --environment {lock.name}"
    seen = False
    for stored in store.installed():
        if (stored.backend, stored.lock, stored.key) != (lock.backend, lock.name, lock.key):
            continue
        seen = True
        again = f"{install} --torch {stored.torch}"
        made = store.lookup(lock, stored.torch)
        if not stored.complete:
            yield Finding(
                "warn", subject, f"torch {stored.torch}: interrupted, or being installed", again
            )
        elif not stored.alive or made is None:
            yield Finding("error", subject, "the interpreter it was made with is gone", again)
        elif installed_versions(stored.folder) != dict(made.versions):
            remove = f"ftspec env remove {lock.backend} --environment {lock.name}"
            text = "its packages were changed after the installation"
            yield Finding("error", subject, text, f"{remove} && {again}")
        else:
            yield Finding("ok", subject, f"complete, torch {stored.torch}, installed {stored.date}")
            for file in stale_builds(made):
                yield Finding("warn", subject, "a killed build makes runs wait", f"rm {file}")
    if not seen:
        yield Finding("ok", subject, "not installed; the first run installs it", install)


def _stale(locks: Sequence[Lock]) -> Iterator[Finding]:
    current = {(lock.backend, lock.name, lock.key) for lock in locks}
    for stored in store.installed():
        if (stored.backend, stored.lock, stored.key) not in current:
            text = "made from a lock that is no longer used"
            yield Finding("warn", stored.folder.name, text, "ftspec env remove --stale")
