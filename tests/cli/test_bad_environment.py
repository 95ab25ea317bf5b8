"""Environments that cannot be installed, and installations that were interrupted."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ftspec import registry
from ftspec.env import install, sources, uv, variant
from tests.cli.conftest import Command, Point, Write, same
from tests.unit.fake_uv import FAKE_UV, LOCK, backend


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
    assert done.out.startswith(f"demo aligned: {tmp_path}/cache/environments/demo-aligned-")


def test_an_interpreter_that_is_none(ftspec: Command, write: Write) -> None:
    done = ftspec("run", write(), "--python", "absent/python")
    assert (done.code, done.out) == (6, "")
    same(
        done.err.partition("error[environment]: ")[2],
        "{...}absent/python is not a Python that runs: {...}No such file or directory{...}\n"
        "  help: give the path of an interpreter, such as .venv/bin/python\n",
    )
