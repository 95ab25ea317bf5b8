"""What is wrong with a value of an imported spec, told at the setting of the source that it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

from ftspec.errors import FtspecError, Problem
from ftspec.port.bring import Imported
from ftspec.port.compose import spec_defaults
from ftspec.port.effective import assumed_by, set_by
from ftspec.port.fates import Setting
from ftspec.spec.paths import leaf_paths, sections

REMEDY = re.compile(r"\b([a-z_0-9]+(?:\.[a-z_0-9]+)*): ([\w./\[\]-]+)(?=$|[,;:]| and | or | with )")
"""A path and a value in a hint, as a spec would have them."""
BACKEND = "run.backends"
LEAVE = "leave it out"
LEFT_WITH = {"data.eval_size": ("data.eval_draw",)}
"""What a spec may say only beside a value that is left out."""
IN_BETWEEN = "spec"
"""What the spec is called that stands between a source and its port, which nobody sees."""


@contextmanager
def at_their_source(imported: Imported, sets: Sequence[str]) -> Iterator[None]:
    """Errors of ours that speak of a value of the spec get the line of the source.

    The spec that stands between was seen by nobody. What ``sets`` say is the person's own, and stays.
    """
    try:
        yield
    except FtspecError as error:
        own = {f"--set {one}" for one in sets}
        raise error.retold(
            [
                problem if problem.file in own or not problem.path else _placed(problem, imported)
                for problem in error.problems
            ]
        ) from error


def as_options(hint: str, path: str) -> str:
    """A remedy for a spec as what a person can add to the command: `--set model.dtype=auto`."""
    if hint.startswith(LEAVE):
        plain = (f"{one}: {_default(one)}" for one in (path, *LEFT_WITH.get(path, ())))
        hint = f"{' and '.join(plain)}{hint.removeprefix(LEAVE)}"
    for spoken in ("the spec's folder", "the spec's own folder"):
        hint = hint.replace(spoken, "the current folder")
    return REMEDY.sub(_option, hint)


def _default(path: str) -> str:
    return json.dumps(spec_defaults().get(path)).strip('"')


def _option(found: re.Match[str]) -> str:
    path, value = found.groups()
    if path == BACKEND:
        return f"--to {value}"
    return f"--set {path}={value}" if path in _known() else found[0]


@cache
def _known() -> frozenset[str]:
    """Paths of values and of sections."""
    return frozenset(one for leaf in leaf_paths() for one in (*sections(leaf), leaf))


def _placed(problem: Problem, imported: Imported) -> Problem:
    hint = as_options(problem.hint, problem.path)
    if found := _settings(problem.path, imported):
        return replace(problem, file=found[0].file, line=found[0].line, column=0, hint=hint)
    message = f"{problem.message} ({assumed_by(problem.path, imported.parts)})"
    file = str(imported.parts[0].context.document.path)
    return replace(problem, message=message, file=file, line=0, column=0, hint=hint)


def _settings(path: str, imported: Imported) -> Sequence[Setting]:
    """Those of the value, of the nearest section above, or of what lies in it."""
    above = (path, *reversed(sections(path)))
    inside = [leaf for leaf in leaf_paths() if leaf.startswith(f"{path}.")]
    return next((found for one in (*above, *inside) if (found := set_by(one, imported.parts))), ())
