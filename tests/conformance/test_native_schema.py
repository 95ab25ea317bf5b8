"""Every native name exists in the installed framework, and a missing key means what the map says.

schemas/native/*.json are read out of the frameworks by scripts/native_schema.py (`make schemas`).
"""

from __future__ import annotations

from typing import Any

from ftspec.backend import Backend
from ftspec.mapping import MISSING

PSEUDO = ("data.", "precision.", "launch.", "model.", "train.", "tuner", "dataset_info.", "partial.", "peft.",
          "rewards", "special_tokens.", "new_tokens.", "images.", "answers.", "trainer.")  # fmt: skip
"""Keys that stand for statements or for the command line, not for an argument."""
PLACES = {
    "from_pretrained": "FastLanguageModel.from_pretrained",
    "get_peft_model": "FastLanguageModel.get_peft_model",
}
AUTO = {"pad_to_multiple_of": ("auto", None), "bf16": (None, True)}
"""Defaults with two names: what stands there, and what it comes to (trl base_config.py, sft_trainer.py)."""


def _native(backend: Backend) -> list[tuple[str, Any]]:
    rows = {id(row): row for fields in backend.maps.values() for row in fields.rows}
    return [
        (key, absent)
        for row in rows.values()
        for key, absent in zip(row.keys, row.absent or (MISSING,) * len(row.keys), strict=True)
        if not key.startswith(PSEUDO)
        # the engine's rows are one set, held against the engine's schema with its own backend
        if not key.startswith("ds_config.") or backend.name == "deepspeed"
    ]


def _entry(key: str, schema: dict[str, Any]) -> dict[str, Any] | None:
    """What the framework says about a key; None if it does not know it."""
    calls = schema["calls"]
    place, _, name = key.rpartition(".")
    found: dict[str, Any] | None = calls.get(PLACES.get(place, place), {}).get(name)
    return found


def test_every_name_exists(backend: Backend, native_schema: dict[str, Any]) -> None:
    keys = [key for key, _ in _native(backend)]
    assert len(keys) >= 50
    unknown = [key for key in keys if _entry(key, native_schema) is None]
    assert not unknown, f"{backend.name} {native_schema['version']} has no {unknown}"


def test_a_missing_key_means_what_the_map_says(
    backend: Backend, native_schema: dict[str, Any]
) -> None:
    checked, wrong = 0, []
    for key, absent in _native(backend):
        entry = _entry(key, native_schema)
        if absent is MISSING or entry is None:
            continue
        checked += 1
        default = entry["default"]
        name = key.rpartition(".")[2]
        if name in AUTO and default == AUTO[name][0]:
            default = AUTO[name][1]
        if default != (list(absent) if isinstance(absent, tuple) else absent):
            wrong.append(f"{key}: the map says {absent!r}, {backend.title} {default!r}")
    assert checked >= 40
    assert not wrong, "\n".join(wrong)


def test_the_schema_is_of_a_version_that_the_map_holds_for(
    backend: Backend, native_schema: dict[str, Any]
) -> None:
    from packaging.specifiers import SpecifierSet

    assert native_schema["version"] in SpecifierSet(backend.versions)
