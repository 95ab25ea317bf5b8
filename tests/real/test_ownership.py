"""What is compiled belongs to the person: it trains the same weights after ftspec is gone.

The same files are run under the probe, by their own launch script in a tree without ftspec, by
`uv run`, and by `ftspec run`; the saved weights are compared byte by byte. So this is also the proof
that the probe, and ftspec's own launcher, change no number.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from ftspec.emit.manifest import NAME as MANIFEST
from ftspec.emit.manifest import recorded
from ftspec.env.install import ensure
from ftspec.env.sources import read_sources, uv_environ
from ftspec.env.store import Environment
from ftspec.env.variables import extensions_folder
from ftspec.registry import load
from tests.real.conftest import BACKENDS, Lab
from tests.real.test_equality import LORA, proven

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
WEIGHTS = "adapter_model.safetensors"
SYSTEM = "/usr/bin:/bin"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""As in the proof: more threads add up in another order."""


def compiled(lab: Lab, backend: str) -> Path:
    """The folder of a probed run: LoRA, the framework's own data path."""
    return proven(lab, LORA, "framework").folder / backend


def moved(lab: Lab, backend: str, target: Path) -> Path:
    """A copy of what was compiled, and of the model and data it names; nothing that was trained."""
    source = compiled(lab, backend)
    names = recorded((source / MANIFEST).read_bytes())
    assert names and len(names) >= 3
    folder = target / source.relative_to(lab.base)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, folder / name)
    shutil.copytree(lab.specs, target / lab.specs.relative_to(lab.base))
    # byte for byte what was proven
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    assert digests == proven(lab, LORA, "framework").certificate.runs[backend].files
    return folder


def bare(environment: Environment, home: Path) -> dict[str, str]:
    """Nothing of the caller's; where DeepSpeed's extension was built is a matter of time only."""
    return {
        "PATH": f"{environment.bin}:{SYSTEM}",
        "HOME": str(home),
        "TORCH_EXTENSIONS_DIR": str(extensions_folder(environment)),
        **ONE_THREAD,
    }


def assert_gone(environ: dict[str, str], folder: Path) -> None:
    """Neither the program nor the package can be found."""
    assert shutil.which("ftspec", path=environ["PATH"]) is None
    tried = subprocess.run(
        ["python", "-c", "import ftspec"],
        cwd=folder, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tried.returncode == 1
    assert "No module named 'ftspec'" in tried.stderr


def train(argv: list[str], folder: Path, environ: dict[str, str]) -> bytes:
    """Run a command in a folder and return the weights it saved."""
    assert not (folder / "model").exists()
    ran = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    return (folder / "model" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_launch_script_trains_the_same_weights(lab: Lab, backend: str, tmp_path: Path) -> None:
    folder = moved(lab, backend, tmp_path / "owned")
    environment = ensure(load(backend))
    environ = bare(environment, tmp_path)
    assert_gone(environ, folder)
    weights = train(["./launch.sh"], folder, environ)
    assert len(weights) > 10_000
    assert weights == (compiled(lab, backend) / "model" / WEIGHTS).read_bytes()


def test_the_script_alone_trains_the_same_weights(lab: Lab, tmp_path: Path) -> None:
    """`uv run train.py`: its header says what it needs, and uv makes an environment of it."""
    folder = moved(lab, "trl", tmp_path / "owned")
    # uv's own cache, where the packages are since the environments were made; no person's settings
    environ = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "XDG_CACHE_HOME") or name.startswith(("UV_", "SSL_"))
    }
    environ |= {**uv_environ(read_sources()), **ONE_THREAD, "UV_PYTHON": sys.executable}
    ready = subprocess.run(
        [find_uv_bin(), "sync", "--script", "train.py"],
        cwd=folder, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ready.returncode == 0, ready.stderr[-4000:]
    weights = train([find_uv_bin(), "run", "train.py"], folder, environ)
    assert weights == (compiled(lab, "trl") / "model" / WEIGHTS).read_bytes()


def test_ftspec_run_trains_the_same_weights(lab: Lab) -> None:
    """Its own launcher and progress reading stand around the training, and touch nothing."""
    results = lab.base / "run"
    program = [sys.executable, "-c", "from ftspec.cli import main; main()"]
    sets = ["--set", "output.folder=../run", "--set", LORA, "--set", "data.prepare=framework"]
    ran = subprocess.run(
        [*program, "run", str(lab.spec), "--backend", "trl", *sets],
        env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4000:]
    weights = (results / "trl" / "model" / WEIGHTS).read_bytes()
    assert weights == (compiled(lab, "trl") / "model" / WEIGHTS).read_bytes()
