"""The benchmarks run, once each: what they measure is nothing that a test could judge."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.sweep
@pytest.mark.parametrize(("name", "rows"), [("start_up", 6), ("throughput", 6), ("memory", 4)])
def test_a_benchmark_runs(name: str, rows: int) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == rows
