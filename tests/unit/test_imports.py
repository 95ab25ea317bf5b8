"""What `import ftspec` and the command line load: little, and never a training framework.

Each list is complete: a module that is not on it fails the test. Take modules off when they are no
longer loaded; put one on only if start-up is worth it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[2] / "specs" / "quickstart.yaml"
LIBRARY: frozenset[str] = frozenset()
"""Third-party packages that `import ftspec` loads."""
COMMAND_LINE = LIBRARY | {"click"}
"""... that `ftspec --version` and `ftspec --help` load."""
COMPILE = COMMAND_LINE | {
    "annotated_types", "jinja2", "markupsafe", "pydantic", "pydantic_core", "ruamel", "tokenizers",
    "typing_extensions", "typing_inspection",
}  # fmt: skip
"""... that `ftspec compile` may load. tokenizers: compiling looks at the local rows, and a row may
hold nothing to train on."""
MARKERS = {"packaging"}
"""... and for a backend whose pins differ between platforms."""
ONLY_WHEN_WRONG = {
    "ftspec.spec.explain",
    "ftspec.spec.names",
    "ftspec.spec.sets",
    "ftspec.spec.docs",
}
"""Modules that a good spec without `--set` has no need of."""
NEVER = frozenset(
    {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "unsloth", "llamafactory",
     "deepspeed", "omegaconf", "requests", "numpy", "pyarrow", "rich"}
)  # fmt: skip
"""What compiling needs on no account, not even indirectly."""

COUNT = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are not of the standard library."""
    found = {name.partition(".")[0] for name in modules_of(code)} - set(sys.stdlib_module_names)
    ours = ("ftspec", "__editable__", "_distutils_hack", "_sysconfigdata")
    return {name for name in found if not name.startswith(ours)}


def modules_of(code: str) -> set[str]:
    """All modules that code loads."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT.format(code=code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def run_command(*arguments: str) -> str:
    return (
        "import io, contextlib\nfrom ftspec.cli import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    cli.main({list(arguments)!r}, standalone_mode=False)\n"
    )


def test_the_library_loads_nothing_else() -> None:
    assert loaded_by("import ftspec") == LIBRARY


@pytest.mark.parametrize(
    "code", ["import ftspec.cli", run_command("--version"), run_command("--help")]
)
def test_the_command_line_loads_click_alone(code: str) -> None:
    assert loaded_by(code) == COMMAND_LINE


@pytest.mark.parametrize(
    "module", ["ftspec.emit.python", "ftspec.emit.yaml", "ftspec.read.yaml", "ftspec.emit.disk"]
)
def test_writers_and_readers_load_their_libraries_when_called(module: str) -> None:
    assert not loaded_by(f"import {module}") & {"jinja2", "ruamel", "yaml"}


@pytest.mark.parametrize(("backend", "more"), [("trl", set()), ("all", MARKERS)])
def test_compiling_loads_what_it_needs(tmp_path: Path, backend: str, more: set[str]) -> None:
    found = loaded_by(
        run_command("compile", str(QUICKSTART), "--backend", backend, "-o", str(tmp_path), "--json")
    )
    assert not found & NEVER
    assert found <= COMPILE | more


def test_a_good_spec_pays_for_no_explanation(tmp_path: Path) -> None:
    found = modules_of(
        run_command("compile", str(QUICKSTART), "--backend", "trl", "-o", str(tmp_path))
    )
    assert "ftspec.plan.make" in found
    assert not found & ONLY_WHEN_WRONG
