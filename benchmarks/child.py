"""A child process and what it cost; a table of the results."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
SPEC = ROOT / "specs" / "quickstart.yaml"
FTSPEC = str(Path(sys.executable).with_name("ftspec"))
LIBRARIES = [sys.executable, "-c", "import pydantic, ruamel.yaml, click, jinja2"]
"""What ftspec is measured against: the libraries without which it could not do its work."""
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""An installed program has its bytecode. Where a shell forbids writing it, an editable checkout would be
compiled anew by every process, and the libraries that pip compiled would not."""


class Cost(NamedTuple):
    """Of one process: seconds on the clock, seconds of processor, peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str]) -> Cost:
    """Run a command to its end; its children count only once they are waited for."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRON)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Cost]]:
    """What each command cost in every round.

    They take turns, so that a busy moment of the machine falls on all of them. One round more is
    run first and thrown away: it fills the disk cache and writes the bytecode.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            cost = run(command)
            if number:
                costs[name].append(cost)
    return costs


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each number."""
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def ratio(costs: Sequence[Cost], base: Sequence[Cost]) -> Cost:
    """The same as multiples of the base: the median of what each round says, not of two medians."""
    rounds = zip(costs, base, strict=True)
    return median([Cost(*(a / b for a, b in zip(*pair, strict=True))) for pair in rounds])


def options(description: str, rounds: int) -> argparse.Namespace:
    """--rounds and --json."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--rounds", type=int, default=rounds, help=f"measured runs (default {rounds})"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def show(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Rows of the same keys, as a table or as JSON."""
    if as_json:
        print(json.dumps(list(rows), indent=2))
        return
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in (names, *cells):
        first, *rest = (
            cell.ljust(width) if not position else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join((first, *rest)))


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
