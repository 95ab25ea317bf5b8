"""What became of each setting of a source, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ftspec.port.bring import Imported
from ftspec.port.fates import TITLES, Fate, Kind, is_secret

ORDER: tuple[Kind, ...] = (
    "unknown",
    "kept",
    "approximated",
    "inert",
    "derived",
    "renamed",
    "exact",
)


def lines(imported: Imported, all_of_them: bool = False) -> Iterator[str]:
    """The report: what is not the same first, each with its place; then the numbers."""
    for kind in ORDER:
        fates = [fate for fate in imported.fates if fate.kind == kind]
        if fates and (all_of_them or not fates[0].faithful):
            yield f"{TITLES[kind]}:"
            yield from (f"  {_line(fate)}" for fate in fates)
    for question in imported.composed.open:
        yield f"to decide: {question}"
    for name in imported.files:
        yield f"note: -o writes {name} beside the spec as well"
    for note in imported.notes:
        yield f"note: {note}"
    total = len(imported.fates)
    counted = ", ".join(f"{number} {TITLES[kind]}" for kind, number in _counted(imported))
    yield f"{total} settings: {counted}" if total else "no settings"


def _counted(imported: Imported) -> list[tuple[Kind, int]]:
    counts = imported.counts
    return [(kind, counts[kind]) for kind in reversed(ORDER) if kind in counts]


def _line(fate: Fate) -> str:
    to = f" -> {', '.join(fate.to)}" if fate.to else ""
    why = f"  ({fate.why})" if fate.why else ""
    return f"{fate.setting.place}: {fate.setting.key}: {_shown(fate)}{to}{why}"


def _shown(fate: Fate) -> str:
    text = "***" if is_secret(fate.setting.key) else repr(fate.setting.value)
    return text if len(text) <= 50 else f"{text[:47]}..."


def as_json(imported: Imported) -> dict[str, Any]:
    """The same as data."""
    return {
        "format": [part.format.name for part in imported.parts],
        "spec": imported.composed.text,
        "counts": dict(_counted(imported)),
        "faithful": imported.faithful,
        "open": list(imported.composed.open),
        "notes": list(imported.notes),
        "files": dict(imported.files),
        "fates": [
            {
                "fate": fate.kind,
                "key": fate.setting.key,
                "value": None if is_secret(fate.setting.key) else fate.setting.value,
                "file": fate.setting.file,
                "line": fate.setting.line,
                "to": list(fate.to),
                "why": fate.why,
            }
            for fate in imported.fates
        ],
    }
