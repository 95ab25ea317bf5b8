"""Rotary positions: what a model's config.json decides, and rows that are too long for it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import SpecError
from ftspec.plan.resolve import resolve
from ftspec.plan.values import Value
from ftspec.spec.load import loads

PLAIN = {
    "max_position_embeddings": 64,
    "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"},
}
OLD = {"max_position_embeddings": 64, "rope_theta": 5e5}
STRETCHED = {
    "max_position_embeddings": 64,
    "rope_parameters": {
        "rope_theta": 5e5,
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 32,
    },
}


def resolved(folder: Path, config: dict[str, Any] | None, *sets: str) -> dict[str, Value]:
    if config is not None:
        (folder / "m").mkdir(exist_ok=True)
        (folder / "m" / "config.json").write_text(json.dumps(config))
    name = "org/name" if config is None else "./m"
    text = f"model: {name}\ndata: {{train: {{path: a.jsonl, format: messages}}}}\n"
    return dict(resolve(loads(text, str(folder / "spec.yaml"), sets)).values)


def refused(folder: Path, config: dict[str, Any] | None, *sets: str) -> str:
    with pytest.raises(SpecError) as caught:
        resolved(folder, config, *sets)
    return " ".join(f"{p.path}: {p.message}; {p.hint}" for p in caught.value.problems)


def test_a_default_length_is_what_the_positions_reach(tmp_path: Path) -> None:
    assert resolved(tmp_path, None)["data.max_length"].value == 2048
    assert resolved(tmp_path, PLAIN)["data.max_length"].value == 64
    assert resolved(tmp_path, STRETCHED)["data.max_length"].value == 128
    assert resolved(tmp_path, {"model_type": "mamba"})["data.max_length"].value == 2048
    yarn = resolved(tmp_path, PLAIN, "model.rope={type: yarn, factor: 3}")
    assert yarn["data.max_length"] == Value(
        192, "machine", "the model's positions reach no further"
    )


def test_longer_rows_are_refused_with_the_factor_that_would_do(tmp_path: Path) -> None:
    said = refused(tmp_path, PLAIN, "data.max_length=100")
    assert said.startswith("data.max_length: the positions of ./m reach 64 tokens")
    assert "{type: yarn, factor: 2}; or data.max_length: 64" in said
    said = refused(tmp_path, PLAIN, "data.max_length=1000", "model.rope={type: linear, factor: 2}")
    assert "reach 128 tokens" in said and "model.rope.factor: 16" in said
    # another base has no number for how far it reaches, and a hub model cannot be read
    assert resolved(tmp_path, PLAIN, "data.max_length=100", "model.rope={type: base, theta: 1e6}")
    assert resolved(tmp_path, None, "data.max_length=10000000")


@pytest.mark.parametrize("config", [PLAIN, OLD])
def test_what_is_left_open_is_read_from_the_model(tmp_path: Path, config: Any) -> None:
    values = resolved(tmp_path, config, "model.rope={type: yarn, factor: 4}")
    found = {path: value.value for path, value in values.items() if ".rope." in path}
    assert found == {
        "model.rope.type": "yarn",
        "model.rope.factor": 4.0,
        "model.rope.original_length": 64,
        "model.rope.beta_fast": 32.0,
        "model.rope.beta_slow": 1.0,
        "model.rope.attention_factor": 0.1 * math.log(4) + 1,
        "model.rope.theta": 5e5,
    }
    own = resolved(tmp_path, STRETCHED, "model.rope={type: llama3, factor: 8}")
    assert own["model.rope.original_length"].value == 32


def test_of_a_hub_model_it_must_be_written(tmp_path: Path) -> None:
    said = refused(tmp_path, None, "model.rope={type: linear, factor: 4}")
    assert said.startswith("model.rope.theta: `theta` is left out, and org/name has no config.json")
    said = refused(tmp_path, None, "model.rope={type: yarn, factor: 4, theta: 1e6}")
    assert said.startswith("model.rope.original_length:")
    assert resolved(
        tmp_path, None, "model.rope={type: yarn, factor: 4, theta: 1e6, original_length: 4096}"
    )


@pytest.mark.parametrize(
    "own",
    [
        {"rope_theta": 1e4, "rope_type": "default", "partial_rotary_factor": 0.5},
        {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}},
    ],
)
def test_what_a_spec_cannot_say_is_not_lost(tmp_path: Path, own: Any) -> None:
    config = {"max_position_embeddings": 64, "rope_parameters": own}
    said = refused(tmp_path, config, "model.rope={type: linear, factor: 2}")
    assert "which a spec cannot say and would lose" in said
    assert resolved(tmp_path, config)["model.rope.type"].value is None
