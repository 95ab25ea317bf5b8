"""What only ftspec does to rows: no framework has a setting for it that means the same."""

from __future__ import annotations

from typing import Any

from ftspec.mapping import Refuse, Row

PREPARED = {
    "data.split_rows": None,
    "data.min_length": None,
    "data.distinct": False,
    "data.drop_system": False,
}
"""Paths, each with the value under which nothing is done."""


def prepared_rows() -> tuple[Row, ...]:
    """Refusals where the framework reads the rows itself."""
    return tuple(_row(path, neutral) for path, neutral in PREPARED.items())


def _row(path: str, neutral: Any) -> Row:
    def lower(value: Any, who: str) -> tuple[()]:
        if value != neutral and who != "ftspec":
            raise Refuse(
                "it leaves no rows or turns out in this way", "notyet", "data.prepare: ftspec"
            )
        return ()

    return Row((path,), (), lower, lambda: neutral, uses=("data.prepare",))
