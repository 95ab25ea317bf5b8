"""What each stage of a plan does when it is run."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import singledispatch
from typing import Any

from ftspec.emit.disk import write_atomic, write_files
from ftspec.env.store import Environment
from ftspec.env.variables import release_builds, variables
from ftspec.plan.model_copy import copy_model
from ftspec.plan.places import require_folder
from ftspec.plan.stages import (
    BuildEnvironment,
    CheckData,
    CheckFolder,
    Collect,
    CopyModel,
    Launch,
    Plan,
    PrepareData,
    TakeResult,
    WriteFile,
)
from ftspec.run.environ import compose
from ftspec.run.folder import Journal
from ftspec.run.launch import launch
from ftspec.run.progress import Progress, Tracker
from ftspec.run.results import collect
from ftspec.run.taken import RESULTS, take

LOG = "train.log"


@dataclass
class Context:
    """What stages hand to each other."""

    plan: Plan
    journal: Journal
    environment: Environment | None
    overwrite: bool
    cancel: threading.Event | None
    emit: Callable[..., None]
    written: bool = False
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    progress: Progress | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    """Hashes of what earlier stages left, by their names."""


@singledispatch
def perform(stage: Any, context: Context) -> None:
    """Do one stage."""
    raise TypeError(f"no handler for {type(stage).__name__} in {context.plan.backend}")


@perform.register
def _check(stage: CheckData, context: Context) -> None:
    from ftspec.plan.data_stages import check_split  # noqa: PLC0415 - reads tokenizers and Parquet

    resolved = context.plan.resolved
    report = check_split(resolved, stage.split, stage.lengths, stage.alternating, stage.parsing)
    context.emit("note", _told(report))


@perform.register
def _prepare(stage: PrepareData, context: Context) -> None:
    from ftspec.plan.data_stages import prepare_split  # noqa: PLC0415 - reads tokenizers and Parquet

    target = context.plan.folder / stage.target
    context.emit(
        "note", _told(prepare_split(context.plan.resolved, stage.split, target, stage.columns))
    )


@perform.register
def _copy(stage: CopyModel, context: Context) -> None:
    copy_model(stage, context.plan.folder)


@perform.register
def _find(stage: CheckFolder, context: Context) -> None:
    require_folder(stage.folder, stage.field, context.plan.resolved.loaded)


@perform.register
def _take(stage: TakeResult, context: Context) -> None:
    context.inputs[stage.name] = take(stage, context.plan.resolved)


@perform.register
def _write(stage: WriteFile, context: Context) -> None:
    # All at once at the first: either the whole compiled folder is there or what was there before.
    if not context.written:
        write_files(context.plan.folder, context.plan.files(), context.overwrite)
        context.written = True


@perform.register
def _build(stage: BuildEnvironment, context: Context) -> None:
    if context.environment is not None:
        context.emit("note", f"given: {context.environment.python}")
        return
    from ftspec.env.install import ensure  # noqa: PLC0415 - not needed where one is given
    from ftspec.env.uv import Progress as Installing  # noqa: PLC0415
    from ftspec.registry import load  # noqa: PLC0415

    def tell(now: Installing) -> None:
        kind = "note" if now.done is None else "tick"
        context.emit(kind, f"{now.subject}: {now.text}")

    context.environment = ensure(load(stage.backend), lock=stage.lock, progress=tell)


@perform.register
def _launch(stage: Launch, context: Context) -> None:
    environment, journal = context.environment, context.journal
    if environment is None:
        raise TypeError("a Launch comes after a BuildEnvironment")
    values = context.plan.resolved.flat()
    aside = journal.make_room(context.overwrite, keep=bool(values.get("train.resume")))
    if aside:
        context.emit("note", f"an earlier attempt's results were moved to {aside}")
    tracker = Tracker(values.get("train.steps"), values.get("train.logging_steps") or 1)

    def show(seen: Progress | None) -> None:
        if seen:
            context.progress = seen
            context.emit("progress", progress=seen)

    def read(line: str) -> None:
        context.emit("line", line)
        show(tracker.read(line))

    words = {"{python}": str(environment.python), "{bin}": str(environment.bin)}
    log = journal.home / LOG
    for stale in release_builds(environment):
        context.emit("note", f"a killed build of an extension left {stale.name}: removed")
    launch(
        [_filled(word, words) for word in stage.argv],
        context.plan.folder,
        variables(environment, compose(os.environ, stage.environ, stage.cleared)),
        log,
        on_line=read,
        on_bar=lambda state: show(tracker.glance(state)),
        cancel=context.cancel,
        hold=(journal.lock,),
    )


@perform.register
def _collect(stage: Collect, context: Context) -> None:
    folder = (context.plan.folder / stage.folder).resolve()
    context.files = collect(folder, stage.file)
    noted: dict[str, Any] = {"folder": stage.folder, "files": context.files}
    if context.inputs:
        noted["inputs"] = context.inputs
    content = json.dumps(noted, indent=2) + "\n"
    write_atomic(context.journal.home / RESULTS, content.encode())


def _filled(word: str, values: Mapping[str, str]) -> str:
    """Not str.format: other braces in a command are the command's own."""
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def _told(report: Any) -> str:
    """A data report in a line: `64 rows, 64 kept, 95 longest`."""
    facts = {name: value for name, value in asdict(report).items() if value}
    return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in facts.items())
