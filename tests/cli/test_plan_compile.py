"""What is planned is what is run, and what is compiled is what was asked for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from ftspec.emit.file import File
from ftspec.plan import stages
from ftspec.plan.choose import choose
from ftspec.plan.stages import Plan, Stage
from ftspec.plan.values import Resolved
from ftspec.plan.wording import sentence
from ftspec.registry import names
from ftspec.run.perform import perform
from ftspec.spec.load import load
from tests.cli.conftest import Command


def test_plan_and_run_know_the_same_stages() -> None:
    kinds = set(Stage.__args__)
    assert len(kinds) == 9
    stated = {kind for kind in vars(stages).values() if is_dataclass(kind)}
    assert kinds == stated - {File, Plan, Resolved}
    for kind in kinds:
        assert perform.dispatch(kind) is not perform.dispatch(object), kind


def test_plan_lists_what_run_walks(
    ftspec: Command, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write()
    walked: list[Stage] = []
    monkeypatch.setattr("ftspec.run.execute.perform", lambda stage, _context: walked.append(stage))
    monkeypatch.setattr("ftspec.cli.run.find_environment", lambda *_: None)
    done = ftspec("run", file, "--backend", "trl", "--json")
    assert done.code == 0, done.err
    plan, _ = choose(load(file), "trl")
    assert walked == list(plan.stages)
    listed = json.loads(ftspec("plan", file, "--backend", "trl", "--json").out)["stages"]
    assert [entry["stage"] for entry in listed] == [type(stage).__name__ for stage in walked]
    assert [entry["does"] for entry in listed] == [sentence(stage) for stage in walked]
    text = ftspec("plan", file, "--backend", "trl").out
    steps = re.findall(r"^ +(\d+)\. (.+)$", text, re.MULTILINE)
    assert [step for _, step in steps] == [sentence(stage) for stage in walked]
    assert [int(number) for number, _ in steps] == list(range(1, len(walked) + 1))


def test_derived_numbers_say_where_they_come_from(
    ftspec: Command, write: Callable[..., Path]
) -> None:
    file = write(("  batch_size: 4", "  batch_size: 48\n  warmup_ratio: 0.5"))
    text = " ".join(ftspec("plan", file).out.split())
    for words in (
        "train.micro_batch_size 8 derived: largest that divides, at most 8",
        "derived.accumulation_steps 6 derived: 48 / (8 x 1)",
        "train.warmup_steps 2 derived: 0.5 of 4 steps",
        "method.tuner.alpha 32 derived: 2 x rank",
        "train.learning_rate 0.0002 derived: the usual rate for lora",
        "output.folder runs/spec derived: runs/ and the spec's name",
        "train.batch_size 48 spec",
    ):
        assert words in text, words


def test_the_first_capable_backend_is_taken_and_the_reason_said(
    ftspec: Command, write: Callable[..., Path]
) -> None:
    file = write()
    assert ftspec("plan", file).out.startswith("trl (first in run.backends), in ")
    sets = ["--set", "hardware.zero=2", "--set", "run.backends=[unsloth, trl, deepspeed]"]
    done = ftspec("plan", file, *sets)
    why = "first in run.backends that can do all of this spec (unsloth, trl cannot)"
    assert done.out.startswith(f"deepspeed ({why}), in ")
    assert json.loads(ftspec("plan", file, *sets, "--json").out)["chosen_because"] == why
    assert ftspec("plan", file, "--backend", "unsloth").out.startswith("unsloth (asked for), in ")


def test_run_says_which_backend_and_why_on_stderr(
    ftspec: Command, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftspec.run.execute.perform", lambda _stage, _context: None)
    monkeypatch.setattr("ftspec.cli.run.find_environment", lambda *_: None)
    file = write()
    done = ftspec("run", file, "--set", "run.backends=[llamafactory, trl]")
    assert done.code == 0
    assert "llamafactory (first in run.backends), in " in " ".join(done.err.split())
    assert re.fullmatch(r"done in \d+ s: \S+\n", done.out)


# compile


def test_compile_writes_each_capable_backend_and_names_the_rest(
    ftspec: Command, write: Callable[..., Path]
) -> None:
    file = write()
    done = ftspec("compile", file, "-o", "build", "--set", "hardware.devices=2")
    assert done.code == 0
    assert sorted(path.name for path in Path("build").iterdir()) == sorted(
        set(names()) - {"axolotl", "unsloth"}
    )
    # Nobody asked for axolotl: its reasons are one command away, those of the others are here.
    brief, full, *reasons = done.err.splitlines()
    assert brief == f"axolotl: left out (`ftspec validate {file}` says why)"
    assert full == "unsloth: left out" and reasons
    asked = ftspec("compile", file, "-o", "build", "--backend", "all", "--overwrite")
    assert asked.err.startswith("axolotl: left out\n  ")
    assert "Unsloth: hardware.devices = 2: " in done.err
    assert "left out" not in done.out
    told = json.loads(
        ftspec("compile", file, "-o", "build", "--set", "hardware.devices=2", "--json").out
    )
    assert set(told["refused"]) == {"axolotl", "unsloth"}
    assert set(told["written"]) == set(names()) - {"axolotl", "unsloth"}
    for paths in told["written"].values():
        assert len(paths) >= 4
        assert all(Path(path).is_file() for path in paths)


def test_compile_of_one_backend_writes_to_the_folder_itself(
    ftspec: Command, write: Callable[..., Path]
) -> None:
    assert ftspec("compile", write(), "-o", "build", "--backend", "trl").code == 0
    assert {path.name for path in Path("build").iterdir()} == {
        "train.py", "launch.sh", "requirements.txt", "manifest.json",
    }  # fmt: skip
    assert os.access("build/launch.sh", os.X_OK)


def test_a_file_that_was_changed_by_hand_is_kept(
    ftspec: Command, write: Callable[..., Path]
) -> None:
    file = write()
    assert ftspec("compile", file, "-o", "build", "--backend", "trl").code == 0
    script = Path("build/train.py")
    mine = script.read_text() + "# mine\n"
    script.write_text(mine)
    before = {path.name: path.read_bytes() for path in Path("build").iterdir()}
    done = ftspec("compile", file, "-o", "build", "--backend", "trl", "--set", "train.seed=1")
    assert done.code == 8
    assert done.err == (
        "build/train.py: error[output]: build/train.py is already there and was changed after ftspec"
        " wrote it\n  help: choose another folder, or replace it with --overwrite\n"
    )
    assert {path.name: path.read_bytes() for path in Path("build").iterdir()} == before
    again = ftspec("compile", file, "-o", "build", "--backend", "trl", "--overwrite")
    assert again.code == 0
    assert "# mine" not in script.read_text()


def test_what_is_nearly_the_same_needs_a_yes_and_is_told(
    ftspec: Command, write: Callable[..., Path]
) -> None:
    file = write(("  overflow: error\n", ""))
    arguments = ["compile", file, "-o", "build", "--backend", "llamafactory"]
    done = ftspec(*arguments)
    assert done.code == 4
    assert "--allow-lossy accepts that" in done.err
    assert not Path("build").exists()
    done = ftspec(*arguments, "--allow-lossy")
    assert done.code == 0
    assert "  nearly: data.overflow: a row longer than" in done.out
    assert "data.overflow" in json.loads(Path("build/manifest.json").read_text())["notes"][0]


@pytest.mark.parametrize(("here", "other"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_the_machine_that_decided_is_told(
    ftspec: Command,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    here: str,
    other: str,
) -> None:
    """Files that are written on a laptop are not silently for a laptop."""
    monkeypatch.setattr("ftspec.plan.machine.device", lambda: here)
    file = write()
    told = f"written for hardware.device: {here}, since"
    remedy = f"for another machine: --set hardware.device={other}"
    auto = ("compile", str(file), "--backend", "trl", "--set", "hardware.device=auto")
    done = ftspec(*auto, "-o", "auto")
    assert done.code == 0, done.err
    assert told in done.err and remedy in done.err
    (note,) = json.loads(ftspec(*auto, "-o", "more", "--json").out)["notes"]
    assert note.startswith(told)
    said = ftspec(*auto[:-1], "hardware.device=cpu", "-o", "said")
    assert "hardware.device" not in said.err
