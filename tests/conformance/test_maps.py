"""Laws of a field map, alone: it answers for every path, and every refusal has a reason."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from ftspec.backend import OBJECTIVE, Backend
from ftspec.mapping import FieldMap, Row
from ftspec.report.matrix import Line, candidates, matrix
from ftspec.spec.paths import Leaf, leaf_paths, leaves, tags

pytestmark = pytest.mark.sweep


def test_every_path_of_a_spec_is_answered_for(backend: Backend) -> None:
    """Under every variant of the tagged unions that it, or a row which answers for it, depends on."""
    asked = 0
    for objective, fields in backend.maps.items():
        unknown = set(fields.by_path) - set(leaf_paths())
        assert not unknown, f"{backend.name} {objective} speaks of {sorted(unknown)}"
        for leaf in leaves():
            for spec in _variants(leaf, fields):
                if spec.get(OBJECTIVE, objective) != objective:
                    continue
                asked += 1
                assert any(holds(row, spec) for row in fields.by_path.get(leaf.path, ())), (
                    f"{backend.name} {objective} says nothing about {leaf.path} where {spec}"
                )
    assert asked >= len(backend.maps) * 60


def _variants(leaf: Leaf, fields: FieldMap) -> Iterator[dict[str, str]]:
    """The tags of every spec that has the leaf, as far as they matter for who answers."""
    rows = fields.by_path.get(leaf.path, ())
    free = {row.when.path for row in rows if row.when} - {path for path, _ in leaf.tags}
    for words in product(*(tags()[path] for path in free)):
        yield {**dict(zip(free, words, strict=True)), **dict(leaf.tags)}


def holds(row: Row, spec: dict[str, str]) -> bool:
    return row.when is None or spec.get(row.when.path) in row.when.tags


def test_every_objective_of_a_map_is_one_of_the_spec(backend: Backend) -> None:
    assert set(backend.maps) <= set(tags()[OBJECTIVE])


def _lines() -> tuple[Line, ...]:
    lines = matrix()
    assert len(lines) >= 80  # a sweep that sweeps nothing would pass
    return lines


def test_whatever_is_not_full_has_a_reason(backend: Backend) -> None:
    for line in _lines():
        cell = line.cells[backend.name]
        assert cell.support in ("full", "lossy", "notyet", "notimpl", "never")
        assert cell.support == "full" or len(cell.reason) > 15, f"{line.path}={line.value!r}"


def test_closed_types_are_swept_whole() -> None:
    swept = [*candidates("sft")]
    for path, value in (
        ("model.attention", "eager"),
        ("precision.compute", "fp16"),
        ("train.schedule.type", "constant"),
        ("train.optimizer.type", "lion-8bit"),
        ("data.train_on", "completions"),
        ("hardware.zero.stage", 3),
    ):
        assert (path, value) in swept
