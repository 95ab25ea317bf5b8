"""LLaMA-Factory's dataset_info.json, which a config names entries of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.format import Format
from ftspec.port.rules import inert
from ftspec.read import yaml

_PLACES = ("file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")


def _recognise(data: Mapping[str, Any]) -> bool:
    return bool(data) and all(
        isinstance(entry, dict) and any(place in entry for place in _PLACES)
        for entry in data.values()
    )


format = Format(
    name="dataset_info",
    title="dataset_info.json",
    backend="llamafactory",
    signs=frozenset(),
    scalar=yaml.scalar,
    rules={},
    otherwise=inert("an entry counts where a config names it"),
    whole=False,
    recognise=_recognise,
)
