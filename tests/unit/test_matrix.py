"""The support matrix: computed, and its page is the one that is computed."""

from __future__ import annotations

from collections import Counter

from ftspec.report.matrix import matrix
from ftspec.report.matrix_page import as_json, page
from tests.conftest import ROOT


def test_the_page_is_the_computed_one() -> None:
    kept = (ROOT / "docs" / "matrix.md").read_text("utf-8")
    assert kept == page(matrix()), "the maps have changed: run `make docs`"


def test_the_matrix_tells_backends_apart() -> None:
    lines = matrix()
    known = {(line.objective, line.path, str(line.value)) for line in lines}
    assert len(known) == len(lines), "a line twice"
    words = Counter(cell.support for line in lines for cell in line.cells.values())
    assert words["full"] > 200
    assert {"full", "lossy", "notyet", "never"} <= set(words)
    assert len(as_json(lines)) == len(lines)
