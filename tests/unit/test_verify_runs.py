"""The orchestrator: the probe's command line, and runs that end well, badly or not at all."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ftspec.emit.manifest import NAME as MANIFEST
from ftspec.errors import VerifyError
from ftspec.verify import verify as module
from ftspec.verify.certificate import from_json, to_json
from ftspec.verify.verify import EVIDENCE, LOG, PROBE, Run, Spec, probed, side_by_side, verify
from tests.unit.verify_samples import backend

SPEC = Spec("demo", "0" * 64, "model: tiny\n")
STUB = """
import json, os, sys, time
out = sys.argv[sys.argv.index("--out") + 1]
os.makedirs(out, exist_ok=True)
mode = open("mode").read()
if mode == "fail":
    print("ValueError: no such column")
    sys.exit(3)
if mode == "sleep":
    time.sleep(60)
with open(out + "/rank0.jsonl", "w") as file:
    def put(**event): print(json.dumps(event), file=file)
    put(kind="setting", schema=1, versions={"torch": "2"}, args={}, rows=2,
        threads=int(os.environ["OMP_NUM_THREADS"]))
    loss = 2.5 if mode == "other" else 2.0
    put(kind="log", step=1, loss=loss, grad_norm=1.0, learning_rate=0.0)
    put(kind="end", step=1)
print("loss is here")
"""


def run(folder: Path, mode: str = "fine", **changed: object) -> Run:
    folder.mkdir(parents=True)
    (folder / "mode").write_text(mode)
    manifest = {"ftspec": "0", "files": {"train.py": {"sha256": "ab"}}}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    given = {
        "backend": backend(folder.name),
        "folder": folder,
        "argv": ("{python}", "train.py"),
        "environ": dict(os.environ),
        "python": Path(sys.executable),
        "programs": Path(sys.executable).parent,
        "lock": "0123456789ab",
    }
    return Run(**{**given, **changed})  # type: ignore[arg-type]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A probe that needs no framework."""
    path = tmp_path / "stub.py"
    path.write_text(STUB)
    monkeypatch.setattr(module, "PROBE", path)
    return tmp_path


def test_a_script_is_run_by_the_probe(tmp_path):
    argv, environ = probed(run(tmp_path / "trl"), tmp_path / "out")
    assert argv == [
        sys.executable,
        str(PROBE),
        "--out",
        str(tmp_path / "out"),
        "script",
        "train.py",
    ]
    assert environ == dict(os.environ)


def test_a_launcher_in_front_stays_and_so_do_arguments_behind(tmp_path):
    words = ("{bin}/torchrun", "--standalone", "--nproc-per-node=2", "train.py", "--x")
    argv, _ = probed(run(tmp_path / "deepspeed", argv=words), tmp_path / "out")
    torchrun = str(Path(sys.executable).parent / "torchrun")
    assert argv[:4] == [torchrun, "--standalone", "--nproc-per-node=2", str(PROBE)]
    assert argv[-3:] == ["script", "train.py", "--x"]


def test_unsloth_is_imported_first(tmp_path):
    unsloth = backend("unsloth", first_import="unsloth")
    argv, _ = probed(run(tmp_path / "unsloth", backend=unsloth), tmp_path / "out")
    assert argv[4:] == ["--first-import", "unsloth", "script", "train.py"]


