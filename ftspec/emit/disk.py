"""Files onto the disk: whole or not at all, nowhere outside the folder, over nobody's work."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ftspec.emit.manifest import NAME, Emitted, recorded, sha256
from ftspec.emit.plain import hidden, shown
from ftspec.errors import OutputError, Problem

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space, or choose another folder",
    errno.EDQUOT: "your quota is used up: free some space, or choose another folder",
    errno.EACCES: "you may not write there: choose another folder, or change its permissions",
    errno.EPERM: "you may not write there: choose another folder, or change its permissions",
    errno.EROFS: "that file system is read-only: choose another folder",
    errno.ENOENT: "its folder is not there: make it, or choose another",
    errno.ENOTDIR: "a part of that path is a file: choose another folder",
    errno.EEXIST: "a part of that path is a file, or a link to nothing: choose another folder",
    errno.EISDIR: "a folder of that name is in the way: move it away, or choose another folder",
    errno.ENAMETOOLONG: "the name is too long for that file system: choose a shorter one",
    errno.ELOOP: "a symbolic link in that path leads to itself: remove it",
}


def write_atomic(path: Path, content: bytes, executable: bool = False) -> None:
    """Write a file so that whoever looks sees the old content or the new, never a part.

    Raises:
        OutputError: it cannot be written; the old file is untouched.
    """
    with _explained(path):
        temporary = _write_beside(path, content, executable)
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync(path.parent)


def write_files(folder: Path, files: Sequence[Emitted], overwrite: bool = False) -> None:
    """Write all files of a compiled folder, or leave the old ones as they were.

    A file that is already there is replaced only if its content is the same, or if the folder's
    manifest says that ftspec wrote exactly this content, or with `overwrite`.

    Raises:
        OutputError: a file cannot be written, would lie outside the folder, or is not ours.
    """
    targets = [(_inside(folder, file.path), file) for file in files]
    if len({target for target, _ in targets}) != len(targets):
        raise ValueError("two files of one path")
    old = {target: _content(target) for target, _ in targets}
    if not overwrite:
        _refuse_foreign(folder, targets, old)
    waiting: list[tuple[Path, Path]] = []
    done: list[Path] = []
    try:
        for target, file in targets:
            with _explained(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                waiting.append((_write_beside(target, file.content, file.executable), target))
        for temporary, target in waiting:
            with _explained(target):
                temporary.replace(target)
                done.append(target)
        for parent in dict.fromkeys(target.parent for target in done):
            _sync(parent)
    except BaseException:
        for temporary, _ in waiting:
            temporary.unlink(missing_ok=True)
        _restore(done, old)
        raise


def _write_beside(path: Path, content: bytes, executable: bool) -> Path:
    """A new file in the same folder, so that renaming it stays within one file system."""
    temporary = path.with_name(f".ftspec-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o777 if executable else 0o666)  # less the umask
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync(folder: Path) -> None:
    """Make a rename last through a power cut. Some network file systems cannot: not our failure."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _inside(folder: Path, path: str) -> Path:
    parts = PurePosixPath(path)
    if (
        not path
        or parts.is_absolute()
        or ".." in parts.parts
        or "\\" in path
        or hidden(path)
        or not parts.parts
    ):
        raise OutputError(Problem(f"{shown(path)} is not a path inside the output folder"))
    target = folder / parts
    with _explained(target):
        outside = not target.parent.resolve().is_relative_to(folder.resolve())
    if outside:
        raise OutputError(
            Problem(f"{target} leads out of {folder} over a symbolic link", hint="remove the link")
        )
    return target


def _content(path: Path) -> bytes | None:
    """What is there now; None if nothing is. A link counts as what it leads to."""
    with _explained(path):
        if path.exists() and not path.is_file():  # reading a pipe would wait forever
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def _refuse_foreign(
    folder: Path, targets: Sequence[tuple[Path, Emitted]], old: dict[Path, bytes | None]
) -> None:
    before = _content(folder / NAME)
    ours = (recorded(before) if before is not None else None) or {}
    problems = []
    for target, file in targets:
        there = old[target]
        if (there is None and not target.is_symlink()) or there == file.content:
            continue
        if there is not None and not target.is_symlink():
            if file.path == NAME and recorded(there) is not None:
                continue
            if ours.get(file.path) == sha256(there):
                continue
        why = (
            "was changed after ftspec wrote it"
            if file.path in ours
            else "was not written by ftspec"
        )
        problems.append(
            Problem(
                f"{target} is already there and {why}",
                file=str(target),
                hint="choose another folder, or replace it with --overwrite",
            )
        )
    if problems:
        raise OutputError(problems)


def _restore(done: Sequence[Path], old: dict[Path, bytes | None]) -> None:
    """Undo renames when a later one fails. What cannot be undone stays: the first error counts."""
    for target in done:
        content = old[target]
        with contextlib.suppress(OSError, OutputError):
            if content is None:
                target.unlink()
            else:
                write_atomic(target, content, executable=os.access(target, os.X_OK))


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = _REMEDIES.get(error.errno or 0, "choose another folder")
        raise OutputError(
            Problem(f"cannot write {path}: {reason}", file=str(path), hint=hint)
        ) from error
