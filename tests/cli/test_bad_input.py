"""Every class of mistake has its message: what is wrong, where, and how to mend it. Whole, each.

`{...}` in an expected text stands for whatever differs from machine to machine.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ftspec import registry
from ftspec.cli import main
from ftspec.env import install, sources, uv, variant
from ftspec.registry import names
from tests.cli.conftest import Command
from tests.conftest import SPECS
from tests.unit.fake_uv import FAKE_UV, LOCK, backend

Write = Callable[..., Path]


def same(said: str, expected: str) -> None:
    """Whole messages; `{...}` fits anything within a line."""
    pattern = re.escape(expected).replace(re.escape("{...}"), r"[^\n]*")
    assert re.fullmatch(pattern, said), f"{said}\n--- is not\n{expected}"


def row(*turns: str) -> str:
    """A line of chat, user first."""
    roles = ("user", "assistant")
    told = [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]
    return json.dumps({"messages": told}) + "\n"


# The spec file itself.

IN_THE_SPEC = {
    "wrong type": (
        [("batch_size: 4", "batch_size: four")],
        "spec.yaml:14:15: error[spec]: train.batch_size: expected a whole number, got the text 'four'\n",
    ),
    "out of range": (
        [("batch_size: 4", "batch_size: 0")],
        "spec.yaml:14:15: error[spec]: train.batch_size: expected 1 or more, got 0\n",
    ),
    "unknown key": (
        [("batch_size: 4", "batchsize: 4")],
        "spec.yaml:14:3: error[spec]: train.batchsize: `batchsize` is not a field of `train`\n"
        "  help: did you mean `batch_size`?\n",
    ),
    "a key of another place": (
        [("method: lora", "method: {type: lora}")],
        "spec.yaml:8:10: error[spec]: method.type: `type` is not a field of `method`\n"
        "  help: `type` belongs to `method.objective` or `method.tuner` or `train.optimizer`\n",
    ),
    "wrong YAML": (
        [("method: lora", "method: [lora")],
        "spec.yaml:10:10: error[spec]: a list in brackets goes wrong here\n"
        "  help: separate items with commas, close with `]`\n",
    ),
    "an alias": (
        [("method: lora", "method: *x")],
        "spec.yaml:8:9: error[spec]: {...}alias{...}\n  help: {...}\n",
    ),
    "duplicate key": (
        [("method: lora", "method: lora\nmethod: full")],
        "spec.yaml:9:1: error[spec]: `method` is there twice; it is first on line 8\n"
        "  help: keep one of them\n",
    ),
    "an invisible character": (
        [("model: ./tiny-model", "model: ./tiny\u202e-model")],
        "spec.yaml:1:14: error[spec]: the file holds the invisible character U+202E\n"
        "  help: remove it\n",
    ),
    "planned method": (
        [("method: lora", "method: qlora")],
        "spec.yaml:8:9: error[spec]: method `qlora` is not in this version of ftspec yet\n"
        "  help: LoRA over 4-bit weights; this version has `sft` with `full` or `lora`\n",
    ),
    "values that exclude each other": (
        [("  steps: 4", "  steps: 4\n  epochs: 1")],
        "spec.yaml:14:11: error[spec]: train.epochs: `epochs` and `steps` exclude each other: keep one\n",
    ),
    "missing model folder": (
        [("./tiny-model", "./tiny-modell")],
        "spec.yaml:1:8: error[spec]: model.name: there is no model folder ./tiny-modell\n"
        "  help: paths start at the spec's own folder; a hub id has no leading `.` or `/`\n",
    ),
    "a micro batch that does not divide": (
        [("batch_size: 4", "batch_size: 30\n  micro_batch_size: 4")],
        "spec.yaml:14:15: error[spec]: train.batch_size: a batch of 30 rows cannot be split over "
        "micro batch x devices = 4 (4 x 1)\n"
        "  help: a train.batch_size of 28 or 32 would do, or a train.micro_batch_size of "
        "1, 2, 3, 5, 6, 10, 15, 30\n",
    ),
    "a batch that devices cannot share": (
        [("batch_size: 4", "batch_size: 5"), ("device: cpu", "device: cpu\n  devices: 8")],
        "spec.yaml:14:15: error[spec]: train.batch_size: a batch of 5 rows cannot be split over "
        "devices = 8\n  help: a train.batch_size of 8 would do\n",
    ),
    "a hub data set of unknown format": (
        [("train: chat.jsonl", "train: org/rows"), ("  overflow: error\n", "")],
        "spec.yaml:4:10: error[spec]: data.train: the format of the hub data set org/rows cannot be "
        "seen from here\n"
        "  help: name it: `format: messages` (or sharegpt, alpaca, prompt-completion, text)\n",
    ),
}


@pytest.mark.parametrize("mistake", IN_THE_SPEC)
def test_mistakes_in_the_spec(mistake: str, ftspec: Command, write: Write) -> None:
    changes, message = IN_THE_SPEC[mistake]
    done = ftspec("validate", write(*changes))
    assert (done.code, done.out) == (2, "")
    same(done.err, message)


def test_all_mistakes_are_told_at_once(ftspec: Command, write: Write) -> None:
    file = write(
        ("batch_size: 4", "batchsize: 4"), ("max_length: 256", "max_length: no"),
        ("device: cpu", "device: gpu"),
    )  # fmt: skip
    done = ftspec("validate", file)
    lines = [line for line in done.err.splitlines() if "error[spec]" in line]
    assert [line.partition(": error")[0] for line in lines] == [
        "spec.yaml:5:15", "spec.yaml:14:3", "spec.yaml:17:11",
    ]  # fmt: skip


def test_files_that_are_no_spec(ftspec: Command, write: Write) -> None:
    write()
    same(
        ftspec("validate", "absent.yaml").err,
        "absent.yaml: error[spec]: there is no such file\n  help: the folder has spec.yaml\n",
    )
    same(
        ftspec("validate", ".").err,
        ".: error[spec]: this is a folder, not a spec\n  help: name the file in it: spec.yaml\n",
    )
    Path("empty.yaml").write_text("# nothing\n")
    same(
        ftspec("validate", "empty.yaml").err,
        "empty.yaml: error[spec]: the file is empty\n  help: start from `ftspec init`\n",
    )
    Path("list.yaml").write_text("- a\n")
    same(
        ftspec("validate", "list.yaml").err,
        "list.yaml:1:1: error[spec]: the file holds a list, not a spec\n"
        "  help: a spec is made of `key: value` lines; the least is `model:` and `data:`\n",
    )


def test_a_mistake_in_set_names_the_option(ftspec: Command, write: Write) -> None:
    done = ftspec("plan", write(), "--set", "train.learning_rate=fast")
    assert done.code == 2
    same(
        done.err,
        "--set train.learning_rate=fast: error[spec]: train.learning_rate: expected a number, "
        "got the text 'fast'\n",
    )


# Data.

GOOD = row("a", "b")
IN_THE_DATA = {
    "no file": (
        None,
        "mine.jsonl: error[data]: no such file\n  help: a path in a spec starts at the spec's folder\n",
    ),
    "an unreadable row": (
        GOOD + GOOD + '{"messages": [\n',
        "mine.jsonl:3:{...}: error[data]: invalid JSON: {...}\n"
        "  help: each line holds one complete JSON object\n",
    ),
    "no rows": (
        "",
        "mine.jsonl: error[data]: the file holds no rows\n  help: add at least one row\n",
    ),
    "nothing to train on": (
        GOOD + row("a"),
        "mine.jsonl:2: error[data]: the conversation ends with user, not with assistant\n"
        "  help: drop the last turn, or leave the row out\n",
    ),
    "another shape": (
        GOOD + '{"messages": "x"}\n',
        "mine.jsonl:2: error[data]: a list of messages is expected, not a text\n",
    ),
    "unknown columns": (
        '{"q": "x", "a": "y"}\n',
        "mine.jsonl: error[data]: no known format has the columns q, a; expected are messages: "
        "messages; sharegpt: conversations; prompt-completion: prompt + completion; alpaca: "
        "instruction + output; text: text\n  help: say which column is which: `columns: {messages: q}`\n",
    ),
    "a row too long": (
        GOOD + row("a", "b " * 400) + GOOD,
        "mine.jsonl:2: error[data]: the row has {...} tokens; the limit is 256\n"
        "  help: raise data.max_length, or set data.overflow to truncate or drop\n",
    ),
}


@pytest.mark.parametrize("mistake", IN_THE_DATA)
@pytest.mark.parametrize("command", ["validate", "compile"])
def test_mistakes_in_the_data(mistake: str, command: str, ftspec: Command, write: Write) -> None:
    content, message = IN_THE_DATA[mistake]
    if content is not None:
        Path("mine.jsonl").write_text(content)
    Path("chat.jsonl").unlink()  # or it would be offered as the nearest name
    more = ["-o", "build", "--backend", "trl"] if command == "compile" else []
    done = ftspec(command, write(("chat.jsonl", "mine.jsonl")), *more)
    assert (done.code, done.out) == (3, "")
    same(done.err, message)
    assert not Path("build").exists()


LONG = "x" * 300


@pytest.mark.parametrize(
    ("option", "code", "message"),
    [
        (
            f"data.train={LONG}.jsonl",
            3,
            f"{LONG}.jsonl: error[data]: the file cannot be read: File name too long\n",
        ),
        (
            f"model.name=./{LONG}",
            2,
            f"--set model.name=./{LONG}: error[spec]: model.name: there is no model folder ./{LONG}\n"
            "  help: paths start at the spec's own folder; a hub id has no leading `.` or `/`\n",
        ),
        (
            f"model.chat_template={LONG}",
            3,
            f"{LONG}: error[data]: model.chat_template: no such chat template\n"
            "  help: a path in a spec starts at the spec's folder\n",
        ),
    ],
)
def test_names_that_no_file_can_have(
    option: str, code: int, message: str, ftspec: Command, write: Write
) -> None:
    done = ftspec("validate", write(), "--set", option)
    assert (done.code, done.out) == (code, "")
    same(done.err, message)


def test_at_most_twenty_bad_rows_are_named(ftspec: Command, write: Write) -> None:
    Path("mine.jsonl").write_text(GOOD + row("a") * 50)
    done = ftspec("validate", write(("chat.jsonl", "mine.jsonl")))
    named = re.findall(r"^mine\.jsonl:(\d+): ", done.err, re.MULTILINE)
    assert named == [str(number) for number in range(2, 22)]
    assert "30 more" in done.err


# Backends.


def test_an_unknown_backend(ftspec: Command, write: Write) -> None:
    for arguments in (["plan"], ["run"], ["compile", "-o", "build"]):
        done = ftspec(*arguments, write(), "--backend", "tlr")
        assert done.code == 5
        same(
            done.err,
            "error[backend]: there is no backend `tlr`\n"
            "  help: did you mean `trl`? installed are: deepspeed, llamafactory, trl, unsloth\n",
        )
    assert ftspec("validate", write(), "--set", "run.backends=[tlr]").code == 5
    assert ftspec("validate", write(), "--set", "native.tlr.x=1").code == 5


UNSUPPORTED = {
    "trl": (
        ("device: cpu", "device: cpu\n  zero: 1"),
        "spec.yaml:18:9: error[unsupported]: TRL: hardware.zero.stage = 1: TRL alone does not shard; "
        "the deepspeed backend does (makes no sense there)\n  help: run.backends: deepspeed\n",
    ),
    "llamafactory": (
        ("model: ./tiny-model", "model: {name: ./tiny-model, dtype: bfloat16}"),
        "spec.yaml:1:36: error[unsupported]: LLaMA-Factory: model.dtype = 'bfloat16': weights are "
        "always held as the checkpoint stores them, there is no key for another type "
        "(the framework cannot)\n  help: model.dtype: auto\n",
    ),
    "unsloth": (
        ("device: cpu", "device: cpu\n  devices: 4"),
        "spec.yaml:18:12: error[unsupported]: Unsloth: hardware.devices = 4: several processes are "
        "not compiled for it yet (not in this version of ftspec)\n",
    ),
    "deepspeed": (
        ("precision: fp32", "precision: fp16"),
        "spec.yaml:10:12: error[unsupported]: DeepSpeed: precision.compute = 'fp16': its float16 "
        "casts the weights themselves and skips steps while it finds a loss scale: another training "
        "than mixed precision (the framework cannot)\n"
        "  help: precision.compute: bf16\n",
    ),
}


def test_every_backend_is_asked_for_what_it_cannot() -> None:
    assert set(UNSUPPORTED) == set(names())


@pytest.mark.parametrize("backend", UNSUPPORTED)
def test_what_a_backend_cannot(backend: str, ftspec: Command, write: Write) -> None:
    change, message = UNSUPPORTED[backend]
    done = ftspec("plan", write(change), "--backend", backend)
    assert (done.code, done.out) == (4, "")
    same(done.err, message)


NATIVE = {
    "what OmegaConf would interpret": (
        "llamafactory: {run_name: 'x ${y'}",
        "spec.yaml:20:28: error[unsupported]: native.llamafactory.run_name: LLaMA-Factory: run_name "
        "holds `${`, which OmegaConf, LLaMA-Factory's loader, interprets\n"
        "  help: rephrase it: there is no escape that leaves the text as it is\n",
    ),
    "a setting that no file would hold": (
        "trl: {packing: true}",
        "spec.yaml:20:18: error[unsupported]: native.trl.packing: TRL: `packing` would be in none of "
        "its files\n  help: name the call too, as in `SFTConfig.packing`\n",
    ),
    "a name that is none": (
        "unsloth: {SFTConfig.a b: 1}",
        "spec.yaml:20:28: error[unsupported]: native.unsloth.SFTConfig.a b: Unsloth: 'a b' is not "
        "the name of an argument\n  help: use the framework's own spelling\n",
    ),
    "a setting that ftspec decides": (
        "llamafactory: {dataset_dir: elsewhere}",
        "spec.yaml:20:31: error[unsupported]: native.llamafactory.dataset_dir: LLaMA-Factory: "
        "`dataset_dir` would be in none of its files\n"
        "  help: ftspec decides it, or there is no place for it: leave it out\n",
    ),
}


@pytest.mark.parametrize("mistake", NATIVE)
def test_native_settings_that_cannot_be_written(
    mistake: str, ftspec: Command, write: Write
) -> None:
    native, message = NATIVE[mistake]
    file = write(("device: cpu", f"device: cpu\n\nnative:\n  {native}"))
    done = ftspec("plan", file, "--backend", native.partition(":")[0])
    assert (done.code, done.out) == (4, "")
    same(done.err, message)


# Plugins.


@dataclass(frozen=True)
class Point:
    """An entry point."""

    name: str
    value: str
    result: Any

    @property
    def dist(self) -> SimpleNamespace:
        return SimpleNamespace(name=f"{self.value}-package")

    def load(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_plugins_that_are_broken_doubled_or_something_else(
    ftspec: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {
        "broken": (Point("broken", "b:x", ImportError("no module named torch")),),
        "doubled": (Point("doubled", "one:x", None), Point("doubled", "two:x", None)),
        "odd": (Point("odd", "odd:x", "a string"),),
    }
    monkeypatch.setattr(registry, "_points", lambda: points)
    registry.load.cache_clear()
    said = {name: ftspec("plan", write(), "--backend", name) for name in points}
    registry.load.cache_clear()
    assert {done.code for done in said.values()} == {5}
    same(
        said["broken"].err,
        "error[backend]: the backend `broken` (b:x) is broken: ImportError('no module named torch')\n"
        "  help: reinstall it\n",
    )
    same(
        said["doubled"].err,
        "error[backend]: two backends are called `doubled`: one:x-package (one:x), two:x-package "
        "(two:x)\n  help: uninstall one of them\n",
    )
    same(said["odd"].err, "error[backend]: the backend `odd` (odd:x) is not a Backend\n")


# Environments.


@pytest.fixture
def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv that does what $FAKE_UV says, and needs no network."""
    program = tmp_path / "uv"
    program.write_text(FAKE_UV.format(python=sys.executable, log=str(tmp_path / "calls")))
    program.chmod(0o755)
    monkeypatch.setattr(uv, "binary", lambda: str(program))
    monkeypatch.setattr(sources, "SYSTEM_FILES", ())
    monkeypatch.setattr(variant, "nvidia_driver", lambda: "")
    monkeypatch.setattr(install, "nvidia_driver", lambda: "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return program


def test_an_environment_that_cannot_be_installed(
    ftspec: Command, write: Write, fake_uv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_UV", "error: dns error: failed to lookup address information")
    done = ftspec("run", write(), "--backend", "trl")
    assert (done.code, done.out) == (6, "")
    same(
        done.err.partition("error[environment]: ")[2],
        "installing the environment {...}: the package index cannot be reached\n"
        "  uv: error: dns error: failed to lookup address information\n"
        "  help: check the network, HTTPS_PROXY and pip's index-url (`ftspec env doctor` shows it), "
        "then run the same command again: what was downloaded is kept\n",
    )
    monkeypatch.setenv("FAKE_UV", "error: No space left on device (os error 28)")
    done = ftspec("env", "install", "trl")
    assert done.code == 6
    assert "the disk is full" in done.err


def test_an_interrupted_installation_is_done_again(
    ftspec: Command, fake_uv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "aligned.lock").write_text(LOCK)
    point = Point("demo", "demo:x", backend(locks))
    monkeypatch.setattr(registry, "_points", lambda: {"demo": (point,)})
    monkeypatch.setenv("FAKE_UV", "ok")
    really = uv.run_uv

    def interrupted(arguments: tuple[str, ...], *rest: Any, **named: Any) -> None:
        if arguments[0] != "venv":
            raise KeyboardInterrupt
        really(arguments, *rest, **named)

    monkeypatch.setattr(install, "run_uv", interrupted)
    done = ftspec("env", "install", "demo")
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "interrupted"
    (listed,) = json.loads(ftspec("env", "list", "--json").out)
    assert (listed["backend"], listed["complete"], listed["usable"]) == ("demo", False, False)
    assert " interrupted " in ftspec("env", "list").out
    monkeypatch.setattr(install, "run_uv", really)
    done = ftspec("env", "install", "demo")
    registry.load.cache_clear()
    assert done.code == 0, done.err
    assert "an earlier installation is incomplete: starting afresh" in done.err
    assert done.out.startswith(f"demo: {tmp_path}/cache/environments/demo-aligned-")


def test_an_interpreter_that_is_none(ftspec: Command, write: Write) -> None:
    done = ftspec("run", write(), "--python", "absent/python")
    assert (done.code, done.out) == (6, "")
    same(
        done.err.partition("error[environment]: ")[2],
        "{...}absent/python is not a Python that runs: {...}No such file or directory{...}\n"
        "  help: give the path of an interpreter, such as .venv/bin/python\n",
    )


# The disk.


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
        "there/train.py: error[output]: cannot write there/train.py: Not a directory\n"
        "  help: a part of that path is a file: choose another folder\n",
    )


# Runs.


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
    place = SimpleNamespace(python=python, bin=python.parent)
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


# Never a traceback.


def mutations(text: str) -> list[str]:
    """Every line of a spec damaged in several ways."""
    lines = text.splitlines()
    damaged = []
    for number, line in enumerate(lines):
        body, indent = line.strip(), line[: len(line) - len(line.lstrip())]
        if not body or body.startswith("#"):
            continue
        key, _, value = body.partition(":")
        for other in (
            None, f"{indent} {body}", f"{indent}{key}", f"{indent}{key}:", f"{indent}{key}: [{value}",
            f"{indent}{key}x:{value}", f"{indent}{key}: -1", f"{indent}{key}: {{a: 1}}",
            f"{indent}{key}: [no, 1e400]", f"{indent}{key}: '", f"{line}\n{line}", f"\t{body}",
            f"{indent}{key}: *a", f"{indent}{key}: !!python/object:os.system {value}",
            f"{indent}{key}: &a {value}", f"{indent}- {body}", f"{indent}{key}: \u202e{value}",
            f"{indent}{key}: ./absent", f"{indent}{key}: 2024-01-01", f"{indent}{key}: |\n  {value}",
            f"{indent}{key}: 99999999999999999999999", f"{indent}? {body}", f"{indent}{key}: .nan",
        ):  # fmt: skip
            rest = lines[:number] + ([] if other is None else [other]) + lines[number + 1 :]
            damaged.append("\n".join(rest) + "\n")
    return damaged


def test_no_damage_to_a_spec_ends_in_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, somewhere: Path
) -> None:
    (somewhere / "data").symlink_to(SPECS / "data")
    specs = sorted(SPECS.glob("*.yaml"))
    texts = [text for spec in specs for text in mutations(spec.read_text("utf-8"))]
    assert len(specs) >= 7
    assert len(texts) >= 2500
    codes: dict[int, int] = {}
    for text in texts[::9]:  # a ninth of all, evenly: a few seconds
        Path("spec.yaml").write_text(text, "utf-8")
        monkeypatch.setattr("sys.argv", ["ftspec", "validate", "spec.yaml"])
        with pytest.raises(SystemExit) as stop:  # any other exception is a traceback
            main()
        code = stop.value.code
        assert isinstance(code, int)
        codes[code] = codes.get(code, 0) + 1
        said = capsys.readouterr()
        if code == 2:
            problems = re.findall(
                r"^spec\.yaml(:\d+:\d+)?: error\[spec\]: .+", said.err, re.MULTILINE
            )
            assert problems, said.err
        else:
            assert code == 0 or "error[" in said.err + said.out, text
    assert set(codes) <= {0, 2, 3, 4, 5}
    assert sum(codes.values()) >= 280
    assert codes[2] >= 180
