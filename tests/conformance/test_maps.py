"""Laws of a field map, alone: it answers for every path, and every refusal has a reason."""

from __future__ import annotations

from ftspec.backend import Backend
from ftspec.report.matrix import Line, candidates, matrix
from ftspec.spec.paths import leaf_paths


def test_every_path_of_a_spec_is_answered_for(backend: Backend) -> None:
    for objective, fields in backend.maps.items():
        missing = set(leaf_paths()) - set(fields.by_path)
        assert not missing, f"{backend.name} {objective} says nothing about {sorted(missing)}"
        unknown = set(fields.by_path) - set(leaf_paths())
        assert not unknown, f"{backend.name} {objective} speaks of {sorted(unknown)}"


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
    swept = {(path, value) for path, value in candidates()}
    for path, value in (
        ("model.attention", "eager"),
        ("precision.compute", "fp16"),
        ("train.schedule", "constant"),
        ("data.train_on", "completions"),
        ("hardware.zero.stage", 3),
    ):
        assert (path, value) in swept
