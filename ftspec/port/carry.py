"""`ftspec port`: the config of one tool to the native files of another, through a spec."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.emit.disk import write_atomic
from ftspec.errors import OutputError, Problem, SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Plan
from ftspec.port.bring import Imported, bring
from ftspec.port.fates import Fate
from ftspec.registry import load
from ftspec.spec.load import loads


@dataclass(frozen=True)
class Carried:
    """What was read, and what is to be written."""

    imported: Imported
    plan: Plan


def carry(
    files: Sequence[Path],
    backend: str,
    folder: Path,
    wanted: str | None = None,
    version: str | None = None,
    devices: int | None = None,
    allow_lossy: bool = False,
    sets: Sequence[str] = (),
) -> Carried:
    """The plan that trains elsewhere what these files train; ``sets`` change values of the spec.

    Raises:
        SpecError: something is left open that a person has to decide.
        UnsupportedError: something would be lost, or be only nearly the same.
    """
    load(backend)  # says at once if there is none
    imported = bring(files, wanted, version, devices)
    if imported.composed.open:
        hint = "`ftspec import` writes the spec with these questions in it"
        raise SpecError([Problem(question, hint=hint) for question in imported.composed.open])
    lost = [fate for fate in imported.fates if _is_lost(fate, imported, backend)]
    if lost and not allow_lossy:
        raise UnsupportedError([_problem(fate) for fate in lost])
    if imported.files:
        _make(folder)
    for name, text in imported.files.items():
        write_atomic(folder / name, text.encode())
    changed = [*_moved(imported, folder), *sets]
    loaded = loads(imported.composed.text, f"{_name(imported)}.yaml", changed)
    return Carried(imported, make_plan(loaded, backend, folder, allow_lossy))


def _name(imported: Imported) -> str:
    """What the spec is called: after the file that says the training."""
    return imported.parts[0].context.document.path.stem


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = Problem(f"cannot make this folder: {error.strerror}", file=str(folder))
        raise OutputError([problem]) from error


def _moved(imported: Imported, folder: Path) -> Iterator[str]:
    """The places in the spec that name files which were written into the folder."""
    files = {f"./{name}": str(folder / name) for name in imported.files}
    objective = imported.composed.spec.method.objective
    if (template := imported.composed.spec.model.chat_template) in files:
        yield f"model.chat_template={files[template]}"
    rewards = [one.model_dump(exclude_defaults=True) for one in getattr(objective, "rewards", ())]
    if any(one.get("file") in files for one in rewards):
        placed = [{**one, **_file(one, files)} for one in rewards]
        yield f"method.objective.rewards={json.dumps(placed)}"


def _file(reward: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, str]:
    return {"file": files[reward["file"]]} if reward.get("file") in files else {}


def _is_lost(fate: Fate, imported: Imported, backend: str) -> bool:
    """Whether the other framework would train without it; what is kept goes on to its own."""
    if fate.kind == "kept":
        return all(part.format.backend != backend for part in imported.parts)
    return not fate.faithful


def _problem(fate: Fate) -> Problem:
    setting = fate.setting
    word = "only nearly the same" if fate.kind == "approximated" else "would be lost"
    return Problem(
        f"{setting.key}: {setting.value!r} {word}: {fate.why}",
        file=setting.file,
        line=setting.line,
        hint="--allow-lossy goes on without it",
    )
