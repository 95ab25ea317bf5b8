"""What a field map says of thousands of specs that differ from one another in a value or two.

A row is a function of its paths, so one that none of the changes reaches says what it said before, and only
the others are asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ftspec.mapping import FieldMap, Flat, Note, Refusal, holds, lower_row


@dataclass(frozen=True)
class Told:
    """What is not exact in a spec: by the number of its row, and paths that no row answers for."""

    values: Flat
    odd: Mapping[int, Refusal | Note]
    silent: frozenset[str]

    def refusals(self) -> list[Refusal]:
        """As `FieldMap.lower` has them, in its order."""
        reason = "no rule answers for this field"
        silent = (path for path in self.values if path in self.silent)
        rows = (odd for _, odd in sorted(self.odd.items()))
        return [
            *(Refusal(path, self.values[path], reason, "notimpl") for path in silent),
            *(odd for odd in rows if isinstance(odd, Refusal)),
        ]

    def notes(self) -> list[Note]:
        """Values that are nearly the same."""
        return [odd for _, odd in sorted(self.odd.items()) if isinstance(odd, Note)]


class Asked:
    """A field map that remembers what it said of the first spec."""

    def __init__(self, fields: FieldMap) -> None:
        self.fields = fields
        self.first = Told({}, {}, frozenset())
        self.depending: dict[str, list[int]] = {}
        for number, row in enumerate(fields.rows):
            of = {*row.paths, *row.uses, *([row.when.path] if row.when else ())}
            for path in of:
                self.depending.setdefault(path, []).append(number)

    def tell(self, values: Flat) -> Told:
        """What the map says of a spec: the same as `FieldMap.lower`."""
        old, rows = self.first, self.fields.rows
        changed = {path for path in values.keys() | old.values.keys() if _differ(path, values, old)}
        asked = {number for path in changed for number in self.depending.get(path, ())}
        if not old.values:
            asked |= {number for number, row in enumerate(rows) if not row.paths}
        odd = {number: found for number, found in old.odd.items() if number not in asked}
        for number in asked:
            found = lower_row(rows[number], values) if holds(rows[number], values) else None
            if found and found[1] is not None:
                odd[number] = found[1]
        again = changed.union(*(rows[number].paths for number in asked)) & values.keys()
        silent = {path for path in again if not self._answers(path, values)}
        told = Told(values, odd, frozenset(silent | ((old.silent & values.keys()) - again)))
        if not old.values:
            self.first = told
        return told

    def _answers(self, path: str, values: Flat) -> bool:
        rows = self.fields.by_path.get(path, ())
        return path.startswith("derived.") or any(holds(row, values) for row in rows)


def _differ(path: str, values: Flat, old: Told) -> bool:
    """Whether a path has another value, or is there in one of two specs alone. True is not 1."""
    if path not in values or path not in old.values:
        return True
    one, other = values[path], old.values[path]
    return one is not other and repr(one) != repr(other)
