"""Specs that somebody spoilt."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.unit.spec_strategies import documents

EXTREMES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 8, 2**40, -(2**40), 0.5, 1e308, -1e-308, "", " ", "x", "lora", "full",
    "sft", "dpo", "qlora", "1", "no", [], {}, [[]], [None], ["x"], [{}], {"x": 1}, {"type": "lora"},
    {"type": "full"}, {"type": None}, {"path": "x.jsonl"}, {"hub": "a/b"}, {"stage": 3}, "x" * 5000,
)  # fmt: skip


NAMES = (
    "lr",
    "type",
    "rank",
    "x",
    "",
    "model",
    "train",
    "path",
    "<<",
    "lora",
    "dpo",
    "batchsize",
    "é",
    "0",
)


INWARD = ("rewards",)
"""What is inside is judged by more than a shape: patterns, words of another schema (test_rewards.py)."""


def _containers(data: Any) -> list[Any]:
    found = [data] if isinstance(data, dict | list) and data else []
    if isinstance(data, dict):
        items = [item for name, item in data.items() if name not in INWARD]
    else:
        items = data if isinstance(data, list) else []
    for item in items:
        found += _containers(item)
    return found


def _damage(data: dict[str, Any], accidents: list[tuple[int, int, int, int]]) -> dict[str, Any]:
    data = copy.deepcopy(data)
    for where, which, kind, what in accidents:
        places = _containers(data)
        if not places:
            break
        place = places[where % len(places)]
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[which % len(keys)]
        if kind == 0:
            del place[key]
        elif kind == 1 and isinstance(place, dict):
            place[NAMES[what % len(NAMES)]] = place.pop(key)
        elif kind == 2:
            place[key] = [place[key]]
        else:
            place[key] = copy.deepcopy(EXTREMES[what % len(EXTREMES)])
    return data


@cache
def damaged() -> st.SearchStrategy[dict[str, Any]]:
    """A valid spec after a few accidents: something deleted, renamed, replaced by something else."""
    number = st.integers(0, 200)
    accidents = st.lists(
        st.tuples(number, number, st.integers(0, 5), number), min_size=1, max_size=3
    )
    return st.builds(_damage, documents(), accidents)
