"""manifest.json: what was compiled from what, and every file's hash. Same input, same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import ftspec
from ftspec.emit.file import File
from ftspec.emit.json import dump

NAME = "manifest.json"


class Emitted(Protocol):
    """A file to be written; ftspec.emit.file.File is one."""

    @property
    def path(self) -> str:
        """Relative path, with slashes."""

    @property
    def content(self) -> bytes:
        """What is in it."""

    @property
    def executable(self) -> bool:
        """Whether it is a program."""


class _Job(Protocol):
    @property
    def spec_name(self) -> str: ...
    @property
    def spec_hash(self) -> str: ...


class _Backend(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def package(self) -> str: ...


def manifest(
    job: _Job,
    backend: _Backend,
    files: Sequence[Emitted],
    *,
    lock_key: str,
    versions: Mapping[str, str],
    notes: Sequence[str] = (),
) -> File:
    """The manifest of a compiled folder.

    No time, no host, no absolute path: they would make equal folders differ.
    """
    content: dict[str, Any] = {
        "ftspec": ftspec.__version__,
        "spec": {"name": job.spec_name, "sha256": job.spec_hash},
        "backend": backend.name,
        "framework": {"package": backend.package, "version": versions.get(backend.package)},
        "lock": lock_key,
        "versions": dict(sorted(versions.items())),
        "notes": list(notes),
        "files": {
            file.path: {"sha256": sha256(file.content), "size": len(file.content)}
            for file in sorted(files, key=lambda file: file.path)
        },
    }
    return File.text(NAME, dump(content))


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def recorded(content: bytes) -> dict[str, str] | None:
    """Path -> SHA-256 out of a manifest; None if this is no manifest of ours."""
    try:
        found = json.loads(content)
        if not isinstance(found["ftspec"], str):
            return None
        return {str(path): str(entry["sha256"]) for path, entry in found["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
