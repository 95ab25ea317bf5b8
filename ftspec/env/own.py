"""A person's own interpreter instead of an installed environment, its versions checked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from ftspec.backend import Backend
from ftspec.env.locks import Lock, read_lock
from ftspec.env.store import OWN, Environment
from ftspec.errors import EnvironmentError_, Problem

# Runs in that interpreter: it imports no framework and takes a fraction of a second.
_ASK = """
import importlib.metadata, json, re, sys
found = {}
for each in importlib.metadata.distributions():
    name = each.metadata["Name"]
    if name:
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), each.version)
print(json.dumps({"versions": found, "python": sys.version.split()[0], "prefix": sys.prefix}))
"""


def own(python: Path, backend: Backend, lock: str = "aligned") -> Environment:
    """That interpreter as the backend's environment; its notes say what differs from the lock.

    Raises:
        EnvironmentError_: it does not run; its framework is missing, or of an unknown version.
    """
    wanted = read_lock(backend, lock)
    # Not resolved: the interpreter of a virtual environment is a link, and the link is what counts.
    python = python.expanduser().absolute()
    facts = _ask(python)
    versions: dict[str, str] = facts["versions"]
    version = versions.get(backend.package)
    remedy = (
        f"install it there: {python} -m pip install '{backend.package}=="
        f"{wanted.pins.get(backend.package, '')}', or leave `--python` out"
    )
    if version is None:
        raise EnvironmentError_(Problem(f"{python} has no {backend.package}", hint=remedy))
    others = (*backend.apart.values(), *backend.besides.values())
    apart = (each.versions for each in others if each.lock == lock)
    known = next(apart, backend.versions)
    if not SpecifierSet(known).contains(version, prereleases=True):
        raise EnvironmentError_(
            Problem(
                f"{python} has {backend.package} {version}; this ftspec knows {known}", hint=remedy
            )
        )
    return Environment(
        backend=backend.name,
        lock=lock,
        key=OWN,
        torch="cpu" if versions.get("torch", "").endswith("+cpu") else "cuda",
        python=python,
        bin=python.parent,
        folder=Path(facts["prefix"]),
        versions=versions,
        notes=tuple(_differences(wanted, versions)),
    )


def _differences(wanted: Lock, versions: dict[str, str]) -> list[str]:
    notes = []
    for name, pinned in sorted(wanted.pins.items()):
        have = versions.get(name)
        # A local build (2.11.0+cpu) is the same release. CUDA's libraries come with torch, or not.
        if name.startswith(("nvidia-", "cuda-")) or (have or "").partition("+")[0] == pinned:
            continue
        notes.append(f"{name}: {have or 'missing'}, the lock `{wanted.name}` has {pinned}")
    return notes


def _ask(python: Path) -> dict[str, Any]:
    try:
        answer = subprocess.run(
            [str(python), "-c", _ASK], capture_output=True, text=True, timeout=60, check=True
        )
        facts: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        said = "it does not answer as one"
        if isinstance(error, OSError):
            said = error.strerror or str(error)
        raise EnvironmentError_(
            Problem(
                f"{python} is not a Python that runs: {said}",
                hint="give the path of an interpreter, such as .venv/bin/python",
            )
        ) from error
    return facts
