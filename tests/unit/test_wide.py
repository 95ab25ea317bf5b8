"""The table of variants that `make test` leaves out names variants that there are."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT
from tests.real.wide import NODES


def test_what_is_left_out_is_there() -> None:
    files = sorted({node.partition("::")[0] for node in NODES})
    asked = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-n",
        "0",
        "-m",
        "wide",
        *files,
    ]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    found = {line for line in done.stdout.splitlines() if "::" in line}
    assert found >= NODES, sorted(NODES - found)
    assert len(NODES) >= 20
