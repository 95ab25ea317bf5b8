"""The JSON Schema: it is the committed file, it is pleasant, and it says what the loader says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from ftspec.errors import SpecError
from ftspec.spec.load import loads
from ftspec.spec.paths import leaf_paths
from ftspec.spec.pipeline import Pipeline, load_any
from ftspec.spec.schema import IDENTITY, json_schema, write_schema
from ftspec.spec.text import parse
from tests.unit.spec_damage import damaged
from tests.unit.spec_strategies import documents

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def loader_takes(document: Any) -> bool:
    try:
        loads(json.dumps(document))
    except SpecError:
        return False
    return True


def walk(schema: Any) -> list[dict[str, Any]]:
    """Every schema within a schema."""
    found = [schema] if isinstance(schema, dict) else []
    for item in (
        schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    ):
        found += walk(item)
    return found


def whole_floats(value: Any) -> bool:
    """JSON Schema takes 8.0 for a whole number; a spec does not."""
    if isinstance(value, dict | list):
        return any(
            whole_floats(item) for item in (value.values() if isinstance(value, dict) else value)
        )
    return isinstance(value, float) and value.is_integer()


def test_the_committed_file_is_the_generated_one(root: Path, tmp_path: Path) -> None:
    write_schema(tmp_path / "new" / "schema.json")
    generated = (tmp_path / "new" / "schema.json").read_text("utf-8")
    committed = (root / "schemas" / "ftspec.v1.json").read_text("utf-8")
    assert committed == generated, "run `python -m ftspec.spec.schema`"
    assert generated.endswith("}\n")


def test_it_is_a_schema_of_2020_12_and_always_the_same() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == IDENTITY
    assert json.dumps(json_schema()) == json.dumps(SCHEMA)
    assert len(json.dumps(SCHEMA)) < 300_000


def test_every_field_is_documented_and_nothing_is_noisy() -> None:
    sections = [
        part for part in walk(SCHEMA) if "additionalProperties" in part and "properties" in part
    ]
    named = [(name, field) for section in sections for name, field in section["properties"].items()]
    assert len(named) > len(leaf_paths())
    for name, field in named:
        assert "title" not in field
        if name != "type":
            assert field["markdownDescription"] == field["description"], name
            assert "\n" not in field["description"], name


def test_the_snippets_are_specs(tmp_path: Path) -> None:
    one, several = (
        re.sub(r"\$\{\d[:|]([^,|}]*)[^}]*\}", r"\1", snippet["bodyText"])
        for snippet in SCHEMA["defaultSnippets"]
    )
    assert loads(one).spec.method.tuner.type == "lora"
    file = tmp_path / "spec.yaml"
    file.write_text(several, "utf-8")
    pipeline = load_any(file)
    assert isinstance(pipeline, Pipeline)
    assert [step.name for step in pipeline.steps] == ["sft", "more"]
    assert not list(VALIDATOR.iter_errors(parse(several).data))


@pytest.mark.parametrize(
    "document",
    [
        {"model": "x", "data": "a.jsonl"},
        {"model": "x", "data": ["a.jsonl", {"hub": "b/c"}]},
        {"model": {"name": "x"}, "data": {"train": "b/c", "eval": ["d.csv"]}},
        {"model": "x", "data": "a/b", "method": "full"},
        {"model": "x", "data": "a/b", "method": "sft"},
        {"model": "x", "data": "a/b", "method": {"objective": "sft", "tuner": "lora"}},
        {
            "model": "x",
            "data": "a/b",
            "method": {"objective": {"type": "cpt"}, "tuner": {"type": "lora"}},
        },
        {"model": "x", "data": "a/b", "precision": "fp32", "output": "runs", "run": "trl"},
        {"model": "x", "data": "a/b", "run": ["trl"], "hardware": {"zero": 3}},
        {"model": "x", "data": "a/b", "hardware": {"zero": None}, "output": {"hub": "a/b"}},
        {"model": "x", "data": "a/b", "train": {"optimizer": "adamw", "save_steps": "epoch"}},
        {"model": "x", "data": "a/b", "method": {"tuner": {"type": "lora", "targets": "q_proj"}}},
        {"model": "x", "data": "a/b", "output": {"trackers": "wandb"}},
        {"model": "x", "data": "a/b", "method": "qlora"},
        {"model": "x", "data": "a/b", "method": {"tuner": {"type": "qlora", "rank": 4}}},
        {"model": {"name": "x", "quantization": "int8"}, "data": "a/b"},
        {"model": {"name": "x", "quantization": None}, "data": "a/b"},
    ],
)
def test_short_forms_are_taken(document: dict[str, Any]) -> None:
    assert loader_takes(document)
    assert not list(VALIDATOR.iter_errors(document))


@pytest.mark.parametrize(
    "document",
    [
        {"model": "x", "data": {"path": "a.jsonl"}},
        {"model": ["x"], "data": "a/b"},
        {"model": "x", "data": []},
        {"model": "x", "data": {"train": {"path": "a.jsonl", "hub": "b"}}},
        {"model": "x", "data": {"train": {"path": "a.jsonl", "subset": "b"}}},
        {"model": "x", "data": {"train": {"path": None}}},
        {"model": "x", "data": {"train": {"path": "a.txt"}}},
        {"model": "x", "data": "a/b", "method": "boft"},
        {"model": {"name": "x", "quantization": {"type": "int8", "double": True}}, "data": "a/b"},
        {"model": {"name": "x", "quantization": "int3"}, "data": "a/b"},
        {"model": "x", "data": "a/b", "method": {"tuner": {"rank": 8}}},
        {"model": "x", "data": "a/b", "method": {"tuner": {"type": "full", "rank": 8}}},
        {
            "model": "x",
            "data": "a/b",
            "method": {"tuner": {"type": "lora", "adapter": "x", "rank": 8}},
        },
        {
            "model": "x",
            "data": "a/b",
            "method": {"tuner": {"type": "lora", "adapter": "x", "alpha": None}},
        },
        {
            "model": "x",
            "data": "a/b",
            "method": {"tuner": {"type": "lora", "init": {"type": "pissa", "rho": 2.0}}},
        },
        {"model": "x", "data": "a/b", "train": {"epochs": 1, "steps": 1}},
        {"model": "x", "data": "a/b", "train": {"warmup_steps": 1, "warmup_ratio": 0.1}},
        {"model": "x", "data": "a/b", "train": {"save_steps": 0}},
        {"model": "x", "data": "a/b", "hardware": {"zero": {"offload_parameters": True}}},
        {
            "model": "x",
            "data": "a/b",
            "hardware": {"zero": {"stage": 0, "offload_optimizer": True}},
        },
        {"model": "x", "data": "a/b", "hardware": {"zero": {"stage": 3, "offload_folder": "/a"}}},
        {
            "model": "x",
            "data": "a/b",
            "hardware": {"zero": {"stage": 2, "offload_optimizer": True, "offload_folder": "/a"}},
        },
        {"model": "x", "data": "a/b", "run": []},
        {"model": "x", "data": "a/b", "method": {"tuner": {"type": "lora", "targets": []}}},
    ],
)
def test_what_the_loader_refuses_is_refused(document: dict[str, Any]) -> None:
    assert not loader_takes(document)
    assert list(VALIDATOR.iter_errors(document))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_it_takes_every_valid_spec(document: dict[str, Any]) -> None:
    assert not list(VALIDATOR.iter_errors(document))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_it_judges_damaged_specs_as_the_loader_does(document: dict[str, Any]) -> None:
    if not whole_floats(document):
        assert loader_takes(document) == VALIDATOR.is_valid(document)
