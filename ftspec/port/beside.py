"""Files that a config names, where they are here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftspec.errors import SpecError
from ftspec.port.documents import read_text
from ftspec.port.rules import Context
from ftspec.read import json
from ftspec.spec.present import is_file


def text_beside(name: str, context: Context, here: bool = False) -> str:
    """What stands in a file that the config names; empty where none is that can be read.

    ``here``: its name may start at the current folder as well. No device is one (`/dev/zero` never ends), and
    no more of a file is read than of any config.
    """
    folders = (Path(), context.document.path.parent) if here else (context.document.path.parent,)
    file = next((folder / name for folder in folders if is_file(folder / name)), None)
    try:
        return read_text(file) if file else ""
    except SpecError:
        return ""


def object_beside(name: str, context: Context, here: bool = False) -> dict[str, Any]:
    """The object in such a file of JSON; empty where there is none."""
    try:
        found = json.read(text_beside(name, context, here))
    except SpecError:
        return {}
    return found if isinstance(found, dict) else {}
