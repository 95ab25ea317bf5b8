"""From a spec to a plan for one backend: resolve, lower, emit, and list the stages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftspec.backend import MODEL_COPY, Backend, Job, lacks, lock_of
from ftspec.data.images import IMAGE_TOKENS
from ftspec.emit.manifest import manifest
from ftspec.env.locks import pinned
from ftspec.errors import OutputError, Problem, UnsupportedError
from ftspec.mapping import Lowered, Refusal
from ftspec.plan import passthrough
from ftspec.plan.data_stages import FOLDERS
from ftspec.plan.environ import PRIVATE, clean
from ftspec.plan.places import NAMING, REWARDED, is_local, rebase, rebase_values
from ftspec.plan.resolve import resolve
from ftspec.plan.stages import (
    BuildEnvironment,
    CheckData,
    CheckFolder,
    Collect,
    CopyModel,
    Launch,
    Plan,
    PrepareData,
    Stage,
    WriteFile,
)
from ftspec.plan.values import Resolved
from ftspec.registry import load
from ftspec.spec.chat_templates import NAMED
from ftspec.spec.data import SHARED
from ftspec.spec.home import at_home
from ftspec.spec.load import Loaded
from ftspec.spec.present import is_file

ACCEPTED = "--allow-lossy accepts that"
"""The way out of what is only nearly the same."""
DEVICE = "hardware.device"
ON_GPU = f"{DEVICE}: cuda, for a machine with a GPU"
"""The way out of what the machine alone stands against on which the files are written."""
OTHERWISE = re.compile(r"[;,] or |; ")
"""What stands between two ways out in a hint."""
DATA_FOLDER = "data"
"""Where ftspec's own tokenised splits lie, under the compiled folder."""


def run_folder(loaded: Loaded, backend: str) -> Path:
    """Where `run` works: the spec's output folder, one subfolder per backend."""
    output = resolve(loaded).values["output.folder"].value
    return loaded.file.parent / at_home(output) / backend


def lower(resolved: Resolved, backend: Backend, folder: Path) -> tuple[Lowered, dict[str, Any]]:
    """Native values of a resolved spec, and the values they were made from."""
    values = rebase_values(resolved.flat(), resolved.folder, folder)
    output = f"{values['output.folder']}/{backend.name}/model"
    values["output.folder"] = rebase(output, resolved.folder, folder)
    values |= {f"derived.{split}_rows": f"{DATA_FOLDER}/{name}" for split, name in FOLDERS.items()}
    objective = values["method.objective.type"]
    if objective not in backend.maps:
        refusal = Refusal("method.objective.type", objective, lacks(backend, objective), "notyet")
        return Lowered({}, (refusal,), ()), values
    return backend.maps[objective].lower(values), values


def make_plan(
    loaded: Loaded,
    name: str,
    folder: Path | None = None,
    allow_lossy: bool = False,
) -> Plan:
    """The plan for one spec on one backend; nothing is written, nothing is started.

    Raises:
        SpecError, DataError: the spec is not complete enough to run.
        UnsupportedError: the backend cannot express it; every refusal at once.
        BackendError: there is no such backend.
        OutputError: the folder is a file.
    """
    backend = load(name)
    with loaded.placing():
        resolved = resolve(loaded, backend.defaults)
    folder = folder or run_folder(loaded, name)
    if is_file(folder):  # paths are written as seen from it, and from a file nothing is seen
        hint = "a file of that name is there: name a folder"
        raise OutputError(Problem("not a folder to write to", file=str(folder), hint=hint))
    lowered, values = lower(resolved, backend, folder)
    refusals = _said_once(lowered.refusals)
    elsewhere = _elsewhere(resolved, backend, folder) if refusals else refusals
    problems = [_refused(refusal, backend, resolved, loaded, elsewhere) for refusal in refusals]
    if lowered.notes and not allow_lossy:
        problems += [
            loaded.problem(note.path, f"{backend.title}: {note.reason}", ACCEPTED)
            for note in lowered.notes
        ]
    if problems:
        raise UnsupportedError(problems)
    native = {**lowered.native, **passthrough.own_settings(loaded, backend)}
    named = tuple(dict.fromkeys((*backend.pinned, *_needed(backend, native))))
    asked = loaded.spec.run.environment
    place, why = lock_of(backend, values["method.objective.type"], asked, native)
    lock = pinned(backend, place, {*named, backend.package})
    pins = {package: lock.versions[package] for package in named if package in lock.versions}
    job = Job(
        spec_name=resolved.name,
        spec_hash=loaded.digest,
        values=values,
        pins=pins,
        overrides=backend.overrides,
        environ={} if loaded.spec.run.telemetry else {row.name: row.value for row in PRIVATE},
    )
    fields = backend.maps[values["method.objective.type"]]
    files = passthrough.emit(backend, fields, native, job, loaded)
    notes = [f"{note.path}: {note.reason}" for note in lowered.notes]
    versions = {**pins, backend.package: lock.versions[backend.package]}
    proof = manifest(job, backend, files, lock_key=lock.key, versions=versions, notes=notes)
    files = (*files, proof)
    setting, cleared = clean(telemetry=loaded.spec.run.telemetry, device=values["hardware.device"])
    environ = {**setting, **backend.environment(native)}
    changed = backend.model_copy(native)
    stages: Sequence[Stage] = (
        *_data_stages(values, backend, bool(loaded.handed and loaded.handed.written)),
        *_folder_stages(resolved),
        *([CopyModel(values["model.name"], MODEL_COPY, changed)] if changed else []),
        *(WriteFile(file) for file in files),
        BuildEnvironment(name, place, lock.key, why),
        Launch(tuple(backend.launch(native)), environ, cleared),
        Collect(values["output.folder"]),
    )
    return Plan(name, resolved, native, lowered.notes, tuple(stages), folder)


