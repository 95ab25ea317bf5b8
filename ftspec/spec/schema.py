"""The JSON Schema of a spec, for editors: what the loader takes, as far as a schema can say it.

Generated from the models and then made pleasant: short forms everywhere, descriptions for hovering,
one precise message instead of a union's shrug, a starter snippet. ``python -m ftspec.spec.schema``
writes schemas/ftspec.v1.json. A wheel holds no copy: the models are there, and this is fast.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ftspec.spec.base import Node
from ftspec.spec.data import SUFFIXES, Source
from ftspec.spec.docs import description
from ftspec.spec.explain import PATTERNS
from ftspec.spec.lora import LoRA
from ftspec.spec.method import WORDS, Method
from ftspec.spec.root import Spec
from ftspec.spec.schema_rules import ENDINGS, NULL, RULES
from ftspec.spec.schema_stages import SNIPPETS, with_stages
from ftspec.spec.shorthand import BASE, QUANTISED
from ftspec.spec.vocabulary import fields, nodes, tag
from ftspec.spec.writing import Writing

IDENTITY = "urn:ftspec:schema:v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def json_schema() -> Schema:
    """The schema, in the spec's order, the same at every call."""
    raw = Spec.model_json_schema()
    models = dict.fromkeys(owner for _, _, owner in fields() if owner is not Spec)
    root = _section(raw, Spec)
    schema = {
        "$schema": DIALECT,
        "$id": IDENTITY,
        "title": "ftspec",
        "description": root.pop("description"),
        "defaultSnippets": SNIPPETS,
        **{key: value for key, value in root.items() if key != "markdownDescription"},
        "$defs": {
            **{model.__name__: _section(raw["$defs"][model.__name__], model) for model in models},
            "JsonValue": {},
        },
    }
    return with_stages(schema, _described, _section(Writing.model_json_schema(), Writing))


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def write_schema(path: Path) -> None:
    """Write it where editors find it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(schema_text(), encoding="utf-8")


def _section(raw: Schema, model: type[Node]) -> Schema:
    """One model: its fields, its rules, and its short form."""
    name = model.__name__
    body = next(part for part in raw.get("anyOf", [raw]) if "properties" in part)
    properties = {}
    for field, info in model.model_fields.items():
        properties[field] = _field(body["properties"][field], info, description(model, field))
        if ending := ENDINGS.get((name, field)):
            properties[field] = _with_pattern(properties[field], ending)
        if field == "type" and "const" in properties[field]:
            del properties[field]["const"]
            properties[field] |= _words(model)
    named = len(_variants(model)) > 1 and not model.implied
    required = [*(["type"] if named else []), *body.get("required", ())]
    full: Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
        **({"allOf": RULES[name]} if name in RULES else {}),
    }
    return {**_described(model.__doc__ or ""), **_either([*_short(model, properties), full])}


def _variants(model: type[Node]) -> tuple[type[Node], ...]:
    """The tagged union a model is part of, itself alone where it is in none."""
    for _, name, owner in fields():
        inner = nodes(owner.model_fields[name].annotation)
        if model in inner and len(inner) > 1:
            return inner
    return (model,)


def _short(model: type[Node], properties: Mapping[str, Schema]) -> list[Schema]:
    """What may stand in place of a section: what its short field takes, but no section."""
    if model is Method:
        return [_bare_words((*nodes(_annotation("tuner")), *nodes(_annotation("objective"))))]
    if model is Source:
        return [{"type": "string", "minLength": 1}]
    if tag(model):
        return [] if len(_variants(model)) > 1 else [{"enum": [tag(model)]}]
    if model.short is None:
        return []
    keep = {k: v for k, v in properties[model.short].items() if k not in NOTES}
    return [part for option in keep.get("anyOf", [keep]) for part in _bare(option)]


def _bare(option: Schema) -> list[Schema]:
    """An option of a short form. A section there would be read as the outer one's full form."""
    if option.get("$ref") == "#/$defs/Source":
        return _short(Source, {})
    types = option.get("type")
    if isinstance(types, list):
        return [{**option, "type": [kind for kind in types if kind not in ("object", "null")]}]
    return [option]


def _annotation(name: str) -> Any:
    return Method.model_fields[name].annotation


NOTES = ("default", "description", "markdownDescription", "examples", "deprecationMessage")


def _field(raw: Schema, info: FieldInfo, meaning: str) -> Schema:
    """One field, with its documentation, in all forms the loader takes."""
    notes = _described(meaning)
    if raw.get("default") not in (None, [], {}) and not nodes(info.annotation):
        notes["default"] = raw["default"]
    if raw.get("examples"):
        notes["examples"] = raw["examples"]
    if info.deprecated:
        notes["deprecationMessage"] = (
            info.deprecated if isinstance(info.deprecated, str) else "deprecated"
        )
    inner = nodes(info.annotation)
    if len(inner) < 2:
        return {**notes, **_forms(raw)}
    union = _union(inner)
    # not one schema for both: the conditions of a union hold for whatever is no section
    return {**notes, **({"anyOf": [union, NULL]} if NULL in raw.get("anyOf", ()) else union)}


