"""Makes a lock from its .in: names, versions and hashes for every platform, no addresses."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ftspec.backend import Backend
from ftspec.env.failures import disk_failure
from ftspec.env.locks import Lock, directives, parse_lock, read_lock, variables
from ftspec.env.uv import Listener, run_uv
from ftspec.errors import EnvironmentError_

_LOWEST = "3.11"
_HEADER = """\
# Made by `ftspec env lock {backend} --environment {name}` from {name}.in, for all platforms.
# Names, versions and hashes; no addresses. Change {name}.in, not this file.
#: python {python}
"""


@dataclass(frozen=True)
class Relocked:
    """A renewed lock, and what became of each package: (old version, new version), "" for none."""

    lock: Lock
    path: Path
    changes: Mapping[str, tuple[str, str]]


def relock(backend: Backend, name: str = "aligned", progress: Listener | None = None) -> Relocked:
    """Resolve the backend's .in anew and replace its lock.

    Raises:
        EnvironmentError_: there is no .in, it cannot be resolved, or the lock cannot be written.
    """
    folder = backend.env
    doing = f"locking {backend.name} {name}"
    if not isinstance(folder, Path) or not (folder / f"{name}.in").is_file():
        raise EnvironmentError_(
            f"{doing}: there is no file {name}.in to make it from",
            f"a lock is made from the backend's own folder of files: {folder}",
        )
    asked = (folder / f"{name}.in").read_text(encoding="utf-8")
    path = folder / f"{name}.lock"
    python = (*directives(asked, "python"), f">={_LOWEST}")[0]
    header = _HEADER.format(backend=backend.name, name=name, python=python)
    header += "".join(f"#: build {line}\n" for line in directives(asked, "build"))
    text = header + _resolve(asked, doing, f"{backend.name} {name}", progress)
    fresh = parse_lock(text, backend.name, name, asked)
    local = [f"{pin.name}=={pin.version}" for pin in fresh.requirements if "+" in pin.version]
    if local:
        raise EnvironmentError_(
            f"{doing}: {', '.join(local)} are local builds, which other machines cannot get",
            "lock with package sources that serve what PyPI serves",
        )
    before = dict(read_lock(backend, name).pins) if path.is_file() else {}
    draft = path.with_name(f".{path.name}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise disk_failure(doing, error) from error
    changes = {
        package: (before.get(package, ""), fresh.pins.get(package, ""))
        for package in sorted({*before, *fresh.pins})
        if before.get(package) != fresh.pins.get(package)
    }
    return Relocked(fresh, path, changes)


def _resolve(asked: str, doing: str, subject: str, progress: Listener | None) -> str:
    with tempfile.TemporaryDirectory(prefix="ftspec-") as place:
        source, overrides, made = (Path(place) / part for part in ("asked.in", "overrides", "made"))
        source.write_text(asked, encoding="utf-8")
        wanted = directives(asked, "override")
        overrides.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        run_uv(
            (
                *("pip", "compile", "--universal", "--python-version", _LOWEST),
                *("--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url"),
                *(("--override", str(overrides)) if wanted else ()),
                *(str(source), "-o", str(made)),
            ),
            doing,
            subject=subject,
            progress=progress,
            # Folders of wheels hold builds of this machine alone, such as torch==X+cpu.
            extra={"UV_FIND_LINKS": "", **variables(asked)},
        )
        return made.read_text(encoding="utf-8")
