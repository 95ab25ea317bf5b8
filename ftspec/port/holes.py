"""What a spec cannot do without, where the source does not say it: a placeholder, and what to decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ftspec.port.fates import Fate
from ftspec.port.rules import ROWS
from ftspec.spec.online import ONLINE

PLACEHOLDERS: Mapping[str, tuple[Any, str]] = {
    "model.name": ("TODO", "TODO: which model? the source names none"),
    "data.train": ({"path": ROWS}, "TODO: which data? the source does not say"),
}
REWARDS = "method.objective.rewards"
NO_REWARDS = "TODO: which rewards? the source does not say, or not in a way that is understood"

ANSWERS: Mapping[str, tuple[str, str]] = {
    "which model?": ("model.name", "--set model=..."),
    "which data?": ("data.train", "--set data=..."),
    "which rewards?": (REWARDS, ""),
}


def holes(chosen: Mapping[str, Any], fates: Iterable[Fate]) -> dict[str, tuple[Any, str]]:
    """By spec path: what stands there until a person decides, and the question.

    Where the source names the data, and only what the name stands for is not known, the question says so.
    """
    found = {path: hole for path, hole in PLACEHOLDERS.items() if not chosen.get(path)}
    if any(source.get("path") == ROWS for source in chosen.get("data.train") or ()):
        found["data.train"] = chosen["data.train"], PLACEHOLDERS["data.train"][1]
    if "data.train" in found and (why := _named(fates)):
        found["data.train"] = found["data.train"][0], f"TODO: which data? {why}"
    if chosen.get("method.objective.type") in ONLINE and not chosen.get(REWARDS):
        found[REWARDS] = (({"by": "python", "file": "TODO.py", "function": "TODO"},), NO_REWARDS)
    return found


def hole_of(question: str) -> tuple[str, str]:
    """The spec path that such a question is about, and an option that answers it; empty for others."""
    return next((found for words, found in ANSWERS.items() if question.startswith(words)), ("", ""))


def _named(fates: Iterable[Fate]) -> str:
    """Why the data that a source names is not known."""
    unknown = (one.why for one in fates if one.kind == "unknown" and "data.train" in one.to)
    return next(unknown, "")
