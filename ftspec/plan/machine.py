"""What the machine has, as far as a plan needs to know. Asks files, starts nothing, imports nothing."""

from __future__ import annotations

import os
from pathlib import Path


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is loaded: its kernel files on Linux, WSL's library elsewhere."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return any(
        Path(path).exists()
        for path in ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
    )


def device() -> str:
    """`cuda` or `cpu`."""
    return "cuda" if has_nvidia_driver() else "cpu"
