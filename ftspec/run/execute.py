"""Walk a plan: the stages that `plan` printed, in their order, each an event."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ftspec.env.store import Environment
from ftspec.errors import FtspecError
from ftspec.plan.stages import Plan, Stage
from ftspec.plan.wording import title
from ftspec.run.folder import claim
from ftspec.run.perform import LOG, Context, perform
from ftspec.run.progress import Progress
from ftspec.run.signals import Terminated, terminable


@dataclass(frozen=True)
class Event:
    """Something a person may want to see while a run goes on."""

    kind: Literal["start", "end", "note", "tick", "line", "progress"]
    """start and end: of a stage. note: said by a stage. tick: the same, until the next one.
    line: printed by the training. Lines and ticks are not kept in events.jsonl."""
    backend: str
    stage: str
    index: int
    """Of the stage, from 0."""
    total: int
    """Number of stages."""
    text: str = ""
    seconds: float = 0.0
    """How long an ended stage took."""
    progress: Progress | None = None


@dataclass(frozen=True)
class RunResult:
    """A finished run."""

    folder: Path
    """The compiled folder."""
    results: Path
    """Folder of the weights."""
    files: Mapping[str, Mapping[str, Any]]
    """Size and SHA-256 of each result."""
    log: Path
    seconds: float
    progress: Progress | None
    """The last that was seen."""


def execute(
    plan: Plan,
    environment: Environment | None = None,
    on_event: Callable[[Event], None] | None = None,
    overwrite: bool = False,
    cancel: threading.Event | None = None,
) -> RunResult:
    """Run a plan to its end.

    After a failure or an interrupt the same call starts anew: the earlier attempt's results are
    moved aside. ``cancel`` ends the run from another thread.

    Raises:
        FtspecError: a stage failed; state.json names it.
        KeyboardInterrupt, Terminated: passed on, after no process of the run is left.
    """
    begun = time.monotonic()
    results = plan.results()
    with (
        terminable(),
        claim(
            plan.folder,
            plan.digest(),
            spec=plan.resolved.name,
            backend=plan.backend,
            results=results,
            overwrite=overwrite,
        ) as journal,
    ):
        context = Context(plan, journal, environment, overwrite, cancel, lambda *_, **__: None)
        journal.note("run", status="running", digest=journal.state.digest, backend=plan.backend)
        for index, stage in enumerate(plan.stages):
            _walk(stage, index, context, on_event)
        seconds = time.monotonic() - begun
        journal.save(status="done", stage="")
        journal.note("run", status="done", seconds=round(seconds, 3))
        return RunResult(
            folder=plan.folder,
            results=(plan.folder / results).resolve(),
            files=context.files,
            log=journal.home / LOG,
            seconds=seconds,
            progress=context.progress,
        )


def _walk(
    stage: Stage, index: int, context: Context, on_event: Callable[[Event], None] | None
) -> None:
    """One stage, with its events and its mark in the state whatever becomes of it."""
    name, journal, begun = title(stage), context.journal, time.monotonic()

    def emit(
        kind: Any, text: str = "", progress: Progress | None = None, seconds: float = 0.0
    ) -> None:
        if kind not in ("line", "tick"):
            seen = {"progress": asdict(progress)} if progress else {}
            journal.note(kind, stage=name, **({"text": text} if text else {}), **seen)
        if on_event:
            on_event(
                Event(
                    kind,
                    context.plan.backend,
                    name,
                    index,
                    len(context.plan.stages),
                    text,
                    seconds,
                    progress,
                )
            )

    context.emit = emit
    try:
        _heed(context.cancel)
        journal.save(stage=name)
        emit("start")
        perform(stage, context)
        emit("end", seconds=round(time.monotonic() - begun, 3))
    except BaseException as error:
        interrupted = isinstance(error, (KeyboardInterrupt, Terminated))
        status = "interrupted" if interrupted else "failed"
        message = str(error) if isinstance(error, FtspecError) else type(error).__name__
        # On a full disk this fails as well; the first error is the one to report.
        with suppress(FtspecError):
            journal.save(status=status, stage=name, message=message)
            journal.note("run", status=status, stage=name, message=message)
        raise


def _heed(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Terminated
