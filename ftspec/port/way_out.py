"""What to add to `ftspec port` so that a config which another framework cannot express goes through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ftspec.errors import FtspecError, Problem
from ftspec.plan.make import ACCEPTED, make_plan
from ftspec.port.bring import Imported
from ftspec.port.sourced import IN_BETWEEN, as_options
from ftspec.spec.load import loads

SET = re.compile(r"--set ([\w.]+=[^\s,;:]+)")
ALTERNATIVE = re.compile(r"[,;] or |; ")
ROUNDS = 8
"""One remedy may call for the next; more than a few are another training."""


def way_out(
    imported: Imported,
    backend: str,
    folder: Path,
    sets: Sequence[str],
    problems: Sequence[Problem],
) -> tuple[str, ...] | None:
    """Options with which it goes, the first that each refusal names; None where that leads nowhere.

    ``problems`` are those of the plan with ``sets`` alone. Each option changes what is trained, in words that
    a person can read before they take it. Where the first ones lead nowhere, the last ones are tried.
    """
    ways = (_way(imported, backend, folder, sets, problems, last) for last in (False, True))
    return next((way for way in ways if way is not None), None)


def _way(
    imported: Imported,
    backend: str,
    folder: Path,
    sets: Sequence[str],
    problems: Sequence[Problem],
    last: bool,
) -> tuple[str, ...] | None:
    tried = list(sets)
    refused = [problem for problem in problems if problem.hint != ACCEPTED]
    for _ in range(ROUNDS):
        new = [one for problem in refused for one in _remedies(problem, last)]
        fresh = [one for one in dict.fromkeys(new) if one not in tried]
        if refused and not fresh:
            return None
        tried += fresh
        refused = _problems(imported, backend, folder, tried, allow_lossy=True)
        if not refused:
            tried = _needed(imported, backend, folder, tried, len(sets))
            lossy = bool(_problems(imported, backend, folder, tried, allow_lossy=False))
            options = [word for one in tried[len(sets) :] for word in ("--set", one)]
            return (*(["--allow-lossy"] if lossy else []), *options)
    return None


def _needed(
    imported: Imported, backend: str, folder: Path, tried: Sequence[str], given: int
) -> list[str]:
    """Without those that another one of them has made needless: a remedy changes what is trained."""
    needed = list(tried)
    for one in tried[given:] if len(tried) - given > 1 else ():
        rest = [other for other in needed if other != one]
        if not _problems(imported, backend, folder, rest, allow_lossy=True):
            needed = rest
    return needed


def _problems(
    imported: Imported, backend: str, folder: Path, sets: Sequence[str], allow_lossy: bool
) -> list[Problem]:
    try:
        make_plan(loads(imported.composed.text, IN_BETWEEN, sets), backend, folder, allow_lossy)
    except FtspecError as error:
        return list(error.problems)
    return []


def _remedies(problem: Problem, last: bool) -> Iterator[str]:
    """The values of the first alternative that has some, or of the last."""
    words = ALTERNATIVE.split(as_options(problem.hint, problem.path))
    for one in reversed(words) if last else words:
        if found := SET.findall(one):
            yield from found
            return
