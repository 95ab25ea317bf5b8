"""Every command: help, JSON, exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ftspec.cli import COMMANDS, cli
from ftspec.cli.shared import console
from ftspec.errors import FtspecError
from ftspec.registry import names
from ftspec.spec.load import load
from tests.cli.conftest import Command
from tests.conftest import ROOT, SPECS


def _leaves() -> list[tuple[str, ...]]:
    """Every command, subcommands too."""
    context = click.Context(cli)
    found: list[tuple[str, ...]] = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        inner = command.list_commands(context) if isinstance(command, click.Group) else []
        found += [(name, each) for each in inner] or [(name,)]
        found += [(name,)] if inner else []
    return found


def test_the_commands_are_those_of_the_documentation() -> None:
    assert list(COMMANDS) == [
        "init",
        "schema",
        "import",
        "port",
        "explain",
        "diff",
        "validate",
        "data",
        "plan",
        "compile",
        "run",
        "verify",
        "matrix",
        "env",
    ]
    inner = {path[1] for path in _leaves() if len(path) == 2}
    assert inner == {"list", "install", "remove", "lock", "doctor", "preview"}
    assert len(_leaves()) == 20


@pytest.mark.parametrize("path", _leaves(), ids=" ".join)
def test_help_has_an_example_that_is_a_command(path: tuple[str, ...], ftspec: Command) -> None:
    done = ftspec(*path, "--help")
    assert (done.code, done.err) == (0, "")
    example = re.search(r"^  Example: (ftspec .+)$", done.out, re.MULTILINE)
    assert example, done.out
    assert example[1].startswith(f"ftspec {' '.join(path)}")
    assert ftspec(*path, "-h").out == done.out
    if path not in (("env",), ("data",)):
        assert "--json" in done.out
    assert "Usage: ftspec" in done.out.splitlines()[0]


def test_the_overview_imports_no_command(ftspec: Command) -> None:
    loaded = {name for name in sys.modules if name.startswith("ftspec.cli.")}
    for name in loaded - {"ftspec.cli.shared"}:
        sys.modules.pop(name)
    done = ftspec("--help")
    assert all(name in done.out for name in COMMANDS)
    assert "_FTSPEC_COMPLETE=bash_source" in done.out
    again = {name for name in sys.modules if name.startswith("ftspec.cli.")}
    assert again <= {"ftspec.cli.shared"}


def test_the_version(ftspec: Command) -> None:
    import ftspec as package

    assert ftspec("--version").out == f"ftspec, version {package.__version__}\n"


def test_environments_are_not_removed_without_a_name(ftspec: Command) -> None:
    done = ftspec("env", "remove")
    assert (done.code, done.out) == (2, "")
    assert "say which" in done.err


# --json


QUIET = [
    ["validate", "spec.yaml"],
    ["plan", "spec.yaml"],
    ["compile", "spec.yaml", "-o", "build"],
    ["compile", "spec.yaml", "-o", "build/trl", "--backend", "trl"],
    ["schema"],
    ["schema", "-o", "schema.json"],
    ["init", "new.yaml"],
    ["env", "list"],
    ["env", "remove", "trl"],
    ["env", "doctor"],
]


@pytest.mark.parametrize("arguments", QUIET, ids=" ".join)
def test_json_is_one_document_and_nothing_else(
    arguments: list[str], ftspec: Command, write: Callable[..., Path]
) -> None:
    write()
    done = ftspec(*arguments, "--json")
    json.loads(done.out)
    assert done.out.endswith(("}\n", "]\n"))
    assert done.err == ""
    assert done.code == 0 or arguments == ["env", "doctor"]


WRONG = [
    (2, "spec", ["validate", "absent.yaml"]),
    (2, "spec", ["plan", "spec.yaml", "--set", "train.lr=1"]),
    (2, "spec", ["plan", "spec.yaml", "--set", "model.name=./absent"]),
    (3, "data", ["compile", "spec.yaml", "-o", "build", "--set", "data.train=absent.jsonl"]),
    (4, "unsupported", ["plan", "spec.yaml", "--set", "precision.tf32=true"]),
    (4, "unsupported", ["compile", "spec.yaml", "-o", "b", "--set", "precision.tf32=true"]),
    (5, "backend", ["plan", "spec.yaml", "--backend", "torchtune"]),
    (5, "backend", ["env", "install", "torchtune"]),
    (6, "environment", ["run", "spec.yaml", "--python", "absent/bin/python"]),
    (7, "run", ["run", "spec.yaml", "--set", "hardware.nodes=2"]),
    (8, "output", ["compile", "spec.yaml", "-o", "spec.yaml", "--backend", "trl"]),
    (8, "output", ["init", "spec.yaml"]),
    (9, "verify", ["verify", "spec.yaml", "--backends", "trl"]),
    (2, "usage", ["plan"]),
    (2, "usage", ["plan", "spec.yaml", "--bogus"]),
    (2, "usage", ["compile", "spec.yaml", "-o", ""]),
    (2, "usage", ["validate", ""]),
    (2, "usage", ["vallidate"]),
]


@pytest.mark.parametrize(("code", "word", "arguments"), WRONG, ids=lambda value: str(value)[:40])
def test_errors_have_their_exit_code_on_stderr_and_in_json(
    code: int, word: str, arguments: list[str], ftspec: Command, write: Callable[..., Path]
) -> None:
    write()
    plain = ftspec(*arguments)
    assert plain.code == code
    assert plain.out == ""
    assert "Traceback" not in plain.err
    assert (f"error[{word}]: " in plain.err) == (word != "usage")
    told = ftspec(*arguments, "--json")
    assert told.code == code
    error = json.loads(told.out)["error"]
    assert error["code"] == word
    for problem in error["problems"]:
        assert set(problem) == {"message", "path", "file", "line", "column", "hint"}
        assert problem["message"] in " ".join(plain.err.split()) or problem["message"] in plain.err


def test_every_exit_code_is_swept_and_documented() -> None:
    classes = {each.code: each.exit_code for each in FtspecError.__subclasses__()}
    assert {code for code, _, _ in WRONG} == set(classes.values())
    assert {(word, code) for code, word, _ in WRONG} - {("usage", 2)} == set(classes.items())
    text = (ROOT / "docs" / "errors.md").read_text()
    for word, code in classes.items():
        assert f"## {code} `{word}`: " in text


# --set, completion, typing errors


def test_set_overrides_the_file(ftspec: Command, write: Callable[..., Path]) -> None:
    write()
    sets = ["--set", "train.learning_rate=5e-5", "--set", "method.tuner.rank=4"]
    values = json.loads(ftspec("plan", "spec.yaml", *sets, "--json").out)["values"]
    assert values["train.learning_rate"] == {"value": 5e-5, "origin": "spec", "why": ""}
    assert values["method.tuner.alpha"] == {"value": 8, "origin": "derived", "why": "2 x rank"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_can_be_made(
    shell: str, ftspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # click asks bash for its version: not every machine has one that is new enough
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
    monkeypatch.setenv("_FTSPEC_COMPLETE", f"{shell}_source")
    done = ftspec()
    assert done.code == 0
    assert "_FTSPEC_COMPLETE" in done.out
    assert "ftspec" in done.out


def test_completion_knows_commands_and_options(
    ftspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_FTSPEC_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("COMP_WORDS", "ftspec v")
    assert ftspec().out.split() == ["plain,validate", "plain,verify"]
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv("COMP_WORDS", "ftspec plan --al")
    assert ftspec().out.split() == ["plain,--allow-lossy"]


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["vallidate"], "validate"),
        (["complie"], "compile"),
        (["plan", "x", "--bakend", "trl"], "--backend"),
        (["env", "doktor"], "doctor"),
    ],
)
def test_typing_errors_are_met_with_the_nearest_name(
    arguments: list[str], nearest: str, ftspec: Command
) -> None:
    done = ftspec(*arguments)
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"Did you mean ['`]{nearest}['`]\?", done.err), done.err
    assert done.err.startswith("Usage: ftspec")


# the rest


def test_validate_says_who_can(ftspec: Command, write: Callable[..., Path]) -> None:
    file = write()
    ready = ("--set", "data.prepare=ftspec", "--set", "train.warmup_steps=2")
    sets = [*ready, "--set", "train.micro_batch_size=4"]  # what axolotl insists on
    told = ftspec("validate", file, *sets).out
    assert told.splitlines() == [f"yes {name}" for name in names()]
    sets = ["--set", "hardware.zero=2", "--set", "run.backends=[trl]"]
    done = ftspec("validate", file, *sets)
    assert done.code == 4
    assert "yes deepspeed" in done.out
    assert "no  trl\n     --set hardware.zero=2: error[unsupported]: TRL: hardware.zero" in done.out
    told = json.loads(ftspec("validate", file, *sets, "--json").out)
    assert told["ok"] is False
    assert {name for name, result in told["backends"].items() if result["ok"]} == {
        "deepspeed",
        "llamafactory",
    }


def test_init_writes_a_spec_that_validates(ftspec: Command) -> None:
    done = ftspec("init", "chat.ftspec.yaml")
    assert done.code == 0
    assert done.out.splitlines()[0] == "wrote chat.ftspec.yaml and .ftspec.schema.json"
    rows = (
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    )
    Path("train.jsonl").write_text(rows)
    sets = [
        "--set",
        "model=./tiny-model",
        "--set",
        "data.max_length=512",
        "--set",
        "precision=fp32",
        "--set",
        "hardware.device=cpu",
    ]
    checked = ftspec("validate", "chat.ftspec.yaml", *sets)
    assert checked.code == 0, checked.out + checked.err
    assert len(load(Path("chat.ftspec.yaml")).positions) > 15


def test_init_overwrites_nothing_unasked(ftspec: Command) -> None:
    Path("mine.yaml").write_text("mine")
    done = ftspec("init", "mine.yaml")
    assert (done.code, done.out) == (8, "")
    assert done.err == "error[output]: mine.yaml is there already\n  help: --force overwrites it\n"
    assert Path("mine.yaml").read_text() == "mine"
    assert not Path(".ftspec.schema.json").exists()
    assert ftspec("init", "mine.yaml", "--force").code == 0
    assert Path("mine.yaml").read_text() != "mine"


def test_the_schema_is_the_one_that_is_shipped(ftspec: Command) -> None:
    assert ftspec("schema").out == (ROOT / "schemas" / "ftspec.v1.json").read_text()
    assert ftspec("schema", "-o", "there.json").out == "wrote there.json\n"
    assert Path("there.json").read_text() == ftspec("schema").out


def test_colours_are_for_terminals_only(ftspec: Command, write: Callable[..., Path]) -> None:
    file = write()
    for arguments in (["plan", file], ["validate", file], ["validate", "absent.yaml"]):
        done = ftspec(*arguments)
        assert "\x1b" not in done.out + done.err
    assert console().is_terminal is False


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`ftspec schema | head -1`: needs a pipe, so a process."""
    program = [sys.executable, "-m", "ftspec"]
    process = subprocess.Popen(
        [*program, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=SPECS
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == b"{\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 0
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full")
def test_a_full_disk_behind_the_output_is_told() -> None:
    program = [sys.executable, "-m", "ftspec"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*program, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 8
    assert done.stderr.startswith("error[output]: what it says cannot be written: ")
    assert "Traceback" not in done.stderr


@pytest.mark.sweep
def test_an_encoding_without_a_character_stops_nothing() -> None:
    program = [sys.executable, "-m", "ftspec"]
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*program, "matrix"], capture_output=True, env=environ, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u2713" in done.stdout
