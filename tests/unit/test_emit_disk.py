"""Files reach the disk whole or not at all, inside the folder, over nobody's work; the manifest."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ftspec.emit import disk
from ftspec.emit.disk import write_atomic, write_files
from ftspec.emit.file import File
from ftspec.emit.manifest import manifest, recorded
from ftspec.errors import OutputError

JOB = SimpleNamespace(spec_name="quickstart", spec_hash="ab" * 32)
BACKEND = SimpleNamespace(name="trl", package="trl")


def compiled(*files: File) -> list[File]:
    made = manifest(
        JOB, BACKEND, files, lock_key="0123456789ab", versions={"trl": "1.16.0", "peft": "0.18.1"}
    )
    return [*files, made]


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_files_are_written_with_folders_and_modes(tmp_path: Path) -> None:
    files = compiled(File("a/b/train.py", b"x"), File.text("launch.sh", "é", executable=True))
    folder = tmp_path / "new" / "out"
    write_files(folder, files)
    assert contents(folder) == {file.path: file.content for file in files}
    assert os.access(folder / "launch.sh", os.X_OK)
    assert not (folder / "a/b/train.py").stat().st_mode & 0o111
    write_files(folder, files)  # once more: nothing to refuse


def test_our_own_files_are_replaced_and_others_are_not(tmp_path: Path) -> None:
    write_files(tmp_path, compiled(File("train.py", b"old")))
    write_files(tmp_path, compiled(File("train.py", b"new")))
    assert (tmp_path / "train.py").read_bytes() == b"new"

    (tmp_path / "train.py").write_bytes(b"edited")
    (tmp_path / "config.yaml").write_bytes(b"somebody's")
    before = contents(tmp_path)
    newer = compiled(File("train.py", b"newer"), File("config.yaml", b"ours"))
    with pytest.raises(OutputError) as caught:
        write_files(tmp_path, newer)
    messages = [problem.message for problem in caught.value.problems]
    assert len(messages) == 2
    assert "was changed after ftspec wrote it" in messages[0]
    assert "was not written by ftspec" in messages[1]
    assert all("--overwrite" in problem.hint for problem in caught.value.problems)
    assert contents(tmp_path) == before

    write_files(tmp_path, newer, overwrite=True)
    assert (tmp_path / "config.yaml").read_bytes() == b"ours"


@pytest.mark.parametrize(
    "text", ["{}", '{"ftspec": 1}', "no json", "[]", '{"ftspec": "1", "files": [1]}']
)
def test_a_foreign_manifest_is_nobodys_permission(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(OutputError, match=r"manifest\.json is already there"):
        write_files(tmp_path, compiled(File("train.py", b"x")))
    assert not (tmp_path / "train.py").exists()


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/x",
        "a/../../x",
        "a/..",
        "",
        ".",
        "a\\b",
        "a\nb",
        "\x00",
        "a/\u202eb",
        "./..",
        "//x",
    ],
)
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "out"
    with pytest.raises(OutputError, match="not a path inside"):
        write_files(folder, [File(path, b"x")])
    assert list(tmp_path.iterdir()) == []


def test_no_link_leads_out(tmp_path: Path) -> None:
    folder, outside = tmp_path / "out", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "train.py").write_bytes(b"mine")
    (folder / "sub").symlink_to(outside)
    (folder / "train.py").symlink_to(outside / "train.py")
    (folder / "dangling").symlink_to(outside / "nothing")
    with pytest.raises(OutputError, match="symbolic link"):
        write_files(folder, [File("sub/train.py", b"x")])
    for name in ("train.py", "dangling"):
        with pytest.raises(OutputError, match="already there"):
            write_files(folder, [File(name, b"x")])
    write_files(folder, [File("train.py", b"x")], overwrite=True)
    assert (outside / "train.py").read_bytes() == b"mine"
    assert not (folder / "train.py").is_symlink()


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "permissions"), (errno.EROFS, "read-only")],
)
@pytest.mark.parametrize(
    "fault", [("fsync", 1), ("fsync", 2), ("open", 3), ("replace", 1), ("replace", 3)]
)
def test_a_failure_leaves_the_old_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    remedy: str,
    fault: tuple[str, int],
) -> None:
    write_files(tmp_path, compiled(File("a", b"1"), File("b", b"1")))
    before = contents(tmp_path)
    call, failing = fault
    real, calls = getattr(os, call), []

    def fail(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) == failing:
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    monkeypatch.setattr(disk.os, call, fail)
    with pytest.raises(OutputError) as caught:
        write_files(tmp_path, compiled(File("c", b"2"), File("a", b"2"), File("b", b"2")))
    assert remedy in caught.value.problems[0].hint
    assert contents(tmp_path) == before


def test_an_interrupt_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, compiled(File("a", b"1")))
    before = contents(tmp_path)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(disk.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_files(tmp_path, compiled(File("a", b"2")))
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"3")
    assert contents(tmp_path) == before


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path, word in (
        ("file/train.py", "is a file"),
        ("folder", "in the way"),
        ("pipe", "in the way"),
    ):
        with pytest.raises(OutputError) as caught:
            write_files(tmp_path, [File(path, b"x")])
        assert word in caught.value.problems[0].hint
    with pytest.raises(OutputError) as caught:
        write_atomic(tmp_path / ("x" * 300), b"x")
    assert "shorter" in caught.value.problems[0].hint
    with pytest.raises(OutputError):
        write_atomic(tmp_path / "missing" / "file", b"x")


def test_two_files_of_one_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one path"):
        write_files(tmp_path, [File("a", b"1"), File("./a", b"2")])


def test_the_umask_is_respected(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write_atomic(tmp_path / "a", b"x", executable=True)
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_the_manifest_has_nothing_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [File("train.py", b"x"), File("b.sh", b"", executable=True)]
    first = compiled(*files)[-1]
    monkeypatch.chdir(tmp_path)
    assert compiled(*reversed(files))[-1].content == first.content
    content = json.loads(first.content)
    assert list(content) == [
        "ftspec",
        "spec",
        "backend",
        "framework",
        "lock",
        "versions",
        "notes",
        "files",
    ]
    assert content["framework"] == {"package": "trl", "version": "1.16.0"}
    assert content["files"]["b.sh"]["size"] == 0
    assert recorded(first.content) == {
        "b.sh": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "train.py": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
    }
