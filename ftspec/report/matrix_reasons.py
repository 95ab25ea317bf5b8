"""Why cells of the matrix are not full: each reason once, with all that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ftspec.registry import load
from ftspec.report.matrix import Line

Told = tuple[str, tuple[str, ...], tuple[str, ...], str]
"""A reason, the objectives and backends that it holds for, and the values, as one text."""


def absent(lines: Sequence[Line]) -> dict[str, str]:
    """The backends that have nothing of these lines' objective, with the reason."""
    found = {}
    for name in lines[0].cells:
        reasons = {line.cells[name].reason for line in lines}
        if lines[0].objective not in load(name).maps and len(reasons) == 1:
            found[name] = reasons.pop()
    return found


def reasons(lines: Iterable[Line], values: Callable[[Sequence[Line]], str]) -> Iterator[str]:
    """A sentence for each reason; ``values`` words the lines that it is about.

    What holds for several backends, and then for several objectives, is said once, and only where the
    same values are meant.
    """
    about: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        for name, cell in line.cells.items():
            if cell.support != "full" and line.objective in load(name).maps:
                about.setdefault((cell.reason, line.objective, name), []).append(line)
    found: list[Told] = [
        (reason, (objective,), (name,), values(mine))
        for (reason, objective, name), mine in about.items()
    ]
    found = _merged(found, lambda told: (told[0], told[1], told[3]))
    found = _merged(found, lambda told: (told[0], told[2], told[3]))
    for reason, objectives, names, text in found:
        titles = ", ".join(load(name).title for name in names)
        yield f"- {titles} ({', '.join(objectives)}): {reason}. {text}"


def _merged(found: Iterable[Told], alike: Callable[[Told], object]) -> list[Told]:
    """Entries that are alike as one."""
    kept: dict[object, Told] = {}
    for told in found:
        reason, objectives, names, text = kept.get(alike(told), (told[0], (), (), told[3]))
        kept[alike(told)] = (
            reason,
            tuple(dict.fromkeys((*objectives, *told[1]))),
            tuple(dict.fromkeys((*names, *told[2]))),
            text,
        )
    return [*kept.values()]
