"""The environment a training is started with. The tables and their reasons: ftspec.plan.environ."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from ftspec.plan.environ import clean, matching, reason

__all__ = ["clean", "matching", "reason", "compose"]


def compose(
    caller: Mapping[str, str],
    setting: Mapping[str, str],
    cleared: Collection[str],
    programs: Path | None = None,
) -> dict[str, str]:
    """The caller's environment without ``cleared`` (names or patterns), with ``setting``.

    ``programs`` is the environment's folder of programs. It goes first on PATH: LLaMA-Factory
    starts ``torchrun`` by name, DeepSpeed ``ninja``.
    """
    gone = set(matching(caller, cleared))
    environ = {name: value for name, value in caller.items() if name not in gone} | dict(setting)
    if programs is not None:
        # Names of another active environment would speak against the one that is used.
        for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"):
            environ.pop(name, None)
        environ["PATH"] = os.pathsep.join(filter(None, (str(programs), environ.get("PATH", ""))))
    return environ
