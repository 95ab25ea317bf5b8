"""`ftspec port`: the config of one tool to the native files of another, through a spec."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftspec.emit.disk import write_atomic
from ftspec.errors import FtspecError, OutputError, Problem, SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Plan
from ftspec.plan.write import write_plan
from ftspec.port.arguments import ONLY_SHELL
from ftspec.port.bring import Imported, bring
from ftspec.port.fates import Fate
from ftspec.port.holes import hole_of
from ftspec.port.sourced import IN_BETWEEN, at_their_source
from ftspec.port.way_out import way_out
from ftspec.registry import load
from ftspec.spec.load import loads


@dataclass(frozen=True)
class Carried:
    """What was read, and what was written."""

    imported: Imported
    """Without its questions: options have answered them."""
    plan: Plan
    written: tuple[Path, ...]


def carry(
    files: Sequence[Path],
    backend: str,
    folder: Path,
    wanted: str | None = None,
    version: str | None = None,
    devices: int | None = None,
    allow_lossy: bool = False,
    sets: Sequence[str] = (),
    overwrite: bool = False,
) -> Carried:
    """Write what trains elsewhere what these files train; ``sets`` change values of the spec between.

    Raises:
        SpecError: something is left open that a person has to decide.
        UnsupportedError: something would be lost, or be only nearly the same.
        DataError: a row cannot be read or trained on.
        OutputError: a file cannot be written, or was changed by hand.
    """
    load(backend)  # says at once if there is none
    imported = bring(files, wanted, version, devices)
    if questions := [one for one in imported.composed.open if not _is_answered(one, sets)]:
        raise SpecError([_asked(question, imported) for question in questions])
    imported = replace(imported, composed=replace(imported.composed, open=()))  # all is answered
    lost = [fate for fate in imported.fates if _is_lost(fate, imported, backend)]
    stops = [] if allow_lossy else [_problem(fate) for fate in lost]
    changed = [*moved(imported, folder), *sets]
    with _beside(imported, folder, overwrite), at_their_source(imported, sets):
        loaded = loads(imported.composed.text, IN_BETWEEN, changed)
        try:
            plan = make_plan(loaded, backend, folder, allow_lossy)
        except UnsupportedError as error:
            options = way_out(imported, backend, folder, changed, error.problems)
            raise _stop([*stops, *error.problems], options) from error
        except FtspecError as error:
            if stops:  # first what would be lost: it may be the rows that cannot be read
                raise UnsupportedError(stops) from error
            raise
        if stops:
            raise _stop(stops, ())
        told = replace(imported, notes=(*imported.notes, *_goes_on(imported, backend)))
        return Carried(told, plan, write_plan(plan, overwrite))


SAVED_ELSEWHERE = (
    "train.resume: {} saved that checkpoint, and whether {} goes on from it was not seen"
)


def _goes_on(imported: Imported, backend: str) -> Iterator[str]:
    """What a checkpoint holds beside weights is its framework's own."""
    source = imported.parts[0].format
    own = (
        source.name.removesuffix("_script") == backend
    )  # `backend` of a format is whose map reads it
    if imported.composed.values.get("train.resume") and not own:
        yield SAVED_ELSEWHERE.format(source.title, load(backend).title)


def _stop(problems: Sequence[Problem], options: Sequence[str] | None) -> UnsupportedError:
    """All of it at once, with the options that go on where those of the plan lead anywhere."""
    error = UnsupportedError(problems)
    if options is not None and len(problems) > 1:
        lossy = any(problem.hint == NEARLY for problem in problems)
        first = ["--allow-lossy"] if lossy and "--allow-lossy" not in options else []
        error.way_out = " ".join(map(shlex.quote, [*first, *options]))
    elif options:
        error.way_out = " ".join(map(shlex.quote, options))
    return error


ASKING = re.compile(r"([a-z_0-9.]+): ")
"""A question that begins with the path of what is open."""


AT_LINE = re.compile(r"line ([0-9]+): (.+)", re.DOTALL)
"""One about a line of its source."""
DECIDE = "`ftspec import` writes the spec with what is to be decided in it; then `ftspec compile`"
IN_SCRIPT = f"write its value into the script; or {DECIDE}"
NEARLY = "--allow-lossy goes on all the same"


def _asked(question: str, imported: Imported) -> Problem:
    """The question at its line, or at least in its file."""
    asking = (part for part in imported.parts if question in part.questions)
    part = next(asking, imported.parts[0])
    placed = AT_LINE.match(question)
    line, text = (int(placed[1]), placed[2]) if placed else (0, question)
    file = str(part.context.document.path)
    return Problem(text, file=file, line=line, hint=_answer(question, imported) or DECIDE)


def _is_answered(question: str, sets: Sequence[str]) -> bool:
    """Whether an option says what the question asks for."""
    hole, _ = hole_of(question)
    asked = ASKING.match(question)
    path = hole or (asked[1] if asked else "")
    named = [f"{one.partition('=')[0]}." for one in sets] if path else []
    # `model=org/name` says what `model.name` is as well
    return any(one.startswith(f"{path}.") or (hole and f"{path}.".startswith(one)) for one in named)


def _answer(question: str, imported: Imported) -> str:
    """How to say it, for the questions that come up most.

    No option answers for the shell: other settings may follow from its value, such as an alpha from a rank.
    """
    if question.endswith(ONLY_SHELL):
        return IN_SCRIPT
    if found := hole_of(question)[1]:
        return f"{found}; or {DECIDE}"
    if question.startswith("data.train: which format"):
        held_out = imported.composed.values.get("data.eval") or ()
        more = any(one.get("format") == "auto" for one in held_out)
        return f"--set data.train.format=...{' --set data.eval.format=...' if more else ''}"
    if "are its prompts and its answers lists of messages?" in question:
        return "if they are: --set data.train.format=preference"
    return ""


@contextmanager
def _beside(imported: Imported, folder: Path, overwrite: bool) -> Iterator[None]:
    """Write the files that came out of the source, such as a chat template.

    Others name them, and are written next. Where that fails, those that are new go again.
    """
    files = {folder / name: text.encode() for name, text in imported.files.items()}
    new = [file for file in files if not file.exists()]
    others = [file for file in files if file not in new and file.read_bytes() != files[file]]
    if others and not overwrite:
        hint = "--overwrite replaces it; or name another folder"
        raise OutputError(
            [Problem("another file is there", file=str(one), hint=hint) for one in others]
        )
    fresh = bool(files) and _make(folder)
    for file, content in files.items():
        write_atomic(file, content)
    try:
        yield
    except BaseException:
        for file in new:
            file.unlink(missing_ok=True)
        if fresh:
            with suppress(OSError):  # it has prepared data by now
                folder.rmdir()
        raise


def _make(folder: Path) -> bool:
    """Whether the folder was not there before."""
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = Problem(f"cannot make this folder: {error.strerror}", file=str(folder))
        raise OutputError([problem]) from error
    return fresh


def moved(imported: Imported, folder: Path) -> Iterator[str]:
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
        (whose,) = (part for part in imported.parts if any(one is fate for one in part.fates))
        return not whose.native.keys() & imported.composed.spec.native.get(backend, {}).keys()
    return not fate.faithful


def _problem(fate: Fate) -> Problem:
    setting = fate.setting
    word = "only nearly the same" if fate.kind == "approximated" else "would be lost"
    return Problem(
        f"{setting.key}: {setting.value!r} {word}: {fate.why}",
        file=setting.source,
        line=setting.line,
        hint=NEARLY,
    )
