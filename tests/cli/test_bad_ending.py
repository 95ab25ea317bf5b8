"""Disks that are full, folders that cannot be written, trainings that fail."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ftspec.env.store import OWN
from tests.cli.conftest import Command, Write, same


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (
            errno.ENOSPC,
            "No space left on device",
            "the disk is full: free some space, or choose another folder",
        ),
        (
            errno.EACCES,
            "Permission denied",
            "you may not write there: choose another folder, or change its permissions",
        ),
        (
            errno.EROFS,
            "Read-only file system",
            "that file system is read-only: choose another folder",
        ),
    ],
)
@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_folder_that_cannot_be_written(
    code: int, reason: str, remedy: str, call: str,
    ftspec: Command, write: Write, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = write()
    failing = OSError(code, os.strerror(code))
    really = getattr(os, call)

    def fail(first: Any, *rest: Any, **named: Any) -> Any:
        if call == "fsync" or ".ftspec-" in str(first):
            raise failing
        return really(first, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(f"ftspec.emit.disk.os.{call}", fail)
        done = ftspec("compile", file, "-o", "build", "--backend", "trl")
    assert (done.code, done.out) == (8, "")
    same(
        done.err,
        f"build/train.py: error[output]: cannot write build/train.py: {reason}\n  help: {remedy}\n",
    )
    assert list(Path("build").iterdir()) == []


def test_a_disk_that_fills_up_leaves_the_old_files(
    ftspec: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write()
    assert ftspec("compile", file, "-o", "build", "--backend", "trl").code == 0
    before = {path.name: path.read_bytes() for path in Path("build").iterdir()}
    replaced: list[Path] = []
    really = Path.replace

    def replace(self: Path, target: Path) -> Path:
        replaced.append(target)
        if len(replaced) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        done = ftspec("compile", file, "-o", "build", "--backend", "trl", "--set", "train.seed=1")
    assert done.code == 8
    assert "the disk is full" in done.err
    assert {path.name: path.read_bytes() for path in Path("build").iterdir()} == before


def test_a_folder_that_is_a_file(ftspec: Command, write: Write) -> None:
    Path("there").write_text("")
    done = ftspec("compile", write(), "-o", "there", "--backend", "trl")
    assert done.code == 8
    same(
        done.err,
        "there: error[output]: not a folder to write to\n"
        "  help: a file of that name is there: name a folder\n",
    )


@pytest.mark.parametrize(
    ("old", "new", "field", "folder"),
    [
        (
            "method: lora",
            "method: {tuner: {type: lora, adapter: ./absent}}",
            "method.tuner.adapter",
            "./absent",
        ),
        (
            "  steps: 4",
            "  steps: 4\n  resume: runs/old/checkpoint-2",
            "train.resume",
            "runs/old/checkpoint-2",
        ),
    ],
)
@pytest.mark.parametrize(
    "command", [("run", "--backend", "trl"), ("verify", "--backends", "trl,deepspeed")]
)
def test_a_folder_that_an_earlier_run_should_have_left(
    old: str, new: str, field: str, folder: str, command: tuple[str, ...],
    ftspec: Command, write: Write, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("ftspec.cli.run.find_environment", lambda *_: None)  # it is asked before
    file = write((old, new))
    name, *options = command
    done = ftspec(name, file, *options)
    assert done.code == 2
    assert f"error[spec]: {field}: there is no folder {folder}\n" in done.err
    assert "has the run that makes it ended well?" in done.err
    assert (
        ftspec("compile", file, "--backend", "trl", "-o", "build").code == 0
    )  # to be run elsewhere


@pytest.mark.parametrize(
    ("ending", "words", "remedy"),
    [
        (
            f"kill -{int(signal.SIGKILL)} $$",
            "exit code 137: killed (SIGKILL): often because memory ran out\n  Loading\n",
            "use a smaller train.micro_batch_size (the batch stays what it is) or a shorter "
            "data.max_length; ",
        ),
        (
            "echo 'ValueError: no chat template'; exit 1",
            "exit code 1\n  ValueError: no chat template\n",
            "",
        ),
        (
            "echo 'OSError: [Errno 28] No space left on device'; exit 1",
            "exit code 1\n  OSError: [Errno 28] No space left on device\n",
            "free some disk space, or choose another output.folder; ",
        ),
    ],
)
def test_a_training_that_fails(
    ending: str, words: str, remedy: str,
    ftspec: Command, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\necho Loading\n{ending}\n")
    python.chmod(0o755)
    place = SimpleNamespace(python=python, bin=python.parent, folder=tmp_path, key=OWN, versions={})
    monkeypatch.setattr("ftspec.cli.run.find_environment", lambda *_: place)
    done = ftspec("run", write(), "--backend", "trl")
    assert (done.code, done.out) == (7, "")
    same(
        done.err[done.err.index("error[run]") :],
        f"error[run]: training failed: python ended with {words}"
        f"  help: {remedy}the whole log: runs/spec/trl/run/train.log\n",
    )
    log = Path("runs/spec/trl/run/train.log").read_text()
    assert log.startswith("Loading\n")
