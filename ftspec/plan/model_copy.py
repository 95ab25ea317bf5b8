"""A model's folder again, with links to its files beside a config.json of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ftspec.emit.disk import write_atomic
from ftspec.errors import OutputError, Problem, SpecError
from ftspec.plan.positions import model_config
from ftspec.plan.stages import CopyModel
from ftspec.spec.home import at_home

CONFIG = "config.json"
LEGACY = ("rope_scaling", "rope_theta")
"""Older names of what `rope_parameters` says: transformers 5 would prefer them."""


def copy_model(stage: CopyModel, folder: Path) -> Path:
    """Make the copy below the compiled folder, and return where it is.

    Raises:
        SpecError: the model has no config.json that can be read.
        OutputError: there is something else at its place.
    """
    # `..` of a folder that is not there yet leads nowhere
    source = Path(os.path.normpath(folder.resolve() / at_home(stage.source)))
    target = folder / stage.target
    config = model_config(source)
    if config is None:
        raise SpecError(Problem(f"{source} has no config.json to change", path="model.name"))
    changed = {k: v for k, v in config.items() if k not in LEGACY} | dict(stage.config)
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.name != CONFIG:
            _link(target / file.name, os.path.relpath(file.resolve(), target.resolve()))
    write_atomic(target / CONFIG, f"{json.dumps(changed, indent=2)}\n".encode())
    return target


def _link(place: Path, to: str) -> None:
    if place.is_symlink():
        place.unlink()
    if place.exists():
        raise OutputError(
            Problem(f"{place} is there already", hint="move it, or choose another folder")
        )
    place.symlink_to(to)
