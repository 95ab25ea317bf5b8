"""Mappings that stand in a config as texts of JSON, which transformers takes apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.errors import SpecError
from ftspec.port.documents import Document
from ftspec.read import json as strict_json
from ftspec.read.placed import Place, Placed

KEYS = ("lr_scheduler_kwargs", "accelerator_config", "gradient_checkpointing_kwargs", "fsdp_config")
"""Settings that it does so with (transformers, training_args.py, _VALID_DICT_FIELDS)."""


def unfolded(document: Document) -> Document:
    """A document with these mappings in the place of their texts; what is no JSON stays a text."""
    data, places = dict(document.data), dict(document.placed.places)
    for key in KEYS:
        value = _read(data.get(key))
        if value is None:
            continue
        data[key] = value
        place = places.get((key,), Place(0, 0))
        places |= {(key, *trail): place for trail in _trails(value)}
    return replace(document, placed=Placed(data, places, document.placed.earlier))


def _read(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, str) or not value.startswith("{"):
        return None
    try:
        found = strict_json.read(value)
    except (SpecError, json.JSONDecodeError):
        return None
    return _converted(found) if isinstance(found, dict) else None


def _converted(section: Mapping[str, Any]) -> dict[str, Any]:
    """Texts in it that are yes, no or a number, as transformers makes them (_convert_str_dict)."""
    return {key: _one(value) for key, value in section.items()}


def _one(value: Any) -> Any:
    if isinstance(value, dict):
        return _converted(value)
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    if value.isdigit():
        return int(value)
    return float(value) if value.replace(".", "", 1).isdigit() else value


def _trails(section: Mapping[str, Any]) -> list[tuple[str, ...]]:
    below = [
        (key, *trail)
        for key, value in section.items()
        for trail in (_trails(value) if isinstance(value, dict) else [()])
    ]
    return [*((key,) for key in section), *below]
