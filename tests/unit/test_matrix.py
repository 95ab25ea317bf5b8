"""The support matrix: computed, and its page is the one that is computed."""

from __future__ import annotations

from collections import Counter

import pytest

from ftspec.registry import load, names
from ftspec.report.matrix import candidates, matrix, plain_values
from ftspec.report.matrix_cells import Asked
from ftspec.report.matrix_page import as_json, page
from tests.conftest import ROOT

pytestmark = pytest.mark.sweep


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


@pytest.mark.parametrize("name", names())
def test_asking_only_what_changed_is_asking_everything(name: str) -> None:
    compared = 0
    for objective, fields in load(name).maps.items():
        asked = Asked(fields)
        for path, value in list(candidates(objective))[::5]:
            values = plain_values(path, value, "cuda", objective)
            told, whole = asked.tell(values), fields.lower(values)
            reasons = [(found.path, found.value, found.support) for found in told.refusals()]
            assert reasons == [(r.path, r.value, r.support) for r in whole.refusals], (path, value)
            assert told.notes() == list(whole.notes)
            compared += 1
    assert compared > 50


def test_no_backend_refuses_all_of_an_objective_for_what_a_plain_spec_says_besides() -> None:
    """Unsloth rounds on a GPU: it was asked for float32 there, and refused every line of demonstrations."""
    found = {
        (name, cell.support)
        for line in matrix()
        if (line.objective, line.path) == ("sft", "data.overflow") and line.value == "error"
        for name, cell in line.cells.items()
    }
    assert found == {(name, "full") for name in names()}
