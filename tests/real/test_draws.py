"""Runs that draw other completions, really trained under eight seeds: alike, and not alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ftspec.env.install import ensure
from ftspec.registry import load as load_backend
from ftspec.report.html import drawn
from ftspec.spec.write import dump
from ftspec.verify.prove import as_run, compile_all, effective, with_seed
from ftspec.verify.seeds import FEWEST, LEVEL
from ftspec.verify.verify import Run, Spec, verify
from tests.real.conftest import JOBS, Lab
from tests.real.test_online import METHODS, REWARDS, SHARED
from tests.real.warm import warmed

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SETS = (
    f"method.objective={METHODS['grpo'].replace('REWARDS', REWARDS)}",
    "method.tuner={type: lora}",
    *SHARED,
)
FIRST = 42


def test_other_random_numbers_are_alike_and_another_temperature_is_not(
    lab: Lab, tmp_path: Path
) -> None:
    """Two scripts draw one number before they train. One of them draws at another temperature as well."""
    folder = lab.base / "draws"
    loaded, _ = effective(lab.spec, SETS, None, folder)

    def made(seed: int, names: Sequence[str]) -> dict[str, Run]:
        place = folder / str(seed)
        backends = {"trl": "trl", "deepspeed": "deepspeed", "hotter": "trl"}
        runs = {}
        for name in names:
            backend = backends[name]
            plans, _ = compile_all(with_seed(loaded, seed), [backend], place / name, False)
            script = plans[backend].folder / "train.py"
            text = script.read_text("utf-8")
            if name != "trl":
                text, count = re.subn(
                    r"(?m)^trainer\.train\(\)", "__import__('torch').rand(1)\n\\g<0>", text
                )
                assert count == 1
            if name == "hotter":
                text, count = re.subn(r"(?<=\btemperature=)1\.0", "0.2", text)
                assert count == 1
            script.write_text(text, "utf-8")
            run = as_run(plans[backend], ensure(load_backend(backend)))
            runs[name] = warmed(replace(run, backend=replace(run.backend, title=name)))
        return runs

    certificate = verify(
        made(FIRST, ("trl", "deepspeed", "hotter")),
        "trl",
        Spec("draws", loaded.digest, dump(loaded.spec)),
        tmp_path,
        jobs=JOBS,
        threads=1,
        seeds=range(FIRST, FIRST + FEWEST),
        reseeded=made,
    )
    runs = certificate.runs
    assert {name: run.conclusion for name, run in runs.items()} == {
        "trl": "reference",
        "deepspeed": "alike",
        "hotter": "differs",
    }
    for name in ("deepspeed", "hotter"):
        verdicts = {check.name: check.verdict for check in runs[name].checks}
        for exact in ("data order", "trainable parameters", "initial weights", "optimizer groups"):
            assert verdicts[exact] == "equal"
        assert verdicts["completions"] == verdicts["final update"] == "random"
    alike, other = (runs[name].seeds for name in ("deepspeed", "hotter"))
    assert alike is not None and other is not None
    assert alike.p > LEVEL >= other.p
    assert alike.seeds == tuple(range(FIRST, FIRST + FEWEST))
    assert {"mean length", "mean reward length", "mean divergence (KL)"} <= {
        each.name for each in alike.quantities
    }
    failed = runs["hotter"].first_failure()
    assert failed is not None and failed.name == "distributions"
    first, second = drawn(certificate)
    assert "No difference was found at level 0.01" in first
    assert "A difference was found at level 0.01" in second
