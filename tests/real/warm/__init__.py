"""A warm start for the many small trainings: an interpreter that has imported its framework already.

Of a small training, all but a few seconds are imports. Here one process for each environment imports what
its trainings import, and forks for each of them: the training finds the same modules, the same files, the
same variables and command line as in a new interpreter. What is proven is held against cold starts in
test_warm.py; whatever is about starting, stopping or owning a run starts cold.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from ftspec.env.store import Environment
from ftspec.verify.verify import SILENT, Run

CLIENT, SERVER = (Path(__file__).with_name(name) for name in ("client.py", "server.py"))
_SCRIPTS = (
    *("torch", "datasets", "peft", "transformers.trainer", "trl.trainer.sft_trainer"),
    *("bitsandbytes", "torch._dynamo", "transformers.models.llama.modeling_llama"),
)
IMPORTS: Mapping[str, tuple[str, ...]] = {
    "trl": _SCRIPTS,
    "deepspeed": (*_SCRIPTS, "deepspeed", "torch.distributed.run"),
    "llamafactory": ("llamafactory.train.tuner", "torchdata.stateful_dataloader"),
    "unsloth": ("unsloth", "bitsandbytes", "torch._dynamo"),
    "axolotl": (
        *(
            "torch",
            "datasets",
            "peft",
            "transformers.trainer",
            "axolotl.cli.train",
            "axolotl.cli.config",
        ),
        *(
            "axolotl.common.datasets",
            "axolotl.train",
            "axolotl.core.builders",
            "axolotl.loaders.model",
        ),
        "transformers.models.llama.modeling_llama",
    ),
}
"""What each framework's trainings import first of all, in their own order, and what they add later."""
PATIENCE = 300.0
"""Seconds for the imports, on a slow and busy machine."""


def warmed(run: Run) -> Run:
    """The same run, begun by a process that has imported the framework; on a GPU as it is."""
    if not possible():
        return run
    environ = {**run.environ, **dict.fromkeys(SILENT, "1")}
    home = serving(run.backend.name, run.python, environ)
    told = {**run.environ, "PYTHON_EXEC": str(home / "python")}  # what torchrun starts
    return replace(run, python=home / "python", programs=home, environ=told)


def interpreter(environment: Environment, environ: Mapping[str, str]) -> Path:
    """A warm interpreter for `PATH/python FILE ARGUMENT...` with these variables."""
    if not possible():
        return environment.python
    return serving(environment.backend, environment.python, environ) / "python"


def possible() -> bool:
    """A process that has looked at a GPU cannot fork."""
    return sys.platform == "linux" and os.environ.get("FTSPEC_TEST_DEVICE", "cpu") == "cpu"


def serving(backend: str, python: Path, environ: Mapping[str, str]) -> Path:
    """The folder with a `python` and a `torchrun` that have a process behind them.

    A run with other variables gets another process: frameworks read many of them while they are imported.
    """
    lasting = {name: text for name, text in environ.items() if not name.startswith("PYTEST_")}
    facts = json.dumps([str(python), IMPORTS[backend], sorted(lasting.items())])
    place = Path(tempfile.gettempdir()) / f"ftspec-warm-{_tests()}"
    place.mkdir(exist_ok=True, mode=0o700)
    home = place / f"{backend}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    with FileLock(f"{home}.lock"):
        if not _answers(home):
            _start(home, backend, python, lasting)
    return home


def _start(home: Path, backend: str, python: Path, environ: Mapping[str, str]) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    programs: Mapping[str, list[str]] = {
        "python": [],
        "torchrun": [str(python.with_name("torchrun"))],
    }
    for name, before in programs.items():
        text = CLIENT.read_text("utf-8").replace("BEFORE = []", f"BEFORE = {before!r}")
        (home / name).write_text(f"#!{sys.executable} -IS\n{text}", "utf-8")
        (home / name).chmod(0o755)
    command = [str(python), str(SERVER), str(home), str(_tests()), *IMPORTS[backend]]
    with (home / "log").open("wb") as log:
        begun = subprocess.run(  # it forks and ends as soon as the other one answers
            command,
            cwd=home,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=False,
            timeout=PATIENCE,
        )
    if begun.returncode:
        raise RuntimeError(f"no warm start for {home.name}: {(home / 'log').read_text()}")


def _answers(home: Path) -> bool:
    """Whether the process lives."""
    try:
        os.kill(int((home / "ready").read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _tests() -> int:
    """The process whose end is the end of the tests: xdist's workers have it for a parent."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
