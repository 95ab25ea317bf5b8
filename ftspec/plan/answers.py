"""The step before a stage in which a teacher writes the answers that it trains on: a script of its own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import ftspec
from ftspec.backend import File
from ftspec.emit.python import render
from ftspec.errors import Problem, SpecError
from ftspec.plan.between import between_job, between_plan
from ftspec.plan.places import is_local, rebase
from ftspec.plan.stages import CheckFolder, Collect, Plan, TakeResult
from ftspec.spec.data import SUFFIXES
from ftspec.spec.earlier import ANSWERS
from ftspec.spec.home import at_home
from ftspec.spec.present import is_file
from ftspec.spec.writing import Writing

SCRIPT = "write.py"
TEMPLATE = files("ftspec.families") / "templates" / "write.py.j2"
PINNED = ("transformers", "datasets", "torch")


def answers_plan(
    stage: Plan, name: str, writing: Writing, folder: Path, teacher: str, taken: TakeResult | None
) -> Plan:
    """The plan of the writing before ``stage``, in the environment of its backend.

    ``teacher`` is the model that writes, seen from the spec's folder; ``taken`` the look at the stage that
    leaves it, where one does. The answers lie where the stage's data says.

    Raises:
        SpecError: a file of prompts is not there.
    """
    resolved = stage.resolved
    for path in writing.prompts:
        if not is_file(resolved.folder / at_home(path)):
            message = f"stage {name}: there is no file {path}"
            hint = "paths start at the spec's own folder"
            raise SpecError(Problem(message, path="write.prompts", hint=hint))
    values = resolved.flat()
    (source,) = values["data.train"]
    job, lock = between_job(stage, "answers", PINNED)
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
    return between_plan(
        stage,
        job,
        lock,
        File.text(SCRIPT, script),
        comment,
        device,
        folder,
        first=(taken,) if taken else (CheckFolder("write.teacher", teacher),) if local else (),
        last=Collect(results, ANSWERS),
    )


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
