"""Port every config of a folder to every other framework and count how far each goes: `make ports`.

Counted are files without open questions. At once: with `--allow-lossy`. With options: with those that a
stopped port proposes. Nothing is written; the rows of hub data sets are nobody's to look at.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ftspec.errors import FtspecError
from ftspec.port.bring import Imported, bring
from ftspec.port.carry import moved
from ftspec.port.way_out import way_out
from ftspec.registry import names

FORMATS = ("llamafactory", "trl", "axolotl")
DEVICE = "hardware.device=cuda"
"""Published configs are for GPUs."""


class Tally(NamedTuple):
    """How files of one format arrive at one framework."""

    format: str
    backend: str
    files: int
    at_once: int
    with_options: int


def sources(folder: Path, name: str, every: int = 1) -> Iterator[Imported]:
    """The files of one format that leave nothing open, or one in so many of all."""
    for path in sorted((folder / name).iterdir())[::every]:
        try:
            imported = bring([path])
        except FtspecError:
            continue
        if not imported.composed.open:
            yield imported


def tally(imported: list[Imported], name: str, backend: str) -> Tally:
    """Plan each for one framework, and with what it proposes where that stops."""
    options = [_options(one, backend) for one in imported]
    at_once = sum(found is not None and set(found) <= {"--allow-lossy"} for found in options)
    arrived = sum(found is not None for found in options)
    return Tally(name, backend, len(imported), at_once, arrived)


def _options(imported: Imported, backend: str) -> tuple[str, ...] | None:
    """Empty where it goes without any."""
    with tempfile.TemporaryDirectory() as place:
        for file, text in imported.files.items():
            (Path(place) / file).write_text(text, "utf-8")
        sets = [DEVICE, *moved(imported, Path(place))]
        return way_out(imported, backend, Path(place) / "build", sets, ())


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/corpus")
    if not folder.is_dir():
        print(f"no corpus: there is no folder {folder}")
        return
    print("| from | to | files | at once | with the options it says |\n|---|---|---|---|---|")
    for name in FORMATS:
        imported = list(sources(folder, name))
        for backend in names():
            if backend != name:
                print("|", " | ".join(map(str, tally(imported, name, backend))), "|", flush=True)


if __name__ == "__main__":
    main()
