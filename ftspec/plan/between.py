"""A step between two trainings: one script, in a folder of its own, in the environment of a backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftspec.backend import File, Job
from ftspec.emit.header import requirements
from ftspec.emit.manifest import manifest
from ftspec.emit.plain import one_line
from ftspec.emit.shell import launch_script
from ftspec.env.locks import Pinned, pinned
from ftspec.mapping import Note
from ftspec.plan.environ import PRIVATE, clean
from ftspec.plan.stages import BuildEnvironment, Launch, Plan, Stage, WriteFile
from ftspec.plan.values import Resolved
from ftspec.registry import load


def between_job(stage: Plan, suffix: str, packages: Sequence[str]) -> tuple[Job, Pinned]:
    """What a script is written for, beside the stage that it serves; ``packages`` are those it imports."""
    resolved, backend = stage.resolved, load(stage.backend)
    values = resolved.flat()
    lock = pinned(backend, values["run.environment"], {*packages, backend.package})
    job = Job(
        spec_name=f"{resolved.name}-{suffix}",
        spec_hash=stage.digest(),
        values=values,
        pins={package: lock.versions[package] for package in packages},
        environ={} if values["run.telemetry"] else {row.name: row.value for row in PRIVATE},
    )
    return job, lock


def between_plan(
    stage: Plan,
    job: Job,
    lock: Pinned,
    script: File,
    comment: str,
    device: str,
    folder: Path,
    first: Sequence[Stage],
    last: Stage,
    notes: tuple[Note, ...] = (),
) -> Plan:
    """The plan of a step: ``first``, the script with what belongs to it, its launch, ``last``."""
    argv = ("{python}", script.path)
    pins = "".join(f"{line}\n" for line in requirements(job.pins))
    written = [
        script,
        File.text("launch.sh", launch_script(argv, job.environ, comment), executable=True),
        File.text("requirements.txt", f"# {one_line(comment)}\n{pins}"),
    ]
    said = [f"{note.path}: {note.reason}" for note in notes]
    backend, values = load(stage.backend), job.values
    written.append(
        manifest(job, backend, written, lock_key=lock.key, versions=lock.versions, notes=said)
    )
    setting, cleared = clean(telemetry=values["run.telemetry"], device=device)
    stages: tuple[Stage, ...] = (
        *first,
        *(WriteFile(file) for file in written),
        BuildEnvironment(backend.name, values["run.environment"], lock.key),
        Launch(argv, setting, cleared),
        last,
    )
    # no values: it has neither steps nor a checkpoint to go on from
    bare = Resolved(stage.resolved.loaded, job.spec_name, {})
    return Plan(backend.name, bare, {}, notes, stages, folder)
