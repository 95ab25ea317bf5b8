"""The machine a proof was made on, as far as it bears on numbers: nothing that names it."""

from __future__ import annotations

import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

GIB = 2**30


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system and Python."""
    import psutil  # noqa: PLC0415 - only a proof needs it

    return {
        "cpu": _cpu(),
        "architecture": platform.machine(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "threads": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "system": _system(),
        "python": platform.python_version(),
    }


def scrubbed(text: str) -> str:
    """A message without folders: `/home/ada/run/train.log` becomes `train.log`."""
    return re.sub(r"(?<![\w.:/])(?:~|[A-Za-z]:)?/(?:[^\s/:'\",()]+/)+", "", text)


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _system() -> str:
    with suppress(OSError):
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()}"
    return f"{platform.system()} {platform.release()}"
