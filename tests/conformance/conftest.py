"""One suite for all backends: each test here runs once per installed backend, and names none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from ftspec.backend import Backend
from ftspec.registry import load, names
from tests.conftest import ROOT


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test with a `backend` argument runs for all of them; with `objective`, for each of its own."""
    if "objective" in metafunc.fixturenames:
        pairs = [(name, objective) for name in names() for objective in load(name).maps]
        metafunc.parametrize(("backend", "objective"), pairs, indirect=["backend"])
    elif "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", names(), indirect=True)


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    return load(request.param)


@pytest.fixture
def native_schema(backend: Backend) -> dict[str, Any]:
    """What the installed framework itself says about its names, types and defaults."""
    (file,) = (ROOT / "schemas" / "native").glob(f"{backend.name}-*.json")
    schema: dict[str, Any] = json.loads(file.read_text())
    for own in backend.apart.values():  # what only an environment for one objective has
        (more,) = (ROOT / "schemas" / "native").glob(f"{backend.name}.{own.lock}-*.json")
        apart = json.loads(more.read_text())
        assert apart["version"] in SpecifierSet(own.versions)
        assert {*apart["calls"]} - {*schema["calls"]}  # what it is there for
        schema["calls"] = {**apart["calls"], **schema["calls"]}
    return schema
