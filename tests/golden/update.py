"""Rewrite the golden files from what ftspec compiles now: `make golden`. Read the diff before a commit."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.golden.cases import GOLDEN, cases, compiled, expected, lay_out


def main() -> None:
    """Every case, and say what changed."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        lay_out(root)
        for case in cases():
            new, old = compiled(case, root), expected(case)
            if new == old:
                continue
            for folder in [path for path in (GOLDEN / case).iterdir() if path.is_dir()]:
                shutil.rmtree(folder)
            for path in old.keys() - new.keys():
                (GOLDEN / case / path).unlink(missing_ok=True)
            for path, content in new.items():
                file = GOLDEN / case / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            changed = sorted(path for path in new | old if new.get(path) != old.get(path))
            sys.stdout.write(f"{case}: {', '.join(changed)}\n")


if __name__ == "__main__":
    main()
