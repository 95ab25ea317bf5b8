"""Compile each golden case, in a folder that is laid out like this repository but lies elsewhere."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from click.testing import CliRunner

from ftspec.backend import MODEL_COPY
from ftspec.cli import cli
from tests.conftest import ROOT, SPECS

GOLDEN = Path(__file__).parent
LEFT_OUT = "left-out.txt"
"""What `compile --backend all` says on stderr: who cannot express the case, and why."""
PREPARED = ("data", MODEL_COPY)
"""ftspec's own tokenised rows (Arrow files, whose bytes are pyarrow's affair), and links to a model."""

TEXTS = ("tokenizer.json", "tokenizer_config.json")
"""What rows with images are measured by, lent by the example model."""


def cases() -> tuple[str, ...]:
    """Each folder here is a case; its spec has its name, or is the example spec of that name."""
    return tuple(sorted(p.name for p in GOLDEN.iterdir() if p.is_dir() and p.name[0] != "_"))


def spec_of(case: str) -> Path:
    """The spec of a case, relative to the repository."""
    own = GOLDEN / case / f"{case}.yaml"
    return (own if own.is_file() else SPECS / f"{case}.yaml").relative_to(ROOT)


def lay_out(root: Path) -> None:
    """Put specs, their data and the model under ``root``, where they are in the repository."""
    shutil.copytree(SPECS, root / "specs", ignore=shutil.ignore_patterns("runs", "*.tmp.yaml"))
    for case in cases():
        folder = root / GOLDEN.relative_to(ROOT) / case
        folder.mkdir(parents=True)
        for file in (GOLDEN / case).iterdir():
            if file.is_file() and file.name != LEFT_OUT:
                shutil.copy(file, folder)
        if (folder / "preprocessor_config.json").is_file():  # a model, but for what reads its texts
            for name in TEXTS:
                shutil.copy(SPECS / "tiny-model" / name, folder)


def compiled(case: str, root: Path) -> dict[str, bytes]:
    """What `ftspec compile --backend all` makes of a case: relative path -> bytes."""
    folder = GOLDEN.relative_to(ROOT) / case
    arguments = ["--backend", "all", "--allow-lossy", "-o", str(folder)]
    with contextlib.chdir(root):
        result = CliRunner().invoke(
            cli, ["compile", str(spec_of(case)), *arguments], catch_exceptions=False
        )
    if result.exit_code:
        raise AssertionError(result.output)
    return files(root / folder) | ({LEFT_OUT: result.stderr.encode()} if result.stderr else {})


def expected(case: str) -> dict[str, bytes]:
    """The golden files of a case."""
    left_out = GOLDEN / case / LEFT_OUT
    said = {LEFT_OUT: left_out.read_bytes()} if left_out.is_file() else {}
    return files(GOLDEN / case) | said


def files(folder: Path) -> dict[str, bytes]:
    """The files of compiled folders, without prepared rows and what lies beside them."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*/**/*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[1] not in PREPARED:
            found["/".join(parts)] = path.read_bytes()
    return found