def _choice(models: Iterable[type[Node]]) -> Schema:
    """The words of a tagged union, each with what it means."""
    meanings = {tag(model): _described(model.__doc__ or "")["description"] for model in models}
    meanings |= {
        word: f"`{tuner}` over a quantised base: `model.quantization: {BASE}`, or the one given."
        for word, tuner in QUANTISED.items()
        if tuner in meanings
    }
    return {"enum": [*meanings], "markdownEnumDescriptions": [*meanings.values()]}


def _words(model: type[Node]) -> Schema:
    """What names a variant: its own word, or also those that stand for it over a quantised base."""
    more = [word for word, tuner in QUANTISED.items() if tuner == tag(model)]
    return {"enum": [tag(model), *more]} if more else {"const": tag(model)}


def _bare_words(models: Iterable[type[Node]]) -> Schema:
    """What may stand for a whole section: words whose fields all have defaults, and short words."""
    kinds = tuple(models)
    words = _choice(kind for kind in kinds if _stands_alone(kind))
    for word, meaning in WORDS.items() if LoRA in kinds else ():
        words["enum"].append(word)
        words["markdownEnumDescriptions"].append(f"`{json.dumps(meaning)}`")
    return words


def _stands_alone(model: type[Node]) -> bool:
    try:
        model.model_validate({})
    except ValidationError:
        return False
    return True


def _union(inner: tuple[type[Node], ...]) -> Schema:
    """A tagged union: the section that belongs to a word, or the word alone where that is enough."""
    chosen = [
        {
            "if": {
                "properties": {"type": _words(model)},
                **({} if model.implied else {"required": ["type"]}),
            },
            "then": {"$ref": f"#/$defs/{model.__name__}"},
        }
        for model in inner
    ]
    section = {
        "type": "object",
        **({} if any(model.implied for model in inner) else {"required": ["type"]}),
        "properties": {"type": _choice(inner)},
        "allOf": chosen,
    }
    words = _bare_words(inner)
    return {"anyOf": [words, section]} if words["enum"] else section


LENGTHS: Mapping[str, str] = {"minLength": "minItems", "maxLength": "maxItems"}
"""pydantic measures a list as a text where a validator stands before it."""


def _forms(raw: Schema) -> Schema:
    """A value's schema without its notes; a list may be its single item."""
    rest = {k: v for k, v in raw.items() if k not in ("title", "deprecated", *NOTES)}
    if rest.get("type") == "array" and "items" in rest:
        item = _forms(rest["items"])
        rest = {LENGTHS.get(key, key): value for key, value in rest.items()}
        return _either([item, {**rest, "items": item}])
    if "anyOf" in rest:
        return _either([_forms(option) for option in rest["anyOf"]])
    if rest.get("pattern") in PATTERNS:
        rest["patternErrorMessage"] = f"expected {PATTERNS[rest['pattern']]}"
    if isinstance(rest.get("additionalProperties"), dict):
        return {**rest, "additionalProperties": _forms(rest["additionalProperties"])}
    return rest


def _either(options: list[Schema]) -> Schema:
    """One of several; where they differ in type only, one schema with a list of types.

    A keyword for text skips sections, and the other way round, so that means the same, and editors
    then say what is wrong with the value instead of what else it could have been.
    """
    flat = [
        part
        for option in options
        for part in (option["anyOf"] if set(option) == {"anyOf"} else [option])
    ]
    kinds = [kind for option in flat for kind in _kinds(option)]
    whole = {"enum", "const", "anyOf", "$ref"}
    if len(flat) == 1:
        return flat[0]
    if len(set(kinds)) < len(kinds) or any(
        whole & set(option) or "type" not in option for option in flat
    ):
        return {"anyOf": flat}
    return {**{k: v for option in flat for k, v in option.items()}, "type": kinds}


def _kinds(option: Schema) -> list[str]:
    kinds = option.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _with_pattern(schema: Schema, pattern: str) -> Schema:
    return {
        **schema,
        "pattern": pattern,
        "patternErrorMessage": f"a data file ends in {', '.join(SUFFIXES)}",
    }


def _described(text: str) -> Schema:
    """A description, one line per paragraph, for those who render Markdown and those who do not."""
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text).strip()
    return {"description": text, "markdownDescription": text} if text else {}


if __name__ == "__main__":
    write_schema(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("schemas/ftspec.v1.json"))
