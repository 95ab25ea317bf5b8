"""Which build of torch an environment gets: `cuda`, or `cpu`.

`cuda` is the build on PyPI; it also runs without a GPU. `cpu` is the build without CUDA, gigabytes
smaller, that PyTorch's own index and some private ones offer as `torch==X+cpu`. Where PyPI's build
has no CUDA anyway (macOS), that build is `cpu`. The members of one comparison get the same build,
so the choice is made for all their locks at once.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ftspec.env import store
from ftspec.env.locks import Lock, render
from ftspec.env.uv import run_uv
from ftspec.errors import EnvironmentError_

# torchvision and torchaudio are linked against libtorch_cuda: all of the family or none.
FAMILY = ("torch", "torchvision", "torchaudio")
_CUDA_ONLY = re.compile(r"(nvidia|cuda)-.+|triton")
_QUICK = {"UV_HTTP_TIMEOUT": "8", "UV_HTTP_CONNECT_TIMEOUT": "5", "UV_HTTP_RETRIES": "0"}


@dataclass(frozen=True)
class Choice:
    """The build that was chosen, and why, in one line."""

    variant: store.Variant
    reason: str
    index: str = ""
    """`cpu`: uv takes the build from PyTorch's own index, as the configured sources have none."""


def choose(locks: Sequence[Lock], torch: str = "auto") -> Choice:
    """The torch build for all these locks.

    Raises:
        EnvironmentError_: the build that was asked for cannot be had.
    """
    if torch not in {"auto", *store.VARIANTS}:
        raise EnvironmentError_(f"there is no torch build `{torch}`", "use auto, cpu or cuda")
    plain = not any(has_cuda(lock) for lock in locks)
    if torch == "cuda" and plain:
        raise EnvironmentError_("torch has no CUDA build for this platform", "use auto or cpu")
    if torch == "cuda":
        return Choice("cuda", "asked for")
    if plain:
        return Choice("cpu", "PyPI's torch has no CUDA on this platform")
    if torch == "auto":
        return _automatic(locks)
    if _complete(locks, "cpu") or offered(locks):
        return Choice("cpu", "asked for; the configured package sources offer it")
    if offered(locks, index="cpu"):
        return Choice("cpu", "asked for; taken from PyTorch's own index", index="cpu")
    names = ", ".join(sorted({name for lock in locks for name in swapped(lock)}))
    raise EnvironmentError_(
        f"no package source offers the CPU-only build ({names}), and PyTorch's own index does not "
        "either, or cannot be reached",
        "leave the torch build at auto: PyPI's build also trains on a CPU",
    )


def _automatic(locks: Sequence[Lock]) -> Choice:
    driver = nvidia_driver()
    if driver:
        return Choice("cuda", f"NVIDIA driver {driver}")
    for variant in store.VARIANTS:
        if _complete(locks, variant):
            return Choice(variant, "no NVIDIA driver; already installed")
    if offered(locks):
        return Choice("cpu", "no NVIDIA driver, and the package sources offer the CPU-only build")
    return Choice("cuda", "no NVIDIA driver, but no CPU-only build in the package sources: PyPI's")


def _complete(locks: Sequence[Lock], variant: str) -> bool:
    return all(store.lookup(lock, variant) is not None for lock in locks)


def has_cuda(lock: Lock) -> bool:
    """Whether PyPI's torch comes with CUDA on this platform: the lock lists its libraries."""
    return any(name.startswith("nvidia-") for name in lock.pins)


def swapped(lock: Lock) -> tuple[str, ...]:
    """What replaces torch and its family in the CPU-only variant."""
    if not has_cuda(lock):
        return ()
    return tuple(f"{name}=={lock.pins[name]}+cpu" for name in FAMILY if name in lock.pins)


def requirements(lock: Lock, variant: str) -> tuple[str, str]:
    """Two requirements files: with hashes, and without (the CPU-only build is not in the lock).

    Packages that only torch's CUDA needs are left out of the CPU-only variant, unless the lock's
    .in asks for them itself.
    """
    if variant == "cuda" or not has_cuda(lock):
        return render(lock.requirements), ""
    kept = (
        pin
        for pin in lock.requirements
        if pin.name not in FAMILY
        and (pin.name in lock.inputs or not _CUDA_ONLY.fullmatch(pin.name))
    )
    return render(kept), "".join(f"{line}\n" for line in swapped(lock))


def offered(locks: Sequence[Lock], index: str = "") -> bool:
    """Whether the sources have the CPU-only build of all these locks. Quick, and never fails."""
    wanted = sorted({line for lock in locks for line in swapped(lock)})
    with tempfile.TemporaryDirectory(prefix="ftspec-") as place:
        asked = Path(place) / "torch.in"
        asked.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        backend = ("--torch-backend", index) if index else ()
        arguments = (
            *("pip", "compile", "--quiet", "--no-deps", "--no-header", "--only-binary", ":all:"),
            *("--python", sys.executable),
        )
        try:
            run_uv(
                (*arguments, *backend, str(asked), "-o", str(asked.with_suffix(".lock"))),
                "looking for a CPU-only torch",
                extra=_QUICK,
                timeout=20,
            )
        except EnvironmentError_:
            return False
    return True


def nvidia_driver() -> str:
    """Version of the NVIDIA driver; empty without one."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        text = _ask_smi()
    found = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", text)
    return found[1] if found else ""


def _ask_smi() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        return subprocess.run(
            [program, "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=10, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
