"""What `compile` writes of a spec with stages: a folder for each, and a script that starts them in order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import ftspec
from ftspec.backend import File
from ftspec.emit.disk import write_files
from ftspec.emit.json import dump
from ftspec.emit.manifest import NAME, sha256
from ftspec.emit.plain import one_line
from ftspec.errors import Problem, UnsupportedError
from ftspec.plan.pipeline import Link
from ftspec.plan.stages import CopyModel, Plan, PrepareData, TakeResult
from ftspec.plan.write import write_plan
from ftspec.spec.pipeline import Pipeline

ORDER = "run.sh"
ALIGNED = "aligned"
"""The lock whose environment is called by its backend alone."""
SCRIPT = """\
#!/bin/sh
# {headline}
# Each stage needs an environment with what its requirements.txt names. Say where their programs are:
#   {example} sh run.sh
# A stage that ends well leaves a file `done` in its folder. The next start goes on behind it, unless
# the stage or one before it was compiled anew.
set -eu
CDPATH="" cd -- "$(dirname -- "$0")"
files=""
stage() {{
  files="$files $(cksum < "$1/manifest.json")"
  if [ -e "$1/done" ] && [ "$(cat "$1/done")" = "$files" ]; then
    echo "$1: done before"
    return
  fi
  echo "$1"
  programs=""
  if [ -n "$2" ]; then programs="$(CDPATH="" cd -- "$2" && pwd):"; fi
  PATH="$programs$PATH" sh "$1/launch.sh"
  echo "$files" > "$1/done"
}}
{stages}
"""


def write_pipeline(
    pipeline: Pipeline, links: Sequence[Link], folder: Path, overwrite: bool = False
) -> dict[str, tuple[Path, ...]]:
    """Write every link's folder, and `run.sh` beside them; the paths by link, those beside by "".

    Raises:
        UnsupportedError: a folder can only be written once an earlier stage has run.
        DataError, OutputError: as of one run.
    """
    for link in links:
        if any(isinstance(stage, CopyModel) for stage in link.plan.stages) and _takes(link.plan):
            raise UnsupportedError(
                Problem(
                    f"stage {link.name}: {link.plan.backend} needs a copy of the model with other "
                    "files, and that model is not there before the stage that makes it",
                    hint="`ftspec run`, which makes the copy when it gets there; or another run.backends",
                )
            )
        if any(isinstance(stage, PrepareData) for stage in link.plan.stages) and _waits(link.plan):
            raise UnsupportedError(
                Problem(
                    f"stage {link.name}: ftspec tokenises its rows, and a teacher has yet to write them",
                    "data.prepare",
                    hint="`ftspec run`, which prepares them when it gets there; or data.prepare: framework",
                )
            )
    written = {link.name: write_plan(link.plan, overwrite) for link in links}
    order = File.text(ORDER, _order(pipeline, links), executable=True)
    facts = {
        "ftspec": ftspec.__version__,
        "spec": {"name": pipeline.name, "sha256": pipeline.digest},
        "stages": [{"name": link.name, "folder": link.plan.folder.name} for link in links],
        "files": {ORDER: {"sha256": sha256(order.content), "size": len(order.content)}},
    }
    beside = (order, File.text(NAME, dump(facts)))
    write_files(folder, beside, overwrite)
    written[""] = tuple(folder / file.path for file in beside)
    return written


def _takes(plan: Plan) -> bool:
    return plan.resolved.files is not None and any(
        isinstance(s, TakeResult) and s.begins for s in plan.stages
    )


def _waits(plan: Plan) -> bool:
    return any(isinstance(s, TakeResult) and bool(s.source.answers()) for s in plan.stages)


def _order(pipeline: Pipeline, links: Sequence[Link]) -> str:
    """run.sh. Everything in it is ours or was checked: names of stages, and of backends as variables."""
    places = [_place(link.plan) for link in links]
    stages = "\n".join(
        f'stage {shlex.quote(link.plan.folder.name)} "${{{_variable(place)}:-}}"'
        for link, place in zip(links, places, strict=True)
    )
    example = " ".join(f"{_variable(each)}=envs/{each}/bin" for each in dict.fromkeys(places))
    made = f"compiled by ftspec {ftspec.__version__} from {pipeline.name}"
    headline = f"All stages; {made} (sha256 {pipeline.digest[:12]})"
    return SCRIPT.format(headline=one_line(headline), example=one_line(example), stages=stages)


def _place(plan: Plan) -> str:
    """The environment of a stage: its backend, and which of several where it is not the usual one."""
    lock = plan.lock()
    return plan.backend if lock == ALIGNED else f"{plan.backend}-{lock}"


def _variable(place: str) -> str:
    """`TRL_BIN`, `TRL_PPO_BIN`: where the programs of an environment are."""
    return re.sub(r"[^A-Z0-9]", "_", place.upper()) + "_BIN"
