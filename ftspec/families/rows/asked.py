"""Rows of one column with a question and one with its answer, as turns that a source's texts write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ftspec.spec.data import Written

_COLUMN = re.compile(r"\{\{ ([A-Za-z_]\w*) or '' \}\}", re.ASCII)


class Asked(NamedTuple):
    """Names of columns."""

    question: str
    answer: str

    @property
    def plain(self) -> bool:
        """Whether a text of a spec can name both."""
        return all(_COLUMN.fullmatch(_printed(name)) for name in self)

    def template(self) -> dict[str, Any]:
        """The turns: what is missing in a row is an empty text."""
        turns = {"user": _printed(self.question), "assistant": _printed(self.answer)}
        return Written.model_validate(turns).model_dump()


def asked(template: Mapping[str, Any]) -> Asked | None:
    """The columns of such turns; None where the texts write anything else."""
    said = {name: text for name, text in template.items() if text is not None}
    if said.keys() != {"user", "assistant"}:
        return None
    found = [_COLUMN.fullmatch(said[name]) for name in ("user", "assistant")]
    return Asked(*(one[1] for one in found if one)) if all(found) else None


def _printed(column: str) -> str:
    return f"{{{{ {column} or '' }}}}"
