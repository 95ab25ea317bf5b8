"""The step between two stages that adds an adapter to its base: a script for peft, in a folder of its own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import ftspec
from ftspec.backend import File, Job
from ftspec.emit.header import requirements
from ftspec.emit.manifest import manifest
from ftspec.emit.plain import one_line
from ftspec.emit.python import render
from ftspec.emit.shell import launch_script
from ftspec.env.locks import pinned
from ftspec.errors import Problem, UnsupportedError
from ftspec.mapping import Note
from ftspec.plan.environ import PRIVATE, clean
from ftspec.plan.places import is_local, rebase
from ftspec.plan.stages import BuildEnvironment, Collect, Launch, Plan, Stage, TakeResult, WriteFile
from ftspec.plan.values import Resolved
from ftspec.registry import load

SCRIPT = "merge.py"
TEMPLATE = files("ftspec.families") / "templates" / "merge.py.j2"
PINNED = ("transformers", "peft", "torch")
ARGV = ("{python}", SCRIPT)
QUANTISED = (
    "the adapter was trained over a quantised base, and is added to the whole weights: what it learned "
    "to make up for, the rounding, is not in them"
)


def merge_plan(
    source: Plan,
    stage: str,
    folder: Path,
    adapter: str,
    results: str,
    allow_lossy: bool = False,
) -> Plan:
    """The plan of a merge: it takes the adapter that ``source`` leaves, in the environment of its backend.

    ``stage`` is its name; ``adapter`` and ``results`` are folders, seen from the spec's own. It calculates
    in float32 on the CPU; the result has the type in which the base is stored.

    Raises:
        UnsupportedError: the base was quantised, and nearly the same is not accepted.
    """
    resolved, backend = source.resolved, load(source.backend)
    values = resolved.flat()
    notes: tuple[Note, ...] = ()
    if values["model.quantization.type"] is not None:
        notes = (Note("model.adapter", QUANTISED),)
        if not allow_lossy:
            hint = "--allow-lossy accepts that; or adapter: continue"
            raise UnsupportedError(Problem(QUANTISED, "model.adapter", hint=hint))
    lock = pinned(backend, values["run.environment"], {*PINNED, backend.package})
    job = Job(
        spec_name=f"{resolved.name}-merged",
        spec_hash=source.digest(),
        values=values,
        pins={package: lock.versions[package] for package in PINNED},
        environ={} if values["run.telemetry"] else {row.name: row.value for row in PRIVATE},
    )
    adapter, results = (rebase(path, resolved.folder, folder) for path in (adapter, results))
    base = values["model.name"]
    if is_local(base, resolved.folder):
        base = rebase(base, resolved.folder, folder)
    comment = f"An adapter added to its base; compiled by ftspec {ftspec.__version__} from {resolved.name}"
    script = render(
        TEMPLATE,
        allowed=("BASE",),
        pins=job.pins,
        headline=comment,
        base=base,
        adapter=adapter,
        merged=results,
        loading={
            "": {
                "revision": values["model.revision"],
                "dtype": "auto",
                "trust_remote_code": values["model.trust_remote_code"],
            }
        },
    )
    pins = "".join(f"{line}\n" for line in requirements(job.pins))
    written = [
        File.text(SCRIPT, script),
        File.text("launch.sh", launch_script(ARGV, job.environ, comment), executable=True),
        File.text("requirements.txt", f"# {one_line(comment)}\n{pins}"),
    ]
    said = [f"{note.path}: {note.reason}" for note in notes]
    written.append(
        manifest(job, backend, written, lock_key=lock.key, versions=lock.versions, notes=said)
    )
    setting, cleared = clean(telemetry=values["run.telemetry"], device="cpu")
    stages: tuple[Stage, ...] = (
        TakeResult(stage, source),
        *(WriteFile(file) for file in written),
        BuildEnvironment(backend.name, values["run.environment"], lock.key),
        Launch(ARGV, setting, cleared),
        Collect(results),
    )
    # no values: it has neither steps nor a checkpoint to go on from
    bare = Resolved(resolved.spec, resolved.folder, f"{resolved.name}-merged", {})
    return Plan(backend.name, bare, {}, notes, stages, folder)
