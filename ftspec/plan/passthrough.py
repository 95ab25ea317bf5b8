"""The `native` section of a spec: settings of one framework, passed through and never lost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ftspec.backend import Backend, File, Job
from ftspec.errors import Problem, SpecError, UnsupportedError
from ftspec.mapping import FieldMap, Row
from ftspec.registry import load
from ftspec.spec.load import Loaded
from ftspec.spec.secrets import holds_secret, is_secret


def own_settings(loaded: Loaded, backend: Backend) -> Mapping[str, Any]:
    """What the spec's `native` section says for a backend.

    Raises:
        BackendError: the section speaks of a backend that there is not: a typing error, most often.
        SpecError: a secret; a setting that the spec has a field for: two places could contradict each other.
    """
    for name in loaded.spec.native:
        load(name)
    own = loaded.spec.native.get(backend.name, {})
    if not own:
        return own
    secrets = [key for key, value in own.items() if is_secret(key) or holds_secret(value)]
    if secrets:
        hint = "leave it out: frameworks read tokens from the environment, such as HF_TOKEN"
        raise SpecError(
            [
                loaded.problem(
                    f"native.{backend.name}.{key}",
                    f"`{key}` is a secret, which no file holds",
                    hint,
                )
                for key in secrets
            ]
        )
    rows = {key: row for fields in backend.maps.values() for row in fields.rows for key in row.keys}
    problems = [_claimed(key, rows[key], backend, loaded) for key in own if key in rows]
    if problems:
        raise SpecError(problems)
    return own


def _claimed(key: str, row: Row, backend: Backend, loaded: Loaded) -> Problem:
    where = " and ".join(row.paths)
    why = f"`{key}` is {where} of the spec" if where else f"ftspec sets `{key}`: {row.reason}"
    hint = f"say it as {where}" if where else "leave it out"
    return loaded.problem(f"native.{backend.name}.{key}", f"{backend.title}: {why}", hint)


def emit(
    backend: Backend, fields: FieldMap, native: Mapping[str, Any], job: Job, loaded: Loaded
) -> tuple[File, ...]:
    """The backend's files, with every setting of the `native` section in them.

    Raises:
        UnsupportedError: a value cannot be written, or a setting would be in no file.
    """
    own = own_settings(loaded, backend)
    try:
        files = tuple(backend.emit(native, job))
    except UnsupportedError as error:
        problems = [_placed(problem, backend, fields, own, loaded) for problem in error.problems]
        raise UnsupportedError(problems) from error
    if own:
        written = backend.read(files)
        if lost := [key for key in own if key not in written]:
            raise UnsupportedError([_lost(key, backend, fields, loaded) for key in lost])
    return files


def _lost(key: str, backend: Backend, fields: FieldMap, loaded: Loaded) -> Problem:
    calls = Counter(name.rpartition(".")[0] for name in fields.keys())  # noqa: SIM118 - a method
    call = calls.most_common(1)[0][0]
    hint = f"name the call too, as in `{call}.{key}`" if call and "." not in key else ""
    return loaded.problem(
        f"native.{backend.name}.{key}",
        f"{backend.title}: `{key}` would be in none of its files",
        hint or "ftspec decides it, or there is no place for it: leave it out",
    )


def _placed(
    problem: Problem, backend: Backend, fields: FieldMap, own: Mapping[str, Any], loaded: Loaded
) -> Problem:
    """A writer's problem, which names a native setting, with the line of the spec it comes from."""
    found = re.match(r"(?:a key of )?(?:'([^']+)'|([\w-]+))", problem.message)
    name = (found[1] or found[2]) if found else ""
    message = f"{backend.title}: {problem.message}"
    for key in own:
        if key == name or key.endswith(f".{name}"):
            return loaded.problem(f"native.{backend.name}.{key}", message, problem.hint)
    for row in fields.rows:
        if row.paths and any(key == name or key.endswith(f".{name}") for key in row.keys):
            return loaded.problem(row.paths[0], message, problem.hint)
    return Problem(message, file=str(loaded.file), hint=problem.hint)
