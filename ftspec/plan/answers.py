"""The step before a stage in which a teacher writes the answers that it trains on: a script of its own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import ftspec
from ftspec.backend import File, Job
from ftspec.emit.header import requirements
from ftspec.emit.manifest import manifest
from ftspec.emit.plain import one_line
from ftspec.emit.python import render
from ftspec.emit.shell import launch_script
from ftspec.env.locks import pinned
from ftspec.errors import Problem, SpecError
from ftspec.plan.environ import PRIVATE, clean
from ftspec.plan.places import is_local, rebase
from ftspec.plan.stages import (
    BuildEnvironment,
    CheckFolder,
    Collect,
    Launch,
    Plan,
    Stage,
    TakeResult,
    WriteFile,
)
from ftspec.plan.values import Resolved
from ftspec.registry import load
from ftspec.spec.data import SUFFIXES
from ftspec.spec.earlier import ANSWERS
from ftspec.spec.home import at_home
from ftspec.spec.writing import Writing

SCRIPT = "write.py"
TEMPLATE = files("ftspec.families") / "templates" / "write.py.j2"
PINNED = ("transformers", "datasets", "torch")
ARGV = ("{python}", SCRIPT)


def answers_plan(
    stage: Plan, name: str, writing: Writing, folder: Path, teacher: str, taken: TakeResult | None
) -> Plan:
    """The plan of the writing before ``stage``, in the environment of its backend.

    ``teacher`` is the model that writes, seen from the spec's folder; ``taken`` the look at the stage that
    leaves it, where one does. The answers lie where the stage's data says.

    Raises:
        SpecError: a file of prompts is not there.
    """
    resolved, backend = stage.resolved, load(stage.backend)
    for path in writing.prompts:
        if not (resolved.folder / at_home(path)).is_file():
            message = f"stage {name}: there is no file {path}"
            hint = "paths start at the spec's own folder"
            raise SpecError(Problem(message, path="write.prompts", hint=hint))
    values = resolved.flat()
    (source,) = values["data.train"]
    lock = pinned(backend, values["run.environment"], {*PINNED, backend.package})
    job = Job(
        spec_name=f"{resolved.name}-answers",
        spec_hash=stage.digest(),
        values=values,
        pins={package: lock.versions[package] for package in PINNED},
        environ={} if values["run.telemetry"] else {row.name: row.value for row in PRIVATE},
    )
    comment = f"Answers written by a teacher; compiled by ftspec {ftspec.__version__} from {resolved.name}"
    local = is_local(teacher, resolved.folder)
    results = rebase(source["path"].rpartition("/")[0], resolved.folder, folder)
    device = values["hardware.device"]
    script = render(
        TEMPLATE,
        allowed=("TEACHER",),
        pins=job.pins,
        headline=comment,
        teacher=rebase(teacher, resolved.folder, folder) if local else teacher,
        results=results,
        answers=ANSWERS,
        device=device,
        files=[rebase(path, resolved.folder, folder) for path in writing.prompts],
        reader=SUFFIXES[Path(writing.prompts[0]).suffix.lower()],
        **_said(writing),
    )
    pins = "".join(f"{line}\n" for line in requirements(job.pins))
    written = [
        File.text(SCRIPT, script),
        File.text("launch.sh", launch_script(ARGV, job.environ, comment), executable=True),
        File.text("requirements.txt", f"# {one_line(comment)}\n{pins}"),
    ]
    written.append(manifest(job, backend, written, lock_key=lock.key, versions=lock.versions))
    setting, cleared = clean(telemetry=values["run.telemetry"], device=device)
    stages: tuple[Stage, ...] = (
        *((taken,) if taken else (CheckFolder("write.teacher", teacher),) if local else ()),
        *(WriteFile(file) for file in written),
        BuildEnvironment(backend.name, values["run.environment"], lock.key),
        Launch(ARGV, setting, cleared),
        Collect(results, ANSWERS),
    )
    bare = Resolved(resolved.spec, resolved.folder, f"{resolved.name}-answers", {})
    return Plan(backend.name, bare, {}, (), stages, folder)


def _said(writing: Writing) -> dict[str, Any]:
    """What the spec says, as the script has it."""
    draws = writing.temperature > 0
    model = {"revision": writing.revision, "trust_remote_code": writing.trust_remote_code}
    return {
        "reading": {"": {**model, "padding_side": "left"}},
        "loading": {"": {**model, "dtype": writing.dtype}},
        "drawing": {
            "": {
                "max_new_tokens": writing.max_new_tokens,
                "do_sample": draws,
                "temperature": writing.temperature if draws else 1.0,
                "top_p": writing.top_p if draws else 1.0,
                "top_k": writing.top_k if draws else 0,
                "num_beams": 1,
                "repetition_penalty": 1.0,
                "use_cache": True,
            }
        },
        "system": writing.system,
        "completions": writing.completions,
        "batch_size": writing.batch_size,
        "seed": writing.seed,
        "keep_cut": writing.keep_cut,
    }