@pytest.mark.parametrize(
    ("environ", "front"),
    [
        ({}, ["PYTHON"]),
        (
            {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2", "NNODES": "1"},
            ["TORCHRUN", "--standalone", "--nproc-per-node=2"],
        ),
        (
            {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "4", "NNODES": "2"},
            ["TORCHRUN", "--nnodes=2", "--nproc-per-node=4"],
        ),
    ],
)
def test_llamafactory_is_called_instead_of_its_command_line(tmp_path, environ, front):
    factory = backend("llamafactory", entry="train.yaml", probe="llamafactory")
    words = ("{bin}/llamafactory-cli", "train", "train.yaml")
    given = run(tmp_path / "lf", backend=factory, argv=words, environ=environ)
    argv, left = probed(given, tmp_path / "out")
    names = {"PYTHON": sys.executable, "TORCHRUN": str(given.programs / "torchrun")}
    expected = [names.get(word, word) for word in front]
    assert argv == [
        *expected,
        str(PROBE),
        "--out",
        str(tmp_path / "out"),
        "llamafactory",
        "train.yaml",
    ]
    assert left == {}


def test_a_command_without_the_entry_is_refused(tmp_path):
    with pytest.raises(VerifyError, match=r"does not name train\.py"):
        probed(run(tmp_path / "trl", argv=("{python}", "other.py")), tmp_path)


def test_runs_are_compared_and_certified(stub):
    runs = {name: run(stub / name, mode) for name, mode in (("one", "fine"), ("two", "other"))}
    lines: list[tuple[str, str]] = []
    ends: list[tuple[str, str]] = []
    found = verify(
        runs,
        "one",
        SPEC,
        stub / "proof",
        on_line=lambda *line: lines.append(line),
        on_end=lambda *end: ends.append(end),
    )
    assert list(found.runs) == ["one", "two"]
    assert found.runs["one"].conclusion == "reference"
    assert found.runs["two"].conclusion == "differs"
    loss = next(check for check in found.runs["two"].checks if check.name == "first loss")
    assert (loss.reference, loss.other, loss.measured) == ("2.0", "2.5", 0.2)
    assert loss.cause
    assert found.runs["two"].files == {"train.py": "ab"}
    assert found.runs["two"].lock == "0123456789ab"
    assert found.exit_code == 1
    assert sorted(lines) == [("one", "loss is here"), ("two", "loss is here")]
    assert sorted(ends) == [("one", ""), ("two", "")]
    threads = {record.setting["threads"] for record in found.runs.values()}
    assert len(threads) == 1
    assert from_json(to_json(found)) == found
    assert str(stub) not in to_json(found)


def test_a_failed_run_is_reported_and_the_others_go_on(stub):
    runs = {
        name: run(stub / name, mode)
        for name, mode in (("one", "fine"), ("two", "fail"), ("three", "fine"))
    }
    found = verify(runs, "one", SPEC, stub / "proof")
    assert found.runs["two"].conclusion == "failed"
    assert "ValueError: no such column" in found.runs["two"].error
    assert found.runs["three"].conclusion == "incomplete"
    assert found.verdict == "failed"
    assert "ValueError" in (stub / "proof" / "two" / LOG).read_text()


def test_evidence_of_an_earlier_run_does_not_count(stub):
    old = stub / "proof" / "two" / EVIDENCE
    old.mkdir(parents=True)
    (old / "rank0.jsonl").write_text('{"kind": "setting", "schema": 1, "rows": 99}\n')
    runs = {name: run(stub / name, mode) for name, mode in (("one", "fine"), ("two", "fail"))}
    assert verify(runs, "one", SPEC, stub / "proof").runs["two"].setting == {}


def test_nothing_is_left_running_when_the_caller_stops(stub, monkeypatch):
    runs = {name: run(stub / name, "sleep") for name in ("one", "two")}

    class Stop(BaseException):
        pass

    def interrupted(self: object, timeout: float | None = None) -> None:
        time.sleep(1)
        raise Stop

    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    begun = time.monotonic()
    with pytest.raises(Stop):
        verify(runs, "one", SPEC, stub / "proof", jobs=2)
    assert time.monotonic() - begun < 20
    assert threading.active_count() < 5


def test_a_reference_and_something_to_compare_are_needed(tmp_path):
    only: Mapping[str, Run] = {"trl": run(tmp_path / "trl")}
    with pytest.raises(VerifyError, match="not among the backends"):
        verify(only, "unsloth", SPEC, tmp_path)
    with pytest.raises(VerifyError, match="one run proves nothing"):
        verify(only, "trl", SPEC, tmp_path)


def test_side_by_side_follows_memory_and_cores(monkeypatch):
    monkeypatch.setattr(module, "_cores", lambda: 4)
    assert side_by_side(3, need=1) == 3
    assert side_by_side(9, need=1) == 4
    assert side_by_side(9, need=2**60) == 1


def test_a_manifest_is_not_required(stub):
    one, two = (run(stub / name) for name in ("one", "two"))
    (two.folder / MANIFEST).unlink()
    found = verify({"one": one, "two": replace(two)}, "one", SPEC, stub / "proof")
    assert found.runs["two"].files == {}
