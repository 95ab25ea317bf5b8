"""Specs with stages on the command line."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ftspec.plan.pipeline import make_pipeline
from ftspec.plan.wording import sentence
from ftspec.spec.pipeline import Pipeline, load_any
from tests.cli.conftest import Command
from tests.conftest import SPECS

HERE = 'cd "$(dirname "$0")"\n'
STAGES = """\

stages:
  - name: first
    method: full
    run: deepspeed
  - name: second
    model: {stage: first}
    run: [llamafactory, trl]
  - name: third
    model: {stage: second, adapter: merge}
    precision: bf16
    run: trl
"""


@pytest.fixture
def staged(write: Callable[..., Path]) -> Path:
    file = write()
    file.write_text(file.read_text("utf-8") + STAGES, "utf-8")
    return file


def test_plan_shows_every_stage_and_the_merge(ftspec: Command, staged: Path) -> None:
    told = json.loads(ftspec("plan", staged, "--json").out)["stages"]
    assert [(one["name"], one["backend"]) for one in told] == [
        ("first", "deepspeed"),
        ("second", "llamafactory"),
        ("second-merged", "llamafactory"),
        ("third", "trl"),
    ]
    # what a stage will leave: float32, because all its weights train
    second = told[1]["values"]
    assert second["model.name"] == {
        "value": "./runs/spec/first/deepspeed/model",
        "origin": "derived",
        "why": "what stage first leaves",
    }
    assert second["derived.stored_dtype"]["value"] == "float32"
    assert told[1]["stages"][0]["does"].startswith("see that stage first has ended well")
    assert told[3]["stages"][0]["does"].startswith("see that stage second-merged has ended well")
    pipeline = load_any(staged)
    assert isinstance(pipeline, Pipeline)
    text = ftspec("plan", staged).out
    for link in make_pipeline(pipeline):
        for stage in link.plan.stages:
            assert sentence(stage)[:60] in text


def test_validate_says_who_can_run_each(ftspec: Command, staged: Path) -> None:
    done = ftspec("validate", staged, "--json")
    told = json.loads(done.out)
    assert (done.code, told["ok"]) == (0, True)
    assert list(told["stages"]) == ["first", "second", "third"]
    assert told["stages"]["third"]["backends"]["trl"] == {"ok": True}


def test_a_stage_that_none_can_run_is_named_and_the_rest_is_not_guessed_at(
    ftspec: Command, staged: Path
) -> None:
    done = ftspec("validate", staged, "--set", "stages.second.hardware.sequence_parallel=2")
    assert done.code != 0
    assert "third" not in done.out
    assert "stage second" in done.out + done.err
    done = ftspec("plan", staged, "--set", "stages.second.data.max_length=100000")
    assert done.code == 2
    assert "stage second: the positions of" in done.err


def test_compile_writes_a_folder_for_each_and_the_order(ftspec: Command, staged: Path) -> None:
    done = ftspec("compile", staged, "-o", "build")
    assert done.code == 0, done.err
    folders = sorted(path.name for path in Path("build").iterdir() if path.is_dir())
    assert folders == ["1-first", "2-second", "3-second-merged", "4-third"]
    config = Path("build/2-second/train.yaml").read_text("utf-8")
    assert 'model_name_or_path: "../../runs/spec/first/deepspeed/model"' in config
    script = Path("build/3-second-merged/merge.py").read_text("utf-8")
    assert 'BASE = "../../runs/spec/first/deepspeed/model"' in script
    assert 'ADAPTER = "../../runs/spec/second/llamafactory/model"' in script
    assert 'MERGED = "../../runs/spec/second-merged/llamafactory/model"' in script
    assert 'MODEL = "../../runs/spec/second-merged/llamafactory/model"' in Path(
        "build/4-third/train.py"
    ).read_text("utf-8")
    # again: the same bytes, and nobody's work is overwritten
    before = {path: path.read_bytes() for path in Path("build").rglob("*") if path.is_file()}
    assert ftspec("compile", staged, "-o", "build").code == 0
    assert before == {
        path: path.read_bytes() for path in Path("build").rglob("*") if path.is_file()
    }
    Path("build/run.sh").write_text("mine", "utf-8")
    assert ftspec("compile", staged, "-o", "build").code == 8
    assert ftspec("compile", staged, "-o", "build", "--backend", "all").code == 2


def test_the_order_goes_on_where_it_stopped(ftspec: Command, staged: Path) -> None:
    """run.sh without ftspec, with launch scripts that only say that they ran."""
    assert ftspec("compile", staged, "-o", "build").code == 0
    for folder in Path("build").glob("?-*"):
        script = f'{HERE}echo {folder.name} "$(command -v tool)" >> ../ran\n'
        (folder / "launch.sh").write_text(script, "utf-8")
    for name in ("one", "two"):
        (Path(name)).mkdir()
        (Path(name) / "tool").write_text("#!/bin/sh\n")
        (Path(name) / "tool").chmod(0o755)
    second = Path("build/2-second/launch.sh")
    good = second.read_text("utf-8")
    second.write_text(f"{HERE}echo 2-second >> ../ran\nexit 5\n", "utf-8")
    environ = {"PATH": "/usr/bin:/bin", "DEEPSPEED_BIN": "../one", "TRL_BIN": "../two"}

    def start() -> tuple[int, list[str]]:
        done = subprocess.run(["sh", "build/run.sh"], env=environ, capture_output=True, check=False)
        ran = Path("build/ran").read_text("utf-8").splitlines()
        Path("build/ran").write_text("", "utf-8")
        return done.returncode, ran

    code, ran = start()
    assert code == 5
    assert [line.split()[0] for line in ran] == ["1-first", "2-second"]
    assert ran[0].endswith("/one/tool")
    second.write_text(good, "utf-8")
    code, ran = start()
    assert code == 0
    assert [line.split()[0] for line in ran] == ["2-second", "3-second-merged", "4-third"]
    assert ran[0] == "2-second "
    assert ran[2].endswith("/two/tool")
    assert start() == (0, [])
    # what was compiled anew runs again, and what comes after it
    manifest = Path("build/2-second/manifest.json")
    manifest.write_text(manifest.read_text("utf-8") + "\n", "utf-8")
    assert [line.split()[0] for line in start()[1]] == ["2-second", "3-second-merged", "4-third"]


def test_a_merge_over_a_quantised_base_is_only_nearly_the_same(
    ftspec: Command, staged: Path
) -> None:
    quantised = ("--set", "stages.second.model.quantization=nf4")
    done = ftspec("plan", staged, *quantised)
    assert done.code == 4
    assert "stage second-merged: the adapter was trained over a quantised base" in done.err
    assert ftspec("plan", staged, *quantised, "--allow-lossy").code == 0


def test_one_stage_is_looked_at(ftspec: Command, staged: Path) -> None:
    done = ftspec("data", "preview", staged, "--stage", "second", "--rows", "1")
    assert done.code == 0, done.err
    assert "llamafactory" in done.out
    done = ftspec("data", "preview", staged, "--stage", "fourth")
    assert (done.code, "there is no stage fourth" in done.err) == (2, True)
    # a proof trains: not on what is not there
    done = ftspec("verify", staged, "--stage", "second", "--backends", "trl,deepspeed")
    assert (done.code, "stage first has not run" in done.err) == (7, True)
    staged.write_text(staged.read_text("utf-8").partition("stages:")[0], "utf-8")
    done = ftspec("data", "preview", staged, "--stage", "second")
    assert (done.code, "the spec has no stages" in done.err) == (2, True)


def test_commands_for_one_run_say_so(ftspec: Command, staged: Path) -> None:
    for command in (("verify",), ("data", "preview")):
        done = ftspec(*command, staged)
        assert done.code == 2
        assert "this spec has stages, and here one run is asked for" in done.err


def test_nothing_begins_before_every_stage_can_be_planned(ftspec: Command, staged: Path) -> None:
    done = ftspec("run", staged, "--set", "stages.third.train.schedule=nonsense")
    assert done.code == 2
    assert not Path("runs").exists()


def test_a_stage_names_the_environment_that_it_needs(ftspec: Command, tmp_path: Path) -> None:
    """TRL twice, and PPO not in the same environment as the reward model before it."""
    spec = SPECS / "ppo-stages-tiny.yaml"
    assert ftspec("compile", spec, "-o", tmp_path / "build").code == 0
    script = (tmp_path / "build" / "run.sh").read_text("utf-8")
    assert re.findall(r'^stage (\S+) "\$\{(\w+):-\}"$', script, re.MULTILINE) == [
        ("1-answers", "LLAMAFACTORY_BIN"),
        ("2-reward", "TRL_BIN"),
        ("3-answers-merged", "LLAMAFACTORY_BIN"),
        ("4-ppo", "TRL_PPO_BIN"),
    ]
    assert "TRL_PPO_BIN=envs/trl-ppo/bin sh run.sh" in script
