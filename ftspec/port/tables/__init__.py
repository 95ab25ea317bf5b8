"""Names, types and defaults of a framework's settings, version by version.

Read out of the installed frameworks by scripts/native_schema.py and scripts/port_tables.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from packaging.version import Version

from ftspec.errors import Problem, SpecError


@dataclass(frozen=True)
class Table:
    """One version of one framework."""

    package: str
    version: str
    calls: Mapping[str, Mapping[str, tuple[str, Any]]]
    """Type and default by name, for each class of arguments."""

    def find(self, key: str) -> tuple[str, Any] | None:
        """Type and default of `Call.name`, or of a bare name."""
        call, _, name = key.rpartition(".")
        return self.calls.get(call, {}).get(name)

    @property
    def title(self) -> str:
        """`llamafactory 0.9.5`."""
        return f"{self.package} {self.version}"


@cache
def versions(package: str) -> tuple[str, ...]:
    """The versions there are tables of, oldest first."""
    names = (path.name for path in files(__name__).iterdir())
    found = [
        name.removeprefix(f"{package}-").removesuffix(".json")
        for name in names
        if name.startswith(f"{package}-")
    ]
    return tuple(sorted(found, key=Version))


@cache
def table(package: str, version: str | None = None) -> Table:
    """The table of a version; the newest where none is named.

    Raises:
        SpecError: there is no such table.
    """
    known = versions(package)
    if version is not None and version not in known:
        raise SpecError(
            Problem(
                f"the defaults of {package} {version} are not known",
                hint=f"known are: {', '.join(known) or 'none'}",
            )
        )
    text = (files(__name__) / f"{package}-{version or known[-1]}.json").read_text()
    read = json.loads(text)
    calls = {
        call: {name: (entry[0], entry[1]) for name, entry in entries.items()}
        for call, entries in read["calls"].items()
    }
    return Table(package, read["version"], calls)
