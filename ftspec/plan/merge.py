"""The step between two stages that adds an adapter to its base: a script for peft, in a folder of its own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import ftspec
from ftspec.backend import File
from ftspec.emit.python import render
from ftspec.errors import Problem, UnsupportedError
from ftspec.mapping import Note
from ftspec.plan.between import between_job, between_plan
from ftspec.plan.data_stages import vocabulary_of
from ftspec.plan.places import is_local, rebase
from ftspec.plan.stages import Collect, Plan, TakeResult

SCRIPT = "merge.py"
TEMPLATE = files("ftspec.families") / "templates" / "merge.py.j2"
PINNED = ("transformers", "peft", "torch")
QUANTISED = (
    "the adapter was trained over a quantised base, and is added to the whole weights: what it learned "
    "to make up for, the rounding, is not in them"
)

SEEING = (
    "the script of a merge loads a model that reads text, and would leave out what reads images"
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
        UnsupportedError: the model reads images; or the base was quantised, and nearly the same is not
            accepted.
    """
    resolved = source.resolved
    values = resolved.flat()
    if values["model.images.train"] is not None:
        raise UnsupportedError(
            Problem(SEEING, "model.adapter", hint="method: full in the earlier stage")
        )
    notes: tuple[Note, ...] = ()
    if values["model.quantization.type"] or values["model.stored.type"]:
        notes = (Note("model.adapter", QUANTISED),)
        if not allow_lossy:
            hint = "--allow-lossy accepts that; or adapter: continue"
            raise UnsupportedError(Problem(QUANTISED, "model.adapter", hint=hint))
    job, lock = between_job(source, "merged", PINNED)
    adapter, results = (rebase(path, resolved.folder, folder) for path in (adapter, results))
    base = values["model.name"]
    if is_local(base, resolved.folder):
        base = rebase(base, resolved.folder, folder)
    comment = f"An adapter added to its base; compiled by ftspec {ftspec.__version__} from {resolved.name}"
    script = render(
        TEMPLATE,
        allowed=("BASE", "ADAPTER"),
        pins=job.pins,
        headline=comment,
        base=base,
        adapter=adapter,
        merged=results,
        tokens=bool(vocabulary_of(resolved).named()),
        loading={
            "": {
                "revision": values["model.revision"],
                "dtype": "auto",
                "trust_remote_code": values["model.trust_remote_code"],
            }
        },
    )
    return between_plan(
        source,
        job,
        lock,
        File.text(SCRIPT, script),
        comment,
        "cpu",
        folder,
        first=[TakeResult(stage, source)],
        last=Collect(results),
        notes=notes,
    )
