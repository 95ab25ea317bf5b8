"""The environment variables of a process that runs in an environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ftspec.env.exclusive import opened, users
from ftspec.env.store import OWN, Environment, cache_folder

# They point a Python at the packages of another one, or speak of another environment as the active one.
_FOREIGN = frozenset(
    {
        *("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"),
        *("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"),
    }
)


def variables(environment: Environment, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """`base` (this process's variables) as a process in the environment needs them.

    Its programs come first in PATH: LLaMA-Factory starts torchrun by name, DeepSpeed builds its
    extensions with the ninja there. The extensions are kept apart from those of other torches, and of
    other programs on the machine.
    """
    base = os.environ if base is None else base
    # Images of containers often forbid to write bytecode. What lies in an environment of ours never
    # changes, and without it every training compiles torch and transformers anew: half its time.
    forbidden = _FOREIGN if environment.key == OWN else {*_FOREIGN, "PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in base.items() if name not in forbidden}
    path = os.pathsep.join(part for part in (str(environment.bin), base.get("PATH", "")) if part)
    return {
        **kept,
        "PATH": path,
        "PYTHONNOUSERSITE": "1",
        "TORCH_EXTENSIONS_DIR": str(extensions_folder(environment)),
    }


def extensions_folder(environment: Environment) -> Path:
    """Where torch builds extensions for this environment."""
    if environment.key != OWN:
        return environment.folder / "torch_extensions"
    # A person's own folder is not ours to write into.
    name = str(environment.python).strip(os.sep).replace(os.sep, "-")[-80:]
    return cache_folder() / "extensions" / f"{name}-{environment.versions.get('torch', '')}"


def stale_builds(environment: Environment) -> list[Path]:
    """Lock files of killed extension builds: every later run would wait for them, for ever.

    Whoever builds has its lock open (torch/utils/file_baton.py); a lock that nobody has open is left.
    """
    found = sorted(extensions_folder(environment).glob("**/lock"))
    held = opened(users(environment.folder)) if found else set()
    return [] if held is None else [lock for lock in found if lock.resolve() not in held]


def release_builds(environment: Environment) -> list[Path]:
    """Remove the lock files of killed extension builds. Nothing that still builds is touched."""
    released = stale_builds(environment)
    for lock in released:
        lock.unlink(missing_ok=True)
    return released
