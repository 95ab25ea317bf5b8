"""Rows of axolotl's `rl: ebft`, as its functions take them (prompt_strategies/ebft of 0.19.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.families.rows.instructions import Template
from ftspec.port.formats.axolotl.pairs import Pair

WHOLE, STRIDED = "ebft", "ebft-strided"
"""The objectives, by `ebft.mode`."""


def texts(*columns: str) -> str:
    """The first of these columns that a row has."""
    *first, last = columns
    choice = "".join(f"{name} if {name} is defined else " for name in first) + last
    return f"{{{{ {choice} }}}}"


ROWS: Mapping[tuple[str, str], Template] = {
    (WHOLE, "ebft_opencode"): {"user": "{{ input }}", "assistant": "{{ output }}"},
    (STRIDED, "ebft_pretrain"): {"text": texts("question", "text")},
    (STRIDED, "ebft_strided_structured"): {
        "prompt": texts("input", "prompt", "question"),
        "completion": texts("output", "completion", "answer"),
    },
}
"""By the objective and the type, what rows say."""


def measured(kind: Any, learns: str) -> Pair | None:
    """The rows of a type; None where a spec has no such."""
    name, _, function = str(kind).partition(".")
    found = ROWS.get((learns, name)) if function == "transform" else None
    if found is None:
        return None
    form = {"user": "messages", "text": "text"}.get(next(iter(found)), "prompt-completion")
    return Pair(form, template=found, why="the texts that the function takes of a row")
