"""What is there, what is wrong with it, and how it goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ftspec.backend import Backend
from ftspec.env import doctor, exclusive, install, removal, store
from ftspec.env.locks import read_lock
from ftspec.env.variables import release_builds, variables
from ftspec.errors import EnvironmentError_
from tests.unit.fake_uv import backend, changed, demo_backend, fake_uv  # noqa: F401 - fixtures


def test_variables_lead_to_the_environment(demo: Backend) -> None:
    made = install.ensure(demo)
    foreign = {"PYTHONPATH": "/elsewhere", "VIRTUAL_ENV": "/other", "CONDA_DEFAULT_ENV": "base"}
    got = variables(made, {"PATH": "/usr/bin", "HOME": "/h", **foreign})
    assert got["PATH"] == f"{made.bin}{os.pathsep}/usr/bin"
    assert not foreign.keys() & got.keys()
    assert got["HOME"] == "/h"
    stale = Path(got["TORCH_EXTENSIONS_DIR"]) / "py311" / "comm" / "lock"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert any(finding.mend == f"rm {stale}" for finding in doctor.diagnose([demo]))
    holds = (
        "import sys; file = open(sys.argv[1]); print(1, flush=True); input(); file.close(); input()"
    )
    command = [sys.executable, "-c", f"{holds}", str(stale), f"{made.folder}/x"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as builder:
        assert builder.stdin and builder.stdout and builder.stdout.readline() == "1\n"
        assert release_builds(made) == []  # it has its lock open
        print(file=builder.stdin)
        while release_builds(made) == []:  # until it has let go; that it lives on is no matter
            assert builder.poll() is None
        assert not stale.exists()
        builder.communicate("\n", timeout=30)
    stale.touch()
    assert release_builds(made) == [stale]
    assert not stale.exists()


def test_bytecode_is_written_into_environments_of_ours_alone(demo: Backend) -> None:
    made = install.ensure(demo)
    forbidding = {"PYTHONDONTWRITEBYTECODE": "1"}
    assert not forbidding.keys() & variables(made, forbidding).keys()
    theirs = replace(made, key=store.OWN)
    assert forbidding.items() <= variables(theirs, forbidding).items()


def test_environments_are_listed_measured_and_removed(demo: Backend) -> None:
    made = install.ensure(demo)
    old = install.ensure(backend(changed(demo)))
    assert {each.folder for each in store.installed()} == {made.folder, old.folder}
    measured = store.size(made.folder)
    assert 0 < measured.own <= measured.total
    stale = removal.select(current=[read_lock(demo).key])
    assert [each.folder for each in removal.remove(stale)] == [made.folder]
    assert removal.select("other") == []
    with exclusive.turn(old.folder), pytest.raises(EnvironmentError_, match="being installed"):
        removal.remove(removal.select("demo", "aligned"))
    with subprocess.Popen(
        [sys.executable, "-c", "input()", f"{old.folder}/x"], stdin=subprocess.PIPE
    ) as user:
        with pytest.raises(EnvironmentError_, match=f"in use by process {user.pid}"):
            removal.remove(removal.select("demo"))
        user.communicate(b"\n", timeout=30)
    removal.remove(removal.select("demo"))
    assert store.installed() == []


def test_the_doctor_names_every_state(demo: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def levels(subject: str) -> list[tuple[str, str]]:
        return [(f.level, f.mend) for f in doctor.diagnose([demo]) if f.subject == subject]

    command = "ftspec env install demo --environment aligned"
    assert levels("demo aligned") == [("ok", command)]
    made = install.ensure(demo)
    again = f"{command} --torch {made.torch}"
    assert levels("demo aligned") == [("ok", "")]
    (next(made.folder.glob("lib/*/site-packages")) / "demo-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: demo\nVersion: 9\n"
    )
    ((level, mend),) = levels("demo aligned")
    assert (level, mend) == ("error", f"ftspec env remove demo --environment aligned && {again}")
    made.python.unlink()
    assert levels("demo aligned") == [("error", again)]
    (made.folder / store.MARKER).unlink()
    assert levels("demo aligned") == [("warn", again)]
    changed(demo)
    assert levels(made.folder.name) == [("warn", "ftspec env remove --stale")]
    assert isinstance(demo.env, Path)
    (demo.env / "aligned.lock").write_text("nonsense ===")
    assert levels("demo aligned")[0][0] == "error"
    monkeypatch.setenv("PIP_CERT", "/no/such/file.pem")
    assert ("error", "correct the path") in levels("packages")
