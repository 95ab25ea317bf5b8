"""How much memory compiling takes at its peak, against importing the libraries alone."""

from __future__ import annotations

import sys
import tempfile

from child import FTSPEC, LIBRARIES, SPEC, compare, median, options, ratio, show


def main() -> None:
    """Measure and print."""
    chosen = options(__doc__ or "", rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        costs = compare(
            {
                "import the libraries": LIBRARIES,
                "python alone": [sys.executable, "-c", ""],
                "ftspec --version": [FTSPEC, "--version"],
                "ftspec compile, all backends": [
                    FTSPEC, "compile", str(SPEC), "-o", folder, "--overwrite",
                ],
            },
            chosen.rounds,
        )  # fmt: skip
    base = costs["import the libraries"]
    rows = [
        {"command": name, "peak MiB": median(cost).peak, "ratio": ratio(cost, base).peak}
        for name, cost in costs.items()
    ]
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
