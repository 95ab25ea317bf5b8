"""Runs uv: with the right sources and with progress; its failures become errors with a remedy."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ftspec.env.failures import NOISE, disk_failure, failure
from ftspec.env.sources import read_sources, redact, uv_environ
from ftspec.env.store import cache_folder
from ftspec.errors import EnvironmentError_

# Settings for a person's other projects: each would change what a lock means, or where it goes.
_CLEARED = frozenset(
    {
        "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_EXCLUDE_NEWER", "UV_TORCH_BACKEND",
        "UV_PYTHON", "UV_TARGET", "UV_SYSTEM_PYTHON", "UV_PREFIX", "UV_PRERELEASE",
        "UV_RESOLUTION", "UV_WORKING_DIR", "UV_PROJECT", "UV_NO_DEPS", "UV_PROJECT_ENVIRONMENT",
        "UV_REQUIRE_HASHES", "UV_NO_VERIFY_HASHES", "UV_VENV_SEED", "UV_NO_PROGRESS",
        "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME",
    }
)  # fmt: skip
_UNITS = {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}


@dataclass(frozen=True)
class Progress:
    """A sign of life: a line to show and, during downloads, how much of them is done (0 to 1)."""

    subject: str
    text: str
    done: float | None = None


Listener = Callable[[Progress], None]


def tell(progress: Listener | None, subject: str, text: str) -> None:
    """Pass a line on, if anybody listens."""
    if progress is not None:
        progress(Progress(subject, text))


def binary() -> str:
    """The uv program that came with ftspec."""
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - looked for only when it is needed

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        raise EnvironmentError_(
            "uv is not installed beside ftspec", "python -m pip install uv"
        ) from error


def run_uv(
    arguments: Sequence[str],
    doing: str,
    *,
    subject: str = "",
    progress: Listener | None = None,
    extra: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> None:
    """Run uv to its end.

    Raises:
        EnvironmentError_: it failed or took longer than `timeout`; `doing` says what was attempted.
    """
    home = cache_folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_failure(doing, error) from error
    process = subprocess.Popen(
        [binary(), *arguments],
        cwd=home,  # where no pyproject.toml or uv.toml of somebody's project is found
        env=_environment(extra or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    said: deque[str] = deque(maxlen=200)
    alarm = threading.Timer(timeout, end_tree, (process.pid,)) if timeout else None
    try:
        if alarm:
            alarm.start()
        track = _tracker(subject, progress)
        for line in process.stderr or ():
            said.append(line)
            track(line)
        status = process.wait()
    except BaseException:  # Ctrl-C too: no uv goes on writing behind our back
        end_tree(process.pid)
        process.wait()
        raise
    finally:
        if alarm:
            alarm.cancel()
        if process.stderr:
            process.stderr.close()
    if status:
        said.extend(["timed out"] if timeout and status < 0 else [])
        raise failure(doing, said, status)


def end_tree(pid: int) -> None:
    """End a process and all that it started."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.terminate()
        except psutil.NoSuchProcess:
            continue
    for member in psutil.wait_procs(family, timeout=3)[1]:
        member.kill()


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    base = {name: value for name, value in os.environ.items() if name not in _CLEARED}
    return {**base, **uv_environ(read_sources()), "NO_COLOR": "1", **_same_disk(), **extra}


def _same_disk() -> dict[str, str]:
    """A cache for uv on the disk of the environments: there it links files instead of copying."""
    if os.environ.get("UV_CACHE_DIR"):
        return {}
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    ours = cache_folder()
    while not home.exists():
        home = home.parent
    return {} if home.stat().st_dev == ours.stat().st_dev else {"UV_CACHE_DIR": str(ours / "uv")}


def _tracker(subject: str, progress: Listener | None) -> Callable[[str], None]:
    """Turns uv's lines into progress: it announces the size of each large download, and its end."""
    announced: dict[str, float] = {}
    finished: set[str] = set()

    def track(line: str) -> None:
        text = redact(line.strip())
        if progress is None or not text or text.startswith(NOISE):
            return
        begun = re.match(r"Downloading (\S+) \(([\d.]+)([KMG]iB)\)", text)
        ended = re.match(r"Downloaded (\S+)", text)
        if begun:
            announced[begun[1]] = float(begun[2]) * _UNITS[begun[3]]
        if ended:
            finished.add(ended[1])
        whole = sum(announced.values())
        got = sum(bytes_ for name, bytes_ in announced.items() if name in finished)
        progress(Progress(subject, text, got / whole if whole else None))

    return track
