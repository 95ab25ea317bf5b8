"""A plan walked from end to end, with a launcher that trains nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from ftspec.backend import File
from ftspec.env.store import OWN, Environment
from ftspec.errors import DataError, RunError
from ftspec.plan.stages import (
    BuildEnvironment,
    CheckData,
    Collect,
    Launch,
    Plan,
    PrepareData,
    Stage,
    WriteFile,
)
from ftspec.plan.values import Resolved, Value
from ftspec.run.execute import Event, execute
from ftspec.run.folder import read_events
from ftspec.run.perform import Context, perform
from ftspec.run.state import read_state
from ftspec.spec.load import loads

pytestmark = pytest.mark.sweep

TRAIN = """
import json, os, pathlib, struct
print("{'loss': '2.5', 'epoch': '0.5'}"); print("{'loss': '2.0', 'epoch': '1'}")
folder = pathlib.Path("model"); folder.mkdir(exist_ok=True)
header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
data = struct.pack("<Q", len(header)) + header + bytes(4)
(folder / "adapter_model.safetensors").write_bytes(data)
print(os.environ["SETTING"], os.environ.get("RANK"), os.environ["PATH"].split(":")[0])
"""


def here() -> Environment:
    """This interpreter, as a person's own."""
    python = Path(sys.executable)
    return Environment("demo", "aligned", OWN, "cpu", python, python.parent, python.parent.parent)


@dataclass(frozen=True)
class Report:
    rows: int = 3
    trained_tokens: int = 7
    dropped: int = 0


def plan(folder: Path, script: str = TRAIN, *more: Stage) -> Plan:
    values = {
        "train.steps": Value(2, "spec"),
        "train.logging_steps": Value(1, "spec"),
        "train.resume": Value(None, "default"),
    }
    loaded = loads("model: org/base\ndata: rows.jsonl", str(folder / "mine.yaml"))
    resolved = Resolved(loaded, "mine", values)
    stages = (
        *more,
        WriteFile(File.text("train.py", script)),
        WriteFile(File.text("sub/data.json", "{}")),
        BuildEnvironment("trl", "aligned", "0" * 12),
        Launch(("{python}", "train.py", "{literal}"), {"SETTING": "set"}, ("RANK", "LOCAL_*")),
        Collect("model"),
    )
    return Plan("trl", resolved, {}, (), stages, folder / "out")


def status(folder: Path) -> tuple[str, str]:
    state = read_state(folder / "out")
    assert state is not None
    return state.status, state.stage


def test_a_run_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    events: list[Event] = []
    result = execute(plan(tmp_path), here(), events.append)
    assert [event.stage for event in events if event.kind == "start"] == [
        "write train.py",
        "write sub/data.json",
        "environment: aligned",
        "train",
        "collect results",
    ]
    lines = [event.text for event in events if event.kind == "line"]
    assert lines[-1] == f"set None {here().bin}"
    assert result.progress is not None
    assert (result.progress.step, result.progress.loss) == (2, 2.0)
    assert status(tmp_path) == ("done", "")
    noted = json.loads((tmp_path / "out/run/results.json").read_text())
    assert noted["files"] == result.files
    assert list(result.files) == ["adapter_model.safetensors"]
    assert result.log.read_text().splitlines() == lines
    kept = read_events(tmp_path / "out")
    assert [event["status"] for event in kept if event["event"] == "run"] == ["running", "done"]
    assert [e["progress"]["loss"] for e in kept if e["event"] == "progress"] == [2.5, 2.0]


def test_a_failed_run_names_its_stage_and_can_be_repeated(tmp_path: Path) -> None:
    broken = plan(tmp_path, f"{TRAIN}\nraise SystemExit(pathlib.Path('../fail').exists())")
    (tmp_path / "fail").touch()
    with pytest.raises(RunError, match="exit code 1"):
        execute(broken, here())
    assert status(tmp_path) == ("failed", "train")
    (tmp_path / "fail").unlink()
    execute(broken, here())
    assert status(tmp_path) == ("done", "")
    assert (tmp_path / "out/model.1/adapter_model.safetensors").exists()


def test_a_training_without_results_fails(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no weights"):
        execute(plan(tmp_path, "print('nothing')"), here())
    assert status(tmp_path) == ("failed", "collect results")


def test_outputs_of_two_specs_are_never_mixed(tmp_path: Path) -> None:
    execute(plan(tmp_path), here())
    other = plan(tmp_path, f"{TRAIN}\n# another")
    with pytest.raises(RunError, match="results of another spec"):
        execute(other, here())
    assert "# another" not in (tmp_path / "out/train.py").read_text()
    execute(other, here(), overwrite=True)
    assert not (tmp_path / "out/model.1").exists()


def test_finished_results_are_safe(tmp_path: Path) -> None:
    execute(plan(tmp_path), here())
    with pytest.raises(RunError, match="finished results"):
        execute(plan(tmp_path), here())


def test_data_stages_are_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def prepare(resolved: Resolved, *arguments: Any) -> Report:
        asked.append(arguments)
        return Report()

    monkeypatch.setattr("ftspec.plan.data_stages.check_split", prepare)
    monkeypatch.setattr("ftspec.plan.data_stages.prepare_split", prepare)
    stages = (CheckData("train", lengths=True), PrepareData("eval", "data/eval"))
    events: list[Event] = []
    execute(plan(tmp_path, TRAIN, *stages), here(), events.append)
    assert asked == [("train", True, False, False), ("eval", tmp_path / "out/data/eval", ())]
    assert [e.text for e in events if e.kind == "note"][:2] == ["3 rows, 7 trained tokens"] * 2


def test_bad_data_stops_the_run_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise DataError("row 3 is empty")

    monkeypatch.setattr("ftspec.plan.data_stages.check_split", refuse)
    with pytest.raises(DataError):
        execute(plan(tmp_path, TRAIN, CheckData("train", lengths=False)), here())
    assert status(tmp_path) == ("failed", "check data: train")
    assert not (tmp_path / "out/train.py").exists()


def test_the_digest_covers_what_is_trained(tmp_path: Path) -> None:
    first = plan(tmp_path)
    assert first.digest() == plan(tmp_path / "elsewhere").digest()
    launch = next(stage for stage in first.stages if isinstance(stage, Launch))
    others = [
        plan(tmp_path, "pass"),
        replace(first, backend="unsloth"),
        replace(first, stages=(*first.stages, replace(launch, argv=("x",)))),
        replace(first, stages=(*first.stages, replace(launch, environ={"A": "1"}))),
    ]
    assert first.digest() not in {other.digest() for other in others}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -2), (signal.SIGTERM, 143)])
def test_an_interrupt_is_written_down(tmp_path: Path, number: int, code: int) -> None:
    host = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from test_run_execute import here, plan, execute\n"
        "p = plan(Path(sys.argv[1]), \"import time; print('on'); time.sleep(60)\")\n"
        "execute(p, here(), lambda event: print(event.text, flush=True))"
    )
    command = [sys.executable, "-c", host, str(tmp_path), str(Path(__file__).parent)]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "on\n":
            pass
        process.send_signal(number)
        begun = time.monotonic()
        assert process.wait(5) == code
        assert time.monotonic() - begun < 5
    assert status(tmp_path) == ("interrupted", "train")
    assert read_events(tmp_path / "out")[-1]["status"] == "interrupted"


def test_a_stage_without_a_handler_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no handler for int"):
        perform(3, cast("Any", Context(plan(tmp_path), *cast("Any", [None] * 5))))
