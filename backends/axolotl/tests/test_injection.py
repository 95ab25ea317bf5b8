"""Hostile strings in every slot that reaches axolotl's files change their text alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from ftspec.backend import lift
from ftspec.emit.file import File
from ftspec.errors import FtspecError
from ftspec.registry import load
from ftspec.spec.root import Spec
from tests.conformance.nearest import job, lowered
from tests.unit.test_emit_injection import PAYLOADS
from tests.unit.test_families_injection import WORD, shape

pytestmark = pytest.mark.sweep

BACKEND = load("axolotl")
SLOTS = {
    "model.name": ("model", "name"),
    "model.revision": ("model", "revision"),
    "output.folder": ("output", "folder"),
}


def files(slot: str, payload: str) -> tuple[dict[str, File], dict[str, Any], dict[str, Any]]:
    """What is emitted with a string in a slot, the spec's values, and those read back."""
    document: dict[str, Any] = {
        "model": {"name": "org/name", "dtype": "float32"},
        "data": {"train": "a.jsonl", "prepare": "ftspec", "overflow": "truncate"},
        "method": {"tuner": {"type": "lora"}},
        "precision": {"compute": "fp32"},
        "train": {"steps": 8, "batch_size": 4, "micro_batch_size": 4, "warmup_steps": 0},
        "hardware": {"device": "cpu"},
        "output": {},
        "run": ["axolotl"],
    }
    document["data"]["train"] = [{"path": "a.jsonl", "format": "messages"}]
    if slot in SLOTS:
        section, name = SLOTS[slot]
        document[section][name] = payload
    resolved, result, values = lowered(Spec.model_validate(document), BACKEND)
    assert not result.refusals
    about = job(resolved, values, BACKEND)
    if slot == "spec name":
        about = replace(about, spec_name=payload)
    native = dict(result.native)
    if slot == "native":
        native["overrides_of_model_config"] = {payload: [payload]}
    written = BACKEND.emit(native, about)
    return {file.path: file for file in written}, values, dict(BACKEND.read(written))


@pytest.mark.parametrize("slot", [*SLOTS, "spec name", "native"])
def test_no_string_changes_what_is_emitted(slot: str) -> None:
    expected = {path: shape(file) for path, file in files(slot, WORD)[0].items()}
    seen: Counter[str] = Counter()
    for payload in PAYLOADS[::3]:
        try:
            made, values, back = files(slot, payload)
        except (ValidationError, FtspecError):
            seen["refused"] += 1
            continue
        assert {path: shape(file) for path, file in made.items()} == expected, payload
        if slot in SLOTS:
            assert lift(BACKEND, back).spec[slot] == values[slot], payload
        seen["held"] += 1
    assert seen["held"] >= 15, seen


def test_the_plugin_holds_nothing_of_a_spec() -> None:
    assert len({files(slot, WORD)[0]["adapter_seed.py"].content for slot in SLOTS}) == 1
