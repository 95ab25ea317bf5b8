"""Which backend runs a spec: the first of its preference list that can do all it asks."""

from __future__ import annotations

from pathlib import Path

from ftspec.errors import BackendError, Problem, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Plan
from ftspec.registry import names
from ftspec.spec.load import Loaded


def choose(
    loaded: Loaded,
    backend: str | None = None,
    allow_lossy: bool = False,
    folder: Path | None = None,
) -> tuple[Plan, str]:
    """The plan, and why this backend: asked for, or first capable.

    Raises:
        UnsupportedError: none can; what each of them lacks, all at once.
    """
    if backend is not None:
        return make_plan(loaded, backend, folder, allow_lossy), "asked for"
    problems: list[Problem] = []
    passed: list[str] = []
    for name in loaded.spec.run.backends:
        try:
            plan = make_plan(loaded, name, folder, allow_lossy)
        except UnsupportedError as error:
            problems += error.problems
            passed.append(name)
            continue
        why = "first in run.backends"
        if passed:
            why += f" that can do all of this spec ({', '.join(passed)} cannot)"
        return plan, why
    if not problems:
        raise BackendError(
            Problem("run.backends is empty", hint=f"installed are: {', '.join(names())}")
        )
    raise UnsupportedError(problems)
