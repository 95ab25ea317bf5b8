"""A training that begins warm is the one that begins cold, to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.registry import load as load_backend
from ftspec.verify.verify import Run, Spec, verify
from tests.real.conftest import BACKENDS, Lab
from tests.real.warm import CLIENT, interpreter, warmed

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(sys.platform != "linux", reason="a warm start forks and names processes"),
]
NOISY = ("method.tuner.dropout=0.1", "train.steps=2")
"""Random numbers in every pass: a state that another run left behind would show."""


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_bit_differs(lab: Lab, tmp_path: Path, backend: str) -> None:
    def runs(folder: Path) -> dict[str, Run]:
        cold = lab.compiled(backend, folder / "cold", *NOISY)
        warm = [lab.compiled(backend, folder / name, *NOISY) for name in ("warm", "again")]
        return {"cold": cold} | {
            name: warmed(run) for name, run in zip(("warm", "again"), warm, strict=True)
        }

    made = runs(tmp_path)
    assert made["warm"].python != made["cold"].python
    found = verify(made, "cold", Spec("", "", ""), tmp_path, jobs=1, threads=1)
    assert found.verdict == "equal", [run.error for run in found.runs.values()]
    cold, warm, again = ([asdict(step) for step in found.runs[name].steps] for name in made)
    assert cold and cold == warm == again
    for run in (found.runs["warm"], found.runs["again"]):
        assert [check.measured for check in run.checks if check.measured] == []


def test_it_ends_as_the_program_ends(tmp_path: Path) -> None:
    place = ensure(load_backend("trl"))
    environ = variables(place, {**os.environ})
    python = interpreter(place, environ)
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nprint(os.getcwd(), sys.argv[1:], os.environ['OWN'])\nsys.exit(7)"
    )
    done = subprocess.run(
        [python, script, "a b"],
        cwd=tmp_path,
        env={**environ, "OWN": "mine"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.split("\n")[0] == f"{tmp_path} ['a b'] mine"
    assert "BEFORE = []" in CLIENT.read_text("utf-8")
