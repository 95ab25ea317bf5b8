"""Being observed changes nothing: with and without the probe the final weights are the same bits."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from ftspec.env.install import ensure
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Collect, Plan
from ftspec.plan.write import write_plan
from ftspec.registry import load as load_backend
from ftspec.run.launch import launch
from ftspec.verify.checks import compare
from ftspec.verify.evidence import read
from ftspec.verify.prove import as_run, effective
from ftspec.verify.verify import SILENT, probed

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
SPEC = Path(__file__).parents[2] / "specs" / "quickstart.yaml"
# Dropout draws random numbers in every forward pass: one draw too many, and the weights differ.
NOISY = ("method.tuner.dropout=0.1",)


def results(plan: Plan) -> dict[str, str]:
    (collect,) = (stage for stage in plan.stages if isinstance(stage, Collect))
    files = sorted((plan.folder / collect.folder).glob("*.safetensors"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", ["trl", "llamafactory", "unsloth", "deepspeed"])
def test_the_probe_changes_no_bit(name: str, tmp_path: Path) -> None:
    loaded, folder = effective(SPEC, NOISY, 3, tmp_path / "proof")
    environment = ensure(load_backend(name))
    weights = {}
    for way in ("alone", "observed"):
        plan = make_plan(loaded, name, folder / way)
        write_plan(plan)
        run = as_run(plan, environment)
        words = {"{python}": str(run.python), "{bin}": str(run.programs)}
        argv = list(run.argv)
        for word, value in words.items():
            argv = [part.replace(word, value) for part in argv]
        environ = dict(run.environ)
        if way == "observed":
            argv, environ = probed(run, tmp_path / "evidence")
        environ |= dict.fromkeys(SILENT, "1")
        launch(argv, plan.folder, environ, tmp_path / f"{way}.log", print)
        weights[way] = results(plan)
    sys.stdout.flush()
    assert weights["alone"]
    assert weights["alone"] == weights["observed"]
    seen = read(tmp_path / "evidence")
    assert seen.finished
    assert {step.step for step in seen.steps} == {1, 2, 3}
    assert {result.outcome.verdict for result in compare(seen, seen)} == {"equal"}
