"""A model's folder again, with links to its files beside some of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftspec.data.tokenizer import Vocabulary, load_tokenizer
from ftspec.emit.disk import write_atomic
from ftspec.errors import OutputError, Problem, SpecError
from ftspec.plan.positions import model_config
from ftspec.plan.stages import CopyModel
from ftspec.spec.home import at_home

CONFIG = "config.json"
NEEDED = (CONFIG, "tokenizer_config.json")
"""Files that a model must have for them to be changed; of the others some models have none."""
REPLACED: Mapping[str, Sequence[str]] = {"rope_parameters": ("rope_scaling", "rope_theta")}
"""Older names of an entry: transformers 5 would prefer them."""


def copy_model(stage: CopyModel, folder: Path) -> Path:
    """Make the copy below the compiled folder, and return where it is.

    Raises:
        SpecError: the model lacks a file that is to be changed, or it cannot be read.
        DataError: its tokenizer lacks a token that is to be a special one.
        OutputError: there is something else at its place.
    """
    # `..` of a folder that is not there yet leads nowhere
    source = Path(os.path.normpath(folder.resolve() / at_home(stage.source)))
    target = folder / stage.target
    texts = {name: _changed(source, name, entries) for name, entries in stage.changed.items()}
    if tokens := stage.changed.get("tokenizer_config.json"):
        load_tokenizer(source, vocabulary=Vocabulary(tokens))
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if not texts.get(file.name):
            _link(target / file.name, os.path.relpath(file.resolve(), target.resolve()))
    for name, text in texts.items():
        if text:
            write_atomic(target / name, text)
    return target


def _changed(source: Path, name: str, entries: Mapping[str, Any]) -> bytes:
    """The file with these entries; empty where the model has none and needs none."""
    found = model_config(source, name)
    if found is None:
        if name not in NEEDED:
            return b""
        raise SpecError(Problem(f"{source} has no {name} to change", path="model.name"))
    left_out = {old for entry in entries for old in REPLACED.get(entry, ())}
    changed = {k: v for k, v in found.items() if k not in left_out} | dict(entries)
    return f"{json.dumps(changed, indent=2)}\n".encode()


def _link(place: Path, to: str) -> None:
    if place.is_symlink():
        place.unlink()
    if place.exists():
        raise OutputError(
            Problem(f"{place} is there already", hint="move it, or choose another folder")
        )
    place.symlink_to(to)
