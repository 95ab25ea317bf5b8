"""How a backend is found: entry points. A missing, a broken and a doubled one are three errors."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from ftspec.backend import Backend
from ftspec.errors import BackendError, Problem

GROUP = "ftspec.backends"


@cache
def _points() -> dict[str, tuple[EntryPoint, ...]]:
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUP):
        known = found.get(point.name, ())
        if point.value not in {other.value for other in known}:
            found[point.name] = (*known, point)
    return found


def names() -> tuple[str, ...]:
    """Names of the installed backends, sorted."""
    return tuple(sorted(_points()))


@cache
def load(name: str) -> Backend:
    """The backend of that name.

    Raises:
        BackendError: there is none; two distributions provide it; or it fails to import.
    """
    points = _points().get(name, ())
    if not points:
        import difflib  # noqa: PLC0415 - most names are right

        close = difflib.get_close_matches(name, names(), n=1)
        known = f"installed are: {', '.join(names()) or 'none'}"
        hint = f"did you mean `{close[0]}`? {known}" if close else known
        raise BackendError(Problem(f"there is no backend `{name}`", hint=hint))
    if len(points) > 1:
        sources = ", ".join(f"{p.dist.name if p.dist else '?'} ({p.value})" for p in points)
        raise BackendError(
            Problem(f"two backends are called `{name}`: {sources}", hint="uninstall one of them")
        )
    try:
        backend = points[0].load()
    except Exception as error:  # a plugin may fail in any way; the user must learn which and why
        raise BackendError(
            Problem(
                f"the backend `{name}` ({points[0].value}) is broken: {error!r}",
                hint="reinstall it",
            )
        ) from error
    if not isinstance(backend, Backend):
        raise BackendError(Problem(f"the backend `{name}` ({points[0].value}) is not a Backend"))
    return backend
