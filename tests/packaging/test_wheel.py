"""The wheel, built through its sdist, installed elsewhere, compiles; nothing else is in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

pytestmark = pytest.mark.packaging
ROOT = Path(__file__).parents[2]
PACKAGES = (
    "ftspec",
    "ftspec_trl",
    "ftspec_llamafactory",
    "ftspec_unsloth",
    "ftspec_axolotl",
    "ftspec_deepspeed",
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the checkout, with nothing of this environment's in its way."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(find_uv_bin(), "build", "--out-dir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of programs of a fresh environment with the wheel in it."""
    place = tmp_path_factory.mktemp("elsewhere") / "venv"
    (wheel,) = built.glob("*.whl")
    run(find_uv_bin(), "venv", "--python", sys.executable, place, cwd=built)
    run(find_uv_bin(), "pip", "install", "--python", place / "bin" / "python", wheel, cwd=built)
    return place / "bin"


def names(built: Path) -> list[str]:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def shipped(package: Path) -> list[str]:
    """Paths of everything in a package of the checkout that belongs into the wheel."""
    found = (path for path in package.rglob("*") if path.is_file())
    return [
        path.relative_to(package.parent).as_posix()
        for path in found
        if "__pycache__" not in path.parts
    ]


def test_the_wheel_holds_the_packages_and_their_data(built: Path) -> None:
    inside = names(built)
    sources = [ROOT / "ftspec", *ROOT.glob("backends/*/ftspec_*")]
    assert sorted(source.name for source in sources) == sorted(PACKAGES)
    missing = {path for source in sources for path in shipped(source)} - set(inside)
    assert not missing
    assert len([name for name in inside if name.endswith(".lock")]) >= 4
    assert len([name for name in inside if name.endswith((".jinja", ".py.j2"))]) >= 1


def test_the_wheel_holds_nothing_else(built: Path) -> None:
    tops = {name.partition("/")[0] for name in names(built)}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    stray = [
        name for name in names(built) if "test" in Path(name).parts or "tests" in Path(name).parts
    ]
    assert stray == []
    assert not [name for name in names(built) if name.endswith((".pyc", ".tmp"))]


def test_the_sdist_holds_no_tests_and_no_runs(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
        assert not [name for name in archive.getnames() if "/tests/" in name]
    assert tops <= {
        "ftspec",
        "backends",
        "schemas",
        "README.md",
        "LICENSE",
        "NOTICE",
        "PKG-INFO",
        "pyproject.toml",
        ".gitignore",
    }


def test_the_installed_wheel_compiles(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "ftspec", "--version", cwd=tmp_path).startswith("ftspec")
    spec = ROOT / "specs" / "quickstart.yaml"
    run(
        installed / "ftspec",
        "compile",
        spec,
        "--backend",
        "all",
        "-o",
        tmp_path / "out",
        cwd=tmp_path,
    )
    manifests = sorted(path.parent.name for path in (tmp_path / "out").glob("*/manifest.json"))
    assert manifests == ["deepspeed", "llamafactory", "trl", "unsloth"]
    run(
        *(installed / "ftspec", "compile", ROOT / "specs" / "axolotl-tiny.yaml"),
        *("--backend", "axolotl", "-o", tmp_path / "other"),
        cwd=tmp_path,
    )
    assert (tmp_path / "other" / "manifest.json").is_file()


def test_the_installed_wheel_compiles_the_same_bytes(installed: Path, tmp_path: Path) -> None:
    spec = ROOT / "specs" / "quickstart.yaml"
    programs = (installed / "ftspec", Path(sys.executable).with_name("ftspec"))
    results = []
    for (
        program
    ) in programs:  # one after the other in the same place: paths in the files are relative to it
        out = tmp_path / "out"
        run(program, "compile", spec, "--backend", "all", "-o", out, "--overwrite", cwd=tmp_path)
        results.append(
            {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        )
    assert results[0] == results[1]