def _needed(backend: Backend, native: Mapping[str, Any]) -> Iterator[str]:
    """Distributions that these native values need beside those that every run does."""
    for condition, package in backend.needs.items():
        key, _, value = condition.partition("=")
        if native.get(key) == value or (native.get(key) and not value):
            yield from package.split()


def _data_stages(values: Mapping[str, Any], backend: Backend, written: bool) -> list[Stage]:
    stages: list[Stage] = []
    for split in ("train", "eval"):
        sources = values[f"data.{split}"]
        held_out = split == "eval" and values["data.eval_size"] is not None
        if not sources and not (held_out and values["data.prepare"] == "ftspec"):
            continue  # rows that a framework holds out are looked at with those that train
        if values["data.prepare"] == "ftspec":
            packed = backend.packed if values["data.packing"] in SHARED else ()
            columns = (*backend.columns, *packed)
            stages.append(PrepareData(split, f"{DATA_FOLDER}/{FOLDERS[split]}", columns))
        elif all(source["path"] for source in sources):
            lengths = values["data.overflow"] == "error" and _measured(values)
            later = written and split == "train"
            stages.append(CheckData(split, lengths, backend.alternating, backend.parsing, later))
    return stages


def _measured(values: Mapping[str, Any]) -> bool:
    """Whether rows can be measured here: with images only as a named template writes them."""
    if values["model.images.train"] is None:
        return True
    return values["model.chat_template"] in NAMED and values[IMAGE_TOKENS] is not None


def _folder_stages(resolved: Resolved) -> list[Stage]:
    """What must lie there before anything is spent; `compile` may come before the run that makes it."""
    given = resolved.flat()
    named = {"train.resume": given["train.resume"]}
    for path in NAMING:
        name = given.get(path)
        if name is not None and is_local(name, resolved.folder):
            named[path] = name
    for at, reward in enumerate(given.get("method.objective.rewards", ())):
        for field in REWARDED:
            if reward[field] is not None and is_local(reward[field], resolved.folder):
                named[f"method.objective.rewards.{at}.{field}"] = reward[field]
    return [CheckFolder(field, folder) for field, folder in named.items() if folder is not None]


def _said_once(refusals: Sequence[Refusal]) -> list[Refusal]:
    """The refusals, and of those in one section that share a reason only the first."""
    by_reason = {(r.path.rpartition(".")[0], r.reason): r for r in reversed(refusals)}
    return [r for r in refusals if r in by_reason.values()]


def _elsewhere(resolved: Resolved, backend: Backend, folder: Path) -> Sequence[Refusal]:
    """What a GPU would be refused as well, where it is this machine alone that says there is none."""
    device = resolved.values[DEVICE]
    gpu = {**resolved.values, DEVICE: replace(device, value="cuda")}
    here = device.origin == "machine" and device.value == "cpu"
    return lower(replace(resolved, values=gpu) if here else resolved, backend, folder)[0].refusals


def _refused(
    refusal: Refusal,
    backend: Backend,
    resolved: Resolved,
    loaded: Loaded,
    elsewhere: Sequence[Refusal],
) -> Problem:
    words = {
        "never": "makes no sense there",
        "notyet": "the framework cannot",
        "notimpl": "not in this version of ftspec",
    }
    why = words.get(refusal.support, refusal.support)
    # as the spec has it: paths were rebased before the backend saw them
    given = resolved.values[refusal.path].value if refusal.path in resolved.values else None
    plain = isinstance(given, str | int | float)
    value = f" = {_short(given)}" if plain else ""
    message = f"{backend.title}: {refusal.path}{value}: {refusal.reason} ({why})"
    hint = refusal.hint
    if DEVICE not in hint and (refusal.path, refusal.reason) not in {
        (r.path, r.reason) for r in elsewhere
    }:
        hint = f"{ON_GPU}; or {hint}" if hint else ON_GPU
    if resolved.values["model.images.train"].value is not None:
        hint = _of_images(hint)
    return loaded.problem(refusal.path, message, hint)


def _of_images(hint: str) -> str:
    """Without preparing rows, which no backend takes with images (families/rows/images.py)."""
    ways = OTHERWISE.split(hint)
    others = [way for way in ways if not way.startswith("data.prepare: ftspec")]
    return hint if len(others) == len(ways) else "; or ".join(others)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
