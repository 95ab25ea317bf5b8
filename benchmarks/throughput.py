"""How many specs are compiled in a second in one process, against loading and dumping the YAML."""

from __future__ import annotations

import contextlib
import io
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from child import SPEC, options, show
from ruamel.yaml import YAML

from ftspec.errors import UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.registry import names
from ftspec.spec.load import load, loads

BATCH = 50
"""Specs that each side handles before it is the other's turn."""


def specs(count: int) -> list[str]:
    """Texts that differ in a comment, so that no cache keyed by the text can help."""
    text = SPEC.read_text("utf-8")
    return [f"{text}\n# {number}\n" for number in range(count)]


def load_and_dump(text: str) -> int:
    """What a YAML library alone does with a spec."""
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.dump(yaml.load(text), stream)
    return len(stream.getvalue())


def compile_for(backends: Sequence[str]) -> Callable[[str], int]:
    """Load, resolve, lower and emit; nothing is written and no data is read."""

    def compile_spec(text: str) -> int:
        loaded = loads(text, name=str(SPEC))
        folder = Path("build")
        plans = [make_plan(loaded, backend, folder / backend) for backend in backends]
        return sum(len(file.content) for plan in plans for file in plan.files())

    return compile_spec


def able() -> list[str]:
    """The backends that can express the spec."""
    found, loaded = [], load(SPEC)
    for name in names():
        with contextlib.suppress(UnsupportedError):
            make_plan(loaded, name)
            found.append(name)
    return found


def main() -> None:
    """Measure and print."""
    chosen = options(__doc__ or "", rounds=1000)
    texts = specs(chosen.rounds)
    backends = able()
    ways = {"YAML load and dump": load_and_dump, "compile, all of them": compile_for(backends)}
    ways |= {f"compile, {name}": compile_for([name]) for name in backends}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for start in range(0, len(texts), BATCH):
        for name, handle in ways.items():
            begun = time.process_time()
            size = sum(map(handle, texts[start : start + BATCH]))
            seconds[name].append((time.process_time() - begun) / len(texts[start : start + BATCH]))
            assert size > 0
    each = {name: statistics.median(of) for name, of in seconds.items()}
    base = each["YAML load and dump"]
    rows = [
        {"way": name, "specs/s": 1 / of, "ms/spec": of * 1000, "ratio": of / base}
        for name, of in each.items()
    ]
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
