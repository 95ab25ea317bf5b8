"""How long ftspec takes to start and to compile one spec, against importing its libraries alone."""

from __future__ import annotations

import tempfile

from child import FTSPEC, LIBRARIES, SPEC, compare, median, options, ratio, show

AIM = 1.5
MODELS = "from pydantic import BaseModel, Field, model_validator"
"""`import pydantic` alone loads none of what a model is made with."""


def main() -> None:
    """Measure and print."""
    chosen = options(__doc__ or "", rounds=15)
    with tempfile.TemporaryDirectory() as folder:
        compile_spec = [FTSPEC, "compile", str(SPEC), "--overwrite"]
        costs = compare(
            {
                "import the libraries": LIBRARIES,
                "... and pydantic's models": [*LIBRARIES[:-1], f"{LIBRARIES[-1]}; {MODELS}"],
                "ftspec --version": [FTSPEC, "--version"],
                "ftspec validate": [FTSPEC, "validate", str(SPEC)],
                "ftspec compile, one backend": [
                    *compile_spec,
                    "--backend",
                    "trl",
                    "-o",
                    f"{folder}/one",
                ],
                "ftspec compile, all backends": [
                    *compile_spec,
                    "-o",
                    f"{folder}/all",
                ],
            },
            chosen.rounds,
        )
    base = costs["import the libraries"]
    rows = [
        {
            "command": name,
            "wall s": median(cost).wall,
            "cpu s": median(cost).cpu,
            "wall ratio": ratio(cost, base).wall,
            "cpu ratio": ratio(cost, base).cpu,
            "aim": f"<= {AIM}" if name.startswith("ftspec") else "",
        }
        for name, cost in costs.items()
    ]
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
