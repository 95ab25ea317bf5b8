"""Inline script metadata (PEP 723): with it, `uv run train.py` needs nothing but uv."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from ftspec.emit.literal import WIDTH
from ftspec.emit.plain import refuse, shown

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._,-]+\])?", re.ASCII)
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+_-]*", re.ASCII)
_OVERRIDE = re.compile(rf"{_NAME.pattern}[0-9A-Za-z<>=!~.,*]+", re.ASCII)
_RANGE = re.compile(r"[0-9<>=!~.,* ]+", re.ASCII)


def requirements(pins: Mapping[str, str]) -> list[str]:
    """`name==version` of each pin, in the order given.

    A local version (`2.11.0+cpu`) is cut to its public part: the index of the local one is unknown
    where the script runs.
    """
    for name, version in pins.items():
        if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
            raise refuse(f"{shown(name)} {shown(version)} is not a package and its version")
    return [f"{name}=={version.partition('+')[0]}" for name, version in pins.items()]


def metadata(pins: Mapping[str, str], overrides: Sequence[str] = (), python: str = ">=3.11") -> str:
    """The comment block of a script's dependencies, as many on a line as fit.

    ``overrides`` are requirements that uv takes for those of other packages.
    """
    if not _RANGE.fullmatch(python):
        raise refuse(f"{shown(python)} is not a range of Python versions")
    if bad := [text for text in overrides if not _OVERRIDE.fullmatch(text)]:
        raise refuse(f"{shown(bad[0])} is not a requirement")
    lines = ""
    for requirement in requirements(pins):
        room = WIDTH - len(lines) + lines.rfind("\n")  # what is left of the last line
        item = f'"{requirement}",'
        lines += f" {item}" if lines and len(item) < room else f"\n#     {item}"
    told = f"# override-dependencies = {json.dumps(list(overrides))}\n"
    tool = f"# [tool.uv]\n{told}" if overrides else ""
    head = f'# /// script\n# requires-python = "{python}"\n'
    return f"{head}# dependencies = [{lines}\n# ]\n{tool}# ///"
