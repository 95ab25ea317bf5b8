"""The run folder: one run at a time, nobody's results lost, readable after any crash."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import OutputError, RunError
from ftspec.run.folder import Journal, claim, read_events
from ftspec.run.state import Owner, State, as_bytes, is_alive, owner, read_state


def claimed(folder: Path, digest: str = "d1", **more: Any) -> AbstractContextManager[Journal]:
    options = {"spec": "mine", "backend": "trl", "results": "model", **more}
    return claim(folder, digest, **options)


def finish(folder: Path, digest: str = "d1", status: str = "done") -> None:
    with claimed(folder, digest) as journal:
        journal.save(status=status)
        (folder / "model").mkdir(exist_ok=True)
        (folder / "model" / "weights").write_text(digest)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    with claimed(tmp_path) as journal:
        journal.save(stage="train", message="ümlaut")
        assert read_state(tmp_path) == journal.state
    assert read_state(tmp_path / "elsewhere") is None


def test_events_are_appended(tmp_path: Path) -> None:
    for number in (1, 2):
        with claimed(tmp_path) as journal:
            journal.note("step", number=number)
    assert [event["number"] for event in read_events(tmp_path)] == [1, 2]


def test_a_torn_line_spoils_only_itself(tmp_path: Path) -> None:
    with claimed(tmp_path) as journal:
        journal.note("one")
        journal.note("two")
        path = tmp_path / "run" / "events.jsonl"
        for cut in range(1, len(path.read_bytes().splitlines()[1])):
            whole = path.read_bytes()
            path.write_bytes(whole[:-cut])
            journal.note("three")
            assert [event["event"] for event in read_events(tmp_path)] in (
                ["one", "three"],
                ["one", "two", "three"],  # only the line's end was missing
            )
            path.write_bytes(whole)


def test_events_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    with claimed(tmp_path) as journal:
        (tmp_path / "run" / "events.jsonl").write_bytes(b'\xff\x00\n[1]\n{"event": "x"}\n')
        journal.note("y")
    assert [event["event"] for event in read_events(tmp_path)] == ["x", "y"]


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    with claimed(tmp_path) as journal:
        journal.save()
        with (
            pytest.raises(RunError, match=f"is in use by process {os.getpid()}") as caught,
            claimed(tmp_path),
        ):
            pass
        assert "another output.folder" in caught.value.problems[0].hint
    with claimed(tmp_path):
        pass


def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from ftspec.run.folder import claim\n"
        "with claim(Path(sys.argv[1]), 'd', spec='s', backend='b', results='model') as journal:\n"
        "    journal.save(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RunError, match="is in use"), claimed(tmp_path, "d"):
            pass
        other.kill()
    # Killed without a word: its lock is gone with it, and its state is known to be stale.
    state = read_state(tmp_path)
    assert state is not None
    assert state.status == "running"
    assert not is_alive(state.owner)
    with claimed(tmp_path, "d"):
        pass


def test_a_dead_runs_supervisor_is_waited_for(tmp_path: Path) -> None:
    with claimed(tmp_path) as journal:
        journal.save()
        dead = replace(journal.state, owner=Owner(owner().pid, 1, owner().boot))
        (tmp_path / "run" / "state.json").write_bytes(as_bytes(dead))
        # A process that has inherited the lock, as a supervisor does, and goes soon.
        context = multiprocessing.get_context("fork")
        holder = context.Process(target=time.sleep, args=(0.5,))
        holder.start()
    begun = time.monotonic()
    with claimed(tmp_path):
        assert 0.2 < time.monotonic() - begun < 5
    holder.join()


def test_a_process_is_not_taken_for_its_successor() -> None:
    me = owner()
    assert is_alive(me)
    assert not is_alive(replace(me, started=me.started + 1))
    assert not is_alive(replace(me, boot="another"))


@pytest.mark.parametrize("status", ["done", "failed", "interrupted", "running"])
def test_results_of_another_spec_are_safe(tmp_path: Path, status: str) -> None:
    finish(tmp_path, "d1", status)
    with (
        pytest.raises(RunError, match="holds results of another spec") as caught,
        claimed(tmp_path, "d2"),
    ):
        pass
    assert "--overwrite" in caught.value.problems[0].hint
    assert (tmp_path / "model" / "weights").read_text() == "d1"


def test_results_of_another_backend_are_safe(tmp_path: Path) -> None:
    finish(tmp_path)
    with pytest.raises(RunError, match="mine on trl"), claimed(tmp_path, backend="unsloth"):
        pass


def test_results_that_ftspec_did_not_make_are_safe(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").touch()
    with pytest.raises(RunError, match="did not start"), claimed(tmp_path):
        pass


def test_finished_results_are_not_trained_over(tmp_path: Path) -> None:
    finish(tmp_path)
    with pytest.raises(RunError, match="finished results"), claimed(tmp_path):
        pass


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_second_attempt_starts_clean(tmp_path: Path, status: str) -> None:
    for number in (1, 2):
        finish(tmp_path, status=status)
        with claimed(tmp_path) as journal:
            assert journal.make_room(overwrite=False, keep=False) == tmp_path / f"model.{number}"
            assert not (tmp_path / "model").exists()


def test_a_resumed_run_keeps_its_checkpoints(tmp_path: Path) -> None:
    finish(tmp_path, status="interrupted")
    with claimed(tmp_path) as journal:
        assert journal.make_room(overwrite=False, keep=True) is None
        assert (tmp_path / "model" / "weights").exists()


def test_overwrite_overwrites(tmp_path: Path) -> None:
    finish(tmp_path, "d1")
    with claimed(tmp_path, "d2", overwrite=True) as journal:
        assert journal.make_room(overwrite=True, keep=False) is None
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 99}'])
def test_a_state_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.json").write_text(content)
    with pytest.raises(RunError) as caught, claimed(tmp_path):
        pass
    assert "--overwrite" in caught.value.problems[0].hint
    with claimed(tmp_path, overwrite=True):
        pass


def test_a_newer_ftspec_may_add_facts(tmp_path: Path) -> None:
    with claimed(tmp_path) as journal:
        journal.save()
    path = tmp_path / "run" / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "more": 1}))
    assert isinstance(read_state(tmp_path), State)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"), claimed(tmp_path / "file"):
        pass


def test_a_full_disk_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with claimed(tmp_path) as journal:
        journal.save(stage="one")
        before = (tmp_path / "run" / "state.json").read_bytes()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            journal.save(stage="two")
        assert (tmp_path / "run" / "state.json").read_bytes() == before
