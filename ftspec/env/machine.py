"""What the machine must have: a Python, uv, space on the disk, a driver, a compiler."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftspec.env import store
from ftspec.env.locks import Lock
from ftspec.env.uv import binary
from ftspec.env.variant import nvidia_driver
from ftspec.errors import FtspecError

Level = Literal["ok", "warn", "error"]
# Measured: the environments share their files, so the first one takes nearly all of the space.
# A CUDA torch unpacks to 5 GB and its downloads stay in uv's cache.
_FIRST_NEEDS, _NEXT_NEEDS = 12e9, 1.5e9
_DRIVER_FOR_CUDA_13 = 580


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    text: str
    mend: str = ""
    """The command, or the advice, that mends it."""


def check_tools(locks: Sequence[Lock]) -> Iterator[Finding]:
    """The running Python and uv."""
    running = ".".join(map(str, sys.version_info[:3]))
    refusing = sorted({str(lock.python) for lock in locks if not lock.python.contains(running)})
    if refusing:
        text = f"{running} is outside {refusing[0]}, which the locks were made for"
        mend = "uv will look for one that fits; `uv python install 3.11` fetches one"
        yield Finding("warn", "python", text, mend)
    else:
        yield Finding("ok", "python", f"{running}, {sys.executable}")
    try:
        program = binary()
        version = importlib.metadata.version("uv")
    except (FtspecError, importlib.metadata.PackageNotFoundError):
        yield Finding("error", "uv", "is not installed beside ftspec", "python -m pip install uv")
    else:
        yield Finding("ok", "uv", f"{version}, {program}")


def check_disk() -> Iterator[Finding]:
    """Space for environments, and the right to write them."""
    folder = store.environments_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    whole = any(each.complete for each in store.installed())
    needs = _NEXT_NEEDS if whole else _FIRST_NEEDS
    text = f"{free / 1e9:.1f} GB free for {folder}; up to {needs / 1e9:.1f} GB may be needed"
    if free >= needs:
        yield Finding("ok", "disk", text)
    else:
        yield Finding("warn", "disk", text, "ftspec env remove, or set FTSPEC_CACHE")
    if not os.access(there, os.W_OK):
        yield Finding("error", "cache", f"{there} cannot be written", "set FTSPEC_CACHE")


def check_hardware(deepspeed: bool) -> Iterator[Finding]:
    """The NVIDIA driver, and what DeepSpeed builds its extensions with."""
    driver = nvidia_driver()
    if not driver:
        yield Finding("ok", "gpu", "no NVIDIA driver: training runs on the CPU")
    elif int(driver.partition(".")[0]) < _DRIVER_FOR_CUDA_13:
        text = f"NVIDIA driver {driver}; the locks' torch is built for CUDA 13"
        yield Finding("warn", "gpu", text, f"update it to {_DRIVER_FOR_CUDA_13} or newer")
    else:
        yield Finding("ok", "gpu", f"NVIDIA driver {driver}")
    if not deepspeed:
        return
    names = (os.environ.get("CXX", ""), "g++", "c++")
    compiler = next((found for name in names if (found := shutil.which(name))), None)
    if compiler is None:
        text = "no C++ compiler: CPU runs and offload build an extension"
        yield Finding("warn", "deepspeed", text, "install g++ (Debian, Ubuntu: apt install g++)")
    elif (Path(sysconfig.get_path("include")) / "Python.h").exists():
        yield Finding("ok", "deepspeed", f"compiler {compiler}; ninja comes with the environment")
    else:
        text = "Python's headers are missing: extensions cannot be built"
        mend = "install them (Debian, Ubuntu: apt install python3-dev)"
        yield Finding("warn", "deepspeed", text, mend)
