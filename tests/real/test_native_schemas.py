"""The native schemas that the field maps are held to are what the installed frameworks say today."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from ftspec.registry import names
from tests.conftest import ROOT

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "dump_native_schemas.py"
    spec = importlib.util.spec_from_file_location("dump_native_schemas", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [*names(), "trl.ppo"])
def test_the_schema_is_what_the_framework_says(name: str, script: ModuleType) -> None:
    (kept,) = (ROOT / "schemas" / "native").glob(f"{name}-*.json")
    assert kept.read_text() == script.dumped(name)


def test_the_templates_are_what_the_framework_has(script: ModuleType) -> None:
    path = ROOT / "scripts" / "native_templates.py"
    assert script.TEMPLATES.read_text("utf-8") == script.dumped("llamafactory", script=path)


def test_every_environment_is_asked(script: ModuleType) -> None:
    kept = {path.name.rpartition("-")[0] for path in (ROOT / "schemas" / "native").iterdir()}
    assert {*script.every()} == kept >= {*names(), "trl.ppo"}
