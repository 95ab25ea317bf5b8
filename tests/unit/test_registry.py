"""Backends are found by entry points; a missing, a broken and a doubled one are three errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest

from ftspec import registry
from ftspec.errors import BackendError, Problem

OURS = ("axolotl", "deepspeed", "llamafactory", "trl", "unsloth")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    registry._points.cache_clear()
    registry.load.cache_clear()
    yield
    registry._points.cache_clear()
    registry.load.cache_clear()


def points(monkeypatch: pytest.MonkeyPatch, *made: tuple[str, str]) -> None:
    """Let these be the entry points of the group."""
    found = [EntryPoint(name, value, registry.GROUP) for name, value in made]

    def fake(**wanted: Any) -> list[EntryPoint]:
        assert wanted == {"group": registry.GROUP}
        return found

    monkeypatch.setattr(registry, "entry_points", fake)


def problem(name: str) -> Problem:
    with pytest.raises(BackendError) as caught:
        registry.load(name)
    (found,) = caught.value.problems
    return found


def test_ours_are_found() -> None:
    assert registry.names() == OURS
    declared = entry_points(group=registry.GROUP)
    assert {point.name for point in declared} == set(OURS)
    for name in OURS:
        backend = registry.load(name)
        assert backend.name == name
        assert backend is registry.load(name)
        assert set(backend.pinned) >= {backend.package}
        assert {fields.backend for fields in backend.maps.values()} == {name}


def test_a_missing_one_names_those_that_are_there() -> None:
    found = problem("unslot")
    assert found.message == "there is no backend `unslot`"
    assert found.hint == (
        "did you mean `unsloth`? installed are: axolotl, deepspeed, llamafactory, trl, unsloth"
    )
    assert problem("zzz").hint == "installed are: axolotl, deepspeed, llamafactory, trl, unsloth"


def test_without_any_the_hint_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    points(monkeypatch)
    assert registry.names() == ()
    assert problem("trl").hint == "installed are: none"


def test_a_broken_one_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    points(monkeypatch, ("demo", "ftspec_nowhere:backend"), ("trl", "ftspec_trl:backend"))
    found = problem("demo")
    assert found.message == (
        "the backend `demo` (ftspec_nowhere:backend) is broken: "
        "ModuleNotFoundError(\"No module named 'ftspec_nowhere'\")"
    )
    assert found.hint == "reinstall it"
    assert registry.load("trl").name == "trl"  # the others work


def test_an_attribute_that_is_not_there_is_broken_too(monkeypatch: pytest.MonkeyPatch) -> None:
    points(monkeypatch, ("demo", "ftspec_trl:nothing"))
    assert "is broken: AttributeError" in problem("demo").message


def test_what_is_no_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points(monkeypatch, ("demo", "ftspec_trl.script:TITLE"))
    assert (
        problem("demo").message == "the backend `demo` (ftspec_trl.script:TITLE) is not a Backend"
    )


def test_a_doubled_one_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    points(monkeypatch, ("trl", "ftspec_trl:backend"), ("trl", "other_trl:backend"))
    assert registry.names() == ("trl",)
    found = problem("trl")
    assert found.message == (
        "two backends are called `trl`: ? (ftspec_trl:backend), ? (other_trl:backend)"
    )
    assert found.hint == "uninstall one of them"


def test_the_same_one_seen_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install and its leftovers may both be on the path."""
    points(monkeypatch, ("trl", "ftspec_trl:backend"), ("trl", "ftspec_trl:backend"))
    assert registry.load("trl").name == "trl"


def test_a_backend_is_data() -> None:
    backend = registry.load("trl")
    assert replace(backend, name="other").maps is backend.maps
