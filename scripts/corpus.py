"""Import every config of a folder and count what became of its settings: `make corpus`.

The folder has one subfolder per format. A file is whole if each of its settings is exact, renamed,
derived or inert. Dropped are settings without a fate, which there must never be. What stands in another
file that is read with it, such as an engine's that LLaMA-Factory brings, counts in none of the shares.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ftspec.errors import FtspecError
from ftspec.port.bring import bring
from ftspec.port.fates import FAITHFUL, TITLES
from ftspec.port.formats import NAMES
from ftspec.port.recognise import recognise


@dataclass
class Tally:
    """The files of one format."""

    format: str
    files: int = 0
    whole: int = 0
    settings: int = 0
    dropped: int = 0
    refused: int = 0
    """Files that end in an error of ours."""
    tracebacks: int = 0
    fates: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Of all settings, those of which nothing was lost."""
        return sum(self.fates[kind] for kind in FAITHFUL) / max(sum(self.fates.values()), 1)


def tally(folder: Path, name: str) -> Tally:
    """Import each file of one format by itself."""
    found = Tally(name)
    for path in sorted((folder / name).iterdir()):
        found.files += 1
        try:
            imported = bring([path])
            written = len(recognise(path).document.settings())
        except FtspecError as error:
            found.refused += 1
            print(f"{path.name}: {error}", file=sys.stderr)
            continue
        except Exception as error:
            found.tracebacks += 1
            print(f"{path.name}: {error!r}", file=sys.stderr)
            continue
        own = [fate for fate in imported.fates if fate.setting.file == str(path)]
        found.settings += written
        found.dropped += max(written - len(own), 0)
        found.fates.update(fate.kind for fate in own)
        found.whole += all(fate.faithful for fate in imported.fates)
    return found


def tallies(folder: Path) -> Iterator[Tally]:
    """One for each format that the folder has files of."""
    return (tally(folder, name) for name in NAMES if (folder / name).is_dir())


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/corpus")
    if not folder.is_dir():
        print(f"no corpus: there is no folder {folder}")
        return
    heads = (
        "format",
        "files",
        "whole",
        "settings",
        *TITLES.values(),
        "faithful",
        "dropped",
        "traces",
    )
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for one in tallies(folder):
        shares = (f"{100 * one.fates[kind] / max(one.settings, 1):.1f} %" for kind in TITLES)
        cells = (one.format, one.files, one.whole, one.settings, *shares, f"{100 * one.share:.1f} %",
                 one.dropped, one.tracebacks)  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
