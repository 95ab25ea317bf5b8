"""The part of the JSON Schema that is about `stages`: shared sections, and each stage's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ftspec.spec.base import Node
from ftspec.spec.docs import description
from ftspec.spec.stages import NOT_SHARED, Stage, Taken

Schema = dict[str, Any]
ONE = """\
version: 1
model: ${1:Qwen/Qwen3-0.6B}
data: ${2:train.jsonl}
method: ${3|lora,full|}
train:
  epochs: ${4:1}
  batch_size: ${5:16}
"""
SEVERAL = """\
version: 1
model: ${1:Qwen/Qwen3-0.6B}
train:
  batch_size: ${2:16}
stages:
  - name: sft
    data: ${3:chat.jsonl}
    method: full
  - name: ${4:more}
    model: {stage: sft}
    data: ${5:more.jsonl}
"""
SNIPPETS = [
    {"label": "ftspec", "description": "the least a spec needs", "bodyText": ONE},
    {"label": "ftspec stages", "description": "one run after the other", "bodyText": SEVERAL},
]
NAMES = "small letters, digits, `-` and `_`: it becomes the name of a folder"
ABSENT: Schema = {"type": "null", "not": {"type": "null"}}
"""No value at all; so written, the message for a value of any type is the rule's own."""


def with_stages(schema: Schema, described: Callable[[str], Schema], writing: Schema) -> Schema:
    """The schema of one run, and beside it that of several in one file; ``writing`` is that of `write`."""
    sections = {k: v for k, v in schema["properties"].items() if k != "version"}
    needed = schema["required"]
    parts = {
        f"Shared{_named(sections[name])}": _part(schema["$defs"][_named(sections[name])])
        for name in needed
    }
    shared = {
        name: {**value, "$ref": f"#/$defs/Shared{_named(value)}"} if name in needed else value
        for name, value in sections.items()
    }
    taking = _taking(parts["SharedModel"], described)
    name = {**_field(Stage, "name", described), "type": "string", **_pattern(Stage, "name")}
    stage = {
        **described(Stage.__doc__ or ""),
        "type": "object",
        "properties": {
            "name": name,
            "write": {
                **_field(Stage, "write", described),
                "anyOf": [{"$ref": "#/$defs/Writing"}, {"type": "null"}],
            },
            **shared,
            "model": {**shared["model"], "$ref": "#/$defs/StageModel"},
        },
        "additionalProperties": False,
        "required": ["name"],
    }
    stages = {
        **described("Several runs in this order, each over the shared sections of this file."),
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/$defs/Stage"},
    }
    # a section that one run needs and several may leave out is checked by the branch that applies
    notes = {
        name: {k: v for k, v in value.items() if k != "$ref"} if name in needed else value
        for name, value in schema["properties"].items()
    }
    return {
        **{key: value for key, value in schema.items() if key not in ("required", "$defs")},
        "properties": {**notes, "stages": stages},
        "if": {"required": ["stages"]},
        "then": {"properties": {**{name: shared[name] for name in needed}, **_once()}},
        "else": {"required": needed, "properties": {name: sections[name] for name in needed}},
        "$defs": {
            **schema["$defs"],
            **parts,
            "StageModel": taking,
            "Writing": writing,
            "Stage": stage,
        },
    }


def _named(section: Schema) -> str:
    return str(section["$ref"].rpartition("/")[2])


def _part(section: Schema) -> Schema:
    """A section whose required fields another one may hold."""
    if "anyOf" in section:
        return {**section, "anyOf": [_part(option) for option in section["anyOf"]]}
    return {key: value for key, value in section.items() if key != "required"}


def _taking(model: Schema, described: Callable[[str], Schema]) -> Schema:
    """The model section of a stage: a model's, or one that takes what an earlier stage leaves."""
    stage = {**_field(Taken, "stage", described), "type": "string", **_pattern(Taken, "stage")}
    adapter = {**_field(Taken, "adapter", described), "enum": ["continue", "merge", None]}
    keep = "`name` and `stage` exclude each other: keep one"
    alone = {
        "if": {"required": ["stage"]},
        "then": {
            "properties": {
                field: {**ABSENT, "errorMessage": keep} for field in ("name", "revision")
            }
        },
        "else": {
            "properties": {"adapter": {**ABSENT, "errorMessage": "`adapter` of which stage?"}}
        },
    }
    # beside a name alone, which neither of these keywords is about
    return {
        **model,
        "properties": {"stage": stage, "adapter": adapter, **model["properties"]},
        "allOf": [*model.get("allOf", ()), alone],
    }


def _field(model: type[Node], name: str, described: Callable[[str], Schema]) -> Schema:
    return described(description(model, name))


def _pattern(model: type[Node], name: str) -> Schema:
    (found,) = (
        part.pattern for part in model.model_fields[name].metadata if hasattr(part, "pattern")
    )
    return {"pattern": found, "patternErrorMessage": NAMES}


def _once() -> Schema:
    """What cannot be the same for every stage."""
    return {
        section: {
            "properties": {
                field: {"type": "null", "errorMessage": why} for field, why in names.items()
            }
        }
        for section, names in NOT_SHARED.items()
    }
