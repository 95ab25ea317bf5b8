"""Lays an environment down, once, whoever asks and however often it is interrupted."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name

import ftspec
from ftspec.backend import Backend
from ftspec.env import store
from ftspec.env.exclusive import end_orphans, turn, wipe
from ftspec.env.failures import disk_failure
from ftspec.env.locks import Lock, read_lock
from ftspec.env.store import Environment, folder_of, interpreter, lookup
from ftspec.env.uv import Listener, run_uv, tell
from ftspec.env.variant import Choice, choose, nvidia_driver, requirements
from ftspec.errors import EnvironmentError_, Problem


def ensure(
    backend: Backend, lock: str = "aligned", torch: str = "auto", progress: Listener | None = None
) -> Environment:
    """The backend's environment, installed first if it is not there.

    Raises:
        EnvironmentError_: it cannot be installed; the error says why and what to do.
    """
    return ensure_all(((backend, lock),), torch, progress)[0]


def ensure_all(
    wanted: Sequence[tuple[Backend, str]], torch: str = "auto", progress: Listener | None = None
) -> tuple[Environment, ...]:
    """The environments of all members of a comparison, with one and the same build of torch.

    ``wanted`` are backends, each with the name of its lock.

    Raises:
        EnvironmentError_: one of them cannot be installed; the error says why and what to do.
    """
    locks = tuple(read_lock(backend, lock) for backend, lock in wanted)
    choice = choose(locks, torch)
    return tuple(_ensure(each, choice, progress) for each in locks)


def find(backend: Backend, lock: str = "aligned", torch: str = "auto") -> Environment | None:
    """The backend's environment if it is installed. Installs nothing and asks no index."""
    wanted = read_lock(backend, lock)
    variants: Sequence[str] = (torch,)
    if torch == "auto":
        variants = ("cuda",) if nvidia_driver() else store.VARIANTS
    return next((found for variant in variants if (found := lookup(wanted, variant))), None)


def _ensure(lock: Lock, choice: Choice, progress: Listener | None) -> Environment:
    found = lookup(lock, choice.variant)
    if found:
        return found
    folder = folder_of(lock, choice.variant)
    subject, doing = f"{lock.backend} {lock.name}", f"installing the environment {folder.name}"
    with turn(folder, progress):
        found = lookup(lock, choice.variant)
        if found:
            return found  # somebody else laid it down while we waited
        try:
            if folder.exists():
                tell(progress, subject, "an earlier installation is incomplete: starting afresh")
                end_orphans(folder)
                wipe(folder)
            tell(progress, subject, f"torch build `{choice.variant}`: {choice.reason}")
            _lay_down(lock, choice, folder, doing, progress)
        except EnvironmentError_:
            shutil.rmtree(folder, ignore_errors=True)  # what lies there is of no use, and large
            raise
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise disk_failure(doing, error) from error
    made = lookup(lock, choice.variant)
    if made is None:
        raise EnvironmentError_(f"{doing}: it vanished", "is something cleaning the cache folder?")
    tell(progress, subject, "ready")
    return made


def _lay_down(
    lock: Lock, choice: Choice, folder: Path, doing: str, progress: Listener | None
) -> None:
    subject = f"{lock.backend} {lock.name}"
    python = interpreter(folder)
    # The running interpreter, or else one that uv finds or fetches among those the lock supports.
    running = lock.python.contains(".".join(map(str, sys.version_info[:3])))
    request = sys.executable if running else str(lock.python)
    run_uv(
        ("venv", "--no-project", "--python", request, "--prompt", folder.name, str(folder)),
        doing,
        subject=subject,
        progress=progress,
    )
    hashed, loose = requirements(lock, choice.variant)
    install = ("pip", "install", "--python", str(python), "--no-deps")
    asked = folder / "requirements.txt"
    if loose:
        # First, as it is what may fail. Its hash is in no lock: it depends on who built it.
        asked.write_text(loose, encoding="utf-8")
        index = ("--torch-backend", choice.index) if choice.index else ()
        run_uv((*install, *index, "-r", str(asked)), doing, subject=subject, progress=progress)
    asked.write_text(hashed, encoding="utf-8")
    run_uv(
        (*install, "--require-hashes", "-r", str(asked)),
        doing,
        subject=subject,
        progress=progress,
        extra=lock.build,
    )
    versions = installed_versions(folder)
    absent = [
        f"{name} {version}"
        for name, version in _expected(lock, hashed, loose).items()
        if versions.get(name) != version
    ]
    if absent:
        raise EnvironmentError_(
            Problem(f"{doing}: uv ended well, but these are missing: {', '.join(absent[:5])}",
                    hint="run `uv cache clean`, then the same command again")
        )  # fmt: skip
    store.write_marker(folder, {
        "backend": lock.backend, "lock": lock.name, "key": lock.key, "torch": choice.variant,
        "versions": versions, "python": _python_version(folder), "ftspec": ftspec.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    })  # fmt: skip


def installed_versions(folder: Path) -> dict[str, str]:
    """Package -> version, of what lies in an environment."""
    places = [str(path) for path in folder.glob("[lL]ib*/**/site-packages")][:1]
    found = importlib.metadata.distributions(path=places)
    return dict(sorted((canonicalize_name(each.name), each.version) for each in found))


def _expected(lock: Lock, hashed: str, loose: str) -> dict[str, str]:
    kept = {line.partition("===")[0] for line in hashed.splitlines()}
    swapped = dict(line.split("==") for line in loose.split())
    return {**{name: lock.pins[name] for name in lock.pins if name in kept}, **swapped}


def _python_version(folder: Path) -> str:
    settings = (folder / "pyvenv.cfg").read_text(encoding="utf-8")
    lines = (line.partition("=") for line in settings.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == "version_info"), "")
