"""Names of files that mean others in a spec than in its source: a spec's start at its own folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftspec.plan.places import NAMING, is_local
from ftspec.port.bring import Imported
from ftspec.spec.chat_templates import NAMED
from ftspec.spec.home import at_home
from ftspec.spec.paths import flatten

TEMPLATE = "model.chat_template"


def elsewhere(imported: Imported, folder: Path) -> list[str]:
    """A note that tells the names which lead elsewhere from the folder that the spec is written to, if any.

    A source's names start at the current folder. Hub ids, absolute names and files that are written
    beside the spec are the same from everywhere.
    """
    if os.path.realpath(folder) == os.path.realpath(Path.cwd()):
        return []
    names = [name for name in _names(imported) if not at_home(name).is_absolute()]
    told = ", ".join(dict.fromkeys(names))
    told = f"names of files start at the spec's folder, and these at the current one: {told}"
    return [f"{told}: change them, or write the spec here"] if names else []


def _names(imported: Imported) -> Iterator[str]:
    """Files and folders that the spec reads."""
    values = flatten(imported.composed.spec)
    open_ = imported.composed.open
    for path in ("model.name", *NAMING):
        named = values.get(path)
        if isinstance(named, str) and is_local(named, Path.cwd()):
            yield named
    template = values.get(TEMPLATE)
    written = {f"./{name}" for name in imported.files}
    if isinstance(template, str) and template not in ("tokenizer", *NAMED, *written):
        yield template
    sources: list[dict[str, Any]] = [*(values["data.train"] or ()), *(values["data.eval"] or ())]
    for source in sources:
        if source.get("path") and not (open_ and "TODO" in source["path"]):
            yield source["path"]
