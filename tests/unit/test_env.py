"""Environments are laid down once, whoever asks and however often it is interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ftspec.backend import Backend
from ftspec.env import install, store, uv
from ftspec.env.locks import read_lock
from ftspec.errors import EnvironmentError_
from tests.unit.fake_uv import LOCK, demo_backend, fake_uv  # noqa: F401 - fixtures

pytestmark = pytest.mark.sweep


def test_an_environment_is_installed_once(
    demo: Backend, calls: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert install.find(demo) is None
    heard: list[uv.Progress] = []
    made = install.ensure(demo, progress=heard.append)
    again = install.ensure(demo)
    assert again == made == install.find(demo)
    assert len(calls("venv")) == 1
    assert made.folder.parent == tmp_path / "cache" / "environments"
    assert made.folder.name == f"demo-aligned-{read_lock(demo).key}-{made.torch}"
    assert made.python.exists()
    assert {progress.done for progress in heard} >= {None, 0.5}
    facts = json.loads((made.folder / store.MARKER).read_text())
    assert facts["versions"]["demo"] == "1.0"
    assert set(facts) == {"backend", "date", "ftspec", "key", "lock", "python", "torch", "versions"}
    (arguments,) = calls("install")
    assert "--no-deps --require-hashes" in arguments


@pytest.mark.parametrize(
    ("said", "cause", "remedy"),
    [
        (
            "error: Failed to write: No space left on device (os error 28)",
            "disk is full",
            "FTSPEC_CACHE",
        ),
        ("error: Hash mismatch for `demo==1.0`", "hash differs", "uv cache clean"),
        ("cause: dns error: failed to lookup address", "cannot be reached", "network"),
        ("error: HTTP status client error (401 Unauthorized)", "refuses access", "password"),
        ("invalid peer certificate: UnknownIssuer", "certificate", "SSL_CERT_FILE"),
        ("no wheels with a matching Python ABI tag", "this Python", "3.11 to 3.14"),
        ("no wheels with a matching platform tag", "this machine", "--python"),
        ("Because demo was not found in the package registry", "do not have", "index-url"),
        ("Failed to build `demo==1.0`", "could not be built", "compiler"),
        ("Permission denied (os error 13)", "cannot be written", "FTSPEC_CACHE"),
        ("what nobody foresaw", "uv failed with status 1", "doctor"),
    ],
)
def test_failures_name_their_cause_and_remedy(
    demo: Backend, monkeypatch: pytest.MonkeyPatch, said: str, cause: str, remedy: str
) -> None:
    monkeypatch.setenv("FAKE_UV", said)
    with pytest.raises(EnvironmentError_) as caught:
        install.ensure(demo)
    (problem,) = caught.value.problems
    assert cause in problem.message
    assert said.removeprefix("error: ")[:20] in problem.message
    assert remedy in problem.hint
    assert not store.installed()  # nothing is left on a disk that may be full
    monkeypatch.setenv("FAKE_UV", "ok")
    assert install.ensure(demo).python.exists()


def test_a_cache_that_cannot_be_written_is_an_error(
    demo: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTSPEC_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentError_) as caught:
        install.ensure(demo)
    assert "FTSPEC_CACHE" in caught.value.problems[0].hint


def test_an_incomplete_installation_is_noticed(
    demo: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_UV", "forget")
    with pytest.raises(EnvironmentError_, match=r"missing: demo 1\.0"):
        install.ensure(demo)


def test_remainders_are_wiped_and_redone(demo: Backend, calls: Callable[..., list[str]]) -> None:
    made = install.ensure(demo)
    (made.folder / store.MARKER).unlink()
    (made.folder / "half").write_text("")
    assert install.find(demo) is None
    said: list[str] = []
    install.ensure(demo, progress=lambda progress: said.append(progress.text))
    assert "an earlier installation is incomplete: starting afresh" in said
    assert not (made.folder / "half").exists()
    made.python.unlink()  # the interpreter it was made with was uninstalled
    assert install.find(demo) is None
    assert install.ensure(demo).python.exists()
    assert len(calls("venv")) == 3


CHILD = """\
import sys, pathlib
from ftspec.env import install, uv, variant
uv.binary = lambda: {program!r}
variant.nvidia_driver = lambda: ""
sys.path.insert(0, {root!r})
from tests.unit.fake_uv import backend
tell = lambda progress: print(progress.text, flush=True)
made = install.ensure(backend(pathlib.Path({locks!r})), progress=tell)
print(made.python)
"""


def _child(demo: Backend, mode: str) -> subprocess.Popen[str]:
    code = CHILD.format(
        program=uv.binary(), root=str(Path(__file__).parents[2]), locks=str(demo.env)
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "FAKE_UV": mode},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_install_once(demo: Backend, calls: Callable[..., list[str]]) -> None:
    with _child(demo, "slow") as first, _child(demo, "slow") as second:
        said = [child.communicate(timeout=60) for child in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert len(calls("venv")) == len(calls("install")) == 1
    lines = [out.splitlines() for out, _ in said]
    assert lines[0][-1] == lines[1][-1]
    assert sum("another process is installing it: waiting" in out for out in lines) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_installation_is_mended(
    demo: Backend, calls: Callable[..., list[str]], how: signal.Signals
) -> None:
    with _child(demo, "hang") as child:
        _wait(lambda: bool(calls("install")))
        child.send_signal(how)
        child.communicate(timeout=30)
    (orphan,) = [int(call.split()[0]) for call in calls("install")]
    assert install.find(demo) is None
    assert [each.complete for each in store.installed()] == [False]
    made = install.ensure(demo)
    assert install.find(demo) == made
    _wait(lambda: not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == "zombie")


def _wait(until: Callable[[], bool]) -> None:
    limit = time.monotonic() + 30
    while not until():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_the_lock_says_which_pythons(demo: Backend, calls: Callable[..., list[str]]) -> None:
    assert isinstance(demo.env, Path)
    (demo.env / "aligned.lock").write_text(LOCK.replace(">=3.11,<4", ">=3.9,<3.10"))
    install.ensure(demo)
    assert re.search(r"--python (>=3\.9,<3\.10|<3\.10,>=3\.9) ", calls("venv")[0])
