"""Where things are: spec paths start at the spec's folder, emitted paths at the compiled folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftspec.data.sources import missing
from ftspec.errors import DataError, Problem, SpecError
from ftspec.plan.stages import CheckFolder, Plan
from ftspec.spec.chat_templates import NAMED
from ftspec.spec.home import at_home
from ftspec.spec.load import Loaded
from ftspec.spec.present import is_folder

NAMING = ("method.tuner.adapter", "method.objective.reference", "method.objective.teacher")
"""Fields that name a folder or a hub id, beside the model itself."""
REWARDED = ("name", "adapter")
"""The same of a reward."""


def is_local(name: str, folder: Path) -> bool:
    """Whether a model name is a folder: it looks like a path, or is one beside the spec."""
    return name.startswith((".", "/", "~")) or is_folder(folder / name)


def ask_for_files(loaded: Loaded, split: str) -> None:
    """Look for the local data files of a split, before one of them is read.

    Raises:
        DataError: some are not there; each stands at its line of the spec.
    """
    problems = []
    for index, source in enumerate(getattr(loaded.spec.data, split)):
        if source.path is not None and (gone := _gone(loaded.file.parent / source.path)):
            message = f"{gone.message}: {source.path}"
            problems.append(loaded.problem(f"data.{split}.{index}.path", message, gone.hint))
    if problems:
        raise DataError(problems)


def _gone(file: Path) -> Problem | None:
    try:
        return missing(file)
    except OSError:
        return None  # it may be there: whoever reads it says what is in the way


def rebase(path: str, start: Path, target: Path) -> str:
    """A path written relative to ``start``, as seen from ``target``. Absolute paths stay as they are.

    Emitted files hold relative paths, so that a checkout can move and bytes do not depend on it.
    """
    place = at_home(path)
    if place.is_absolute():
        return str(place)
    relative = os.path.relpath(start.resolve() / place, target.resolve())
    return Path(relative).as_posix()


def rebase_values(values: Mapping[str, Any], start: Path, target: Path) -> dict[str, Any]:
    """All paths among resolved values, as seen from the compiled folder."""
    moved = dict(values)

    def move(path: str) -> None:
        if isinstance(moved.get(path), str):
            moved[path] = rebase(moved[path], start, target)

    if is_local(values["model.name"], start):
        moved["model.name"] = _local(rebase(values["model.name"], start, target))
    if values["model.chat_template"] not in ("tokenizer", *NAMED):
        move("model.chat_template")
    for path in NAMING:
        named = values.get(path)
        if named is not None and is_local(named, start):
            moved[path] = _local(rebase(named, start, target))
    if "method.objective.rewards" in moved:
        moved["method.objective.rewards"] = tuple(
            _reward(reward, start, target) for reward in moved["method.objective.rewards"]
        )
    move("train.resume")
    for split in ("data.train", "data.eval"):
        moved[split] = tuple(
            {**source, "path": rebase(source["path"], start, target)} if source["path"] else source
            for source in values[split]
        )
    return moved


def _reward(reward: dict[str, Any], start: Path, target: Path) -> dict[str, Any]:
    """A reward with the folders of its model as seen from the compiled folder."""
    folders = {
        name: _local(rebase(reward[name], start, target))
        for name in REWARDED
        if reward[name] is not None and is_local(reward[name], start)
    }
    return {**reward, **folders}


def require_folder(folder: str, field: str, loaded: Loaded) -> None:
    """See that a folder is there which an earlier run should have left.

    Raises:
        SpecError: it is not.
    """
    if not is_folder(loaded.file.parent / at_home(folder)):
        message = f"there is no folder {folder}"
        hint = "paths start at the spec's own folder; has the run that makes it ended well?"
        raise SpecError(loaded.problem(field, message, hint))


def require_folders(plan: Plan) -> None:
    """The same for all folders that a run begins with: before an environment is made for nothing."""
    for stage in plan.stages:
        if isinstance(stage, CheckFolder):
            require_folder(stage.folder, stage.field, plan.resolved.loaded)


def _local(path: str) -> str:
    """A relative folder, written so that nobody takes it for a hub id."""
    return path if path.startswith((".", "/")) else f"./{path}"
