"""What became of one setting of a source. Each has exactly one fate, and none is dropped in silence."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Kind = Literal["exact", "renamed", "derived", "inert", "approximated", "kept", "unknown"]
"""exact: a spec says the same. renamed: the same under another name. derived: computed from it, or
with others. inert: it does not change what is trained. approximated: nearly. kept: passed through to
its own framework alone, in `native`. unknown: not understood, or a spec cannot say it."""

FAITHFUL: frozenset[Kind] = frozenset({"exact", "renamed", "derived", "inert"})
"""What `--strict` lets pass."""
WORST: tuple[Kind, ...] = (
    "unknown",
    "kept",
    "approximated",
    "derived",
    "renamed",
    "exact",
    "inert",
)
"""A setting with several effects has the first of these."""
TITLES: dict[Kind, str] = {
    "exact": "exact",
    "renamed": "renamed",
    "derived": "derived",
    "inert": "inert",
    "approximated": "approximated",
    "kept": "kept as native",
    "unknown": "not understood",
}


class Setting(NamedTuple):
    """One key of a source, with its value and its place."""

    key: str
    """Dotted, with positions in lists: `datasets[0].path`."""
    value: Any
    file: str
    line: int
    comment: str = ""
    cell: int = 0
    """Of a notebook, the cell that the line is counted in, from 1."""

    @property
    def source(self) -> str:
        """`file`, or `file, cell 3`."""
        return f"{self.file}, cell {self.cell}" if self.cell else self.file

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.source}:{self.line}" if self.line else self.source

    @property
    def at(self) -> str:
        """`line 5: `, with the cell of a notebook before it; empty where nothing says it."""
        cell = f"cell {self.cell}, " if self.cell else ""
        return f"{cell}line {self.line}: " if self.line else ""


class Fate(NamedTuple):
    """What became of a setting."""

    kind: Kind
    setting: Setting
    to: tuple[str, ...] = ()
    """Spec paths."""
    why: str = ""

    @property
    def faithful(self) -> bool:
        """Whether nothing of it was lost."""
        return self.kind in FAITHFUL

    @property
    def remarked(self) -> tuple[str, ...]:
        """Spec paths that a remark fits: the source's own about a device's batch fits no batch of all."""
        batches = {"train.batch_size", "train.micro_batch_size"}
        if self.kind == "approximated" or not batches <= set(self.to):
            return self.to
        return ("train.micro_batch_size",) if "batch_size" in self.setting.key else ()
