"""What pydantic found wrong, in words for the person who wrote the spec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ftspec.spec.base import Node
from ftspec.spec.method import OBJECTIVES, TUNERS, WORDS
from ftspec.spec.names import FOREIGN_WORDS, UNAVAILABLE, close, label, suggest
from ftspec.spec.paths import tags
from ftspec.spec.root import Spec
from ftspec.spec.scalars import FLOAT, INT
from ftspec.spec.text import Path
from ftspec.spec.vocabulary import is_mapping, nodes, tag


@dataclass(frozen=True)
class Finding:
    """One problem, not yet placed in a file. ``at_key``: the key is wrong, not its value."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


@dataclass(frozen=True)
class _Fault:
    """One of pydantic's errors, at a path that the spec's reader would recognise."""

    path: Path
    full: Path
    """The same with short forms written out."""
    model: type[Node]
    kind: str
    value: Any
    """What pydantic saw: short forms written out."""
    written: Any
    """What the file has at the path."""
    context: Mapping[str, Any]
    branch: bool
    """Whether it is about one alternative of several that a value may take."""


def explain(error: ValidationError, data: Any) -> list[Finding]:
    """Everything that is wrong, each once, in the order of the spec."""
    faults = [_fault(entry, data) for entry in error.errors(include_url=False)]
    groups: dict[tuple[Path, bool], list[_Fault]] = {}
    for fault in faults:
        if not _follows(fault, faults):
            groups.setdefault((fault.path, fault.kind in ALONE), []).append(fault)
    findings = []
    for (_, alone), group in groups.items():
        findings += [_alone(fault) for fault in group] if alone else [_together(group)]
    return list(dict.fromkeys(findings))


ALONE = frozenset(
    {"extra_forbidden", "missing", "value_error", "union_tag_invalid", "union_tag_not_found"}
)


def _fault(entry: Mapping[str, Any], data: Any) -> _Fault:
    full, model, branch = _clean(entry["loc"])
    path, written = _written(full, data)
    if entry["type"] == "missing":
        path = (*path, full[-1])
    return _Fault(
        path, full, model, entry["type"], entry["input"], written, entry.get("ctx", {}), branch
    )


def _clean(location: Iterable[str | int]) -> tuple[Path, type[Node], bool]:
    """Path, the model it ends in, and whether pydantic named a branch of a union on the way.

    Names of branches and of validators are in pydantic's path, and not in anybody's file.
    """
    path: list[str | int] = []
    models: tuple[type[Node], ...] = (Spec,)
    owner: type[Node] = Spec
    free = branch = False
    for part in location:
        home = next((model for model in models if part in model.model_fields), None)
        variant = next((model for model in models if len(models) > 1 and tag(model) == part), None)
        if home:
            annotation = home.model_fields[str(part)].annotation
            owner, models, free = home, nodes(annotation), is_mapping(annotation)
            path.append(part)
        elif variant:
            owner, models = variant, (variant,)
        elif isinstance(part, int) or free or models:
            if part != "[key]":
                path.append(part)
            owner = models[0] if models else owner
        else:
            branch = True
    return tuple(path), models[0] if models and not path else _owner(owner, models), branch


def _owner(owner: type[Node], models: tuple[type[Node], ...]) -> type[Node]:
    return models[0] if len(models) == 1 else owner


def _written(path: Path, data: Any) -> tuple[Path, Any]:
    """As much of a path as the file has, and what is there: a short form stands higher."""
    written: list[str | int] = []
    for part in path:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int)
        ):
            data = data[part]  # type: ignore[index]
            written.append(part)
        elif part != 0 or isinstance(part, str):
            break
    return tuple(written), data


def _follows(fault: _Fault, faults: list[_Fault]) -> bool:
    """Whether a fault only echoes another: a list with a bad item, one branch of a union."""
    if not fault.branch and fault.kind != "too_short":
        return False
    if fault.kind != "too_short" and not isinstance(fault.value, list | tuple | dict):
        return False
    depth = len(fault.full)
    return any(len(other.full) > depth and other.full[:depth] == fault.full for other in faults)


def _alone(fault: _Fault) -> Finding:
    section = ".".join(str(part) for part in fault.path[:-1] if isinstance(part, str))
    name = str(fault.path[-1]) if fault.path else ""
    match fault.kind:
        case "extra_forbidden":
            message = f"`{name}` is not a field of {label(fault.model, section)}"
            return Finding(fault.path, message, suggest(name, fault.model, section), at_key=True)
        case "missing":
            return Finding(
                fault.path, f"`{name}` is missing", MISSING.get(_dotted(fault.path), "add it")
            )
        case "union_tag_invalid":
            return _unknown_variant(fault)
        case "union_tag_not_found":
            words = tags()[f"{_dotted(fault.path)}.type"]
            return Finding(
                fault.path,
                f"`type` is missing in `{section}.{name}`",
                f"add `type`: {', '.join(words)}",
            )
        case _:
            message = str(fault.context.get("error", "this value is not possible"))
            return Finding(_mentioned(fault, message), message)


MISSING: Mapping[str, str] = {
    "model": "name it: `model: org/name`, or a folder",
    "data": "name it: `data: train.jsonl`, or a hub id",
    "data.train": "name the rows to train on: `train: train.jsonl`, or a hub id",
    "model.name": "name the model: `name: org/name`, or a folder",
    "method.objective.rewards": "say what scores: `rewards: [{by: model, name: org/reward-model}]`",
}


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _mentioned(fault: _Fault, message: str) -> Path:
    """The first field in backticks that the section has, else the section."""
    written = fault.value if isinstance(fault.value, dict) else {}
    names = [name for name in re.findall(r"`(\w+)`", message) if name in written]
    return (*fault.path, names[0]) if names else fault.path


NOUNS: Mapping[str, str] = {"objective": "an objective", "tuner": "a tuner"}


def _unknown_variant(fault: _Fault) -> Finding:
    word = str(fault.context.get("tag", ""))
    if fault.path == ("method",):
        known: tuple[str, ...] = (*OBJECTIVES, *TUNERS)
        message = f"`{word}` is neither an objective nor a tuner"
    else:
        known = tuple(re.findall(r"'([^']*)'", str(fault.context.get("expected_tags", ""))))
        message = f"there is no {fault.path[-1]} `{word}`"
    path = (*fault.path, "type") if isinstance(fault.written, dict) else fault.path
    if meant := MEANT.get(word):
        return Finding(path, message, meant if " " in meant else f"that is `{meant}` here")
    if word in WORDS:
        pairs = ", ".join(f"{key}: {str(value).lower()}" for key, value in WORDS[word].items())
        return Finding(path, message, f"with fields of its own it is written out: `{{{pairs}}}`")
    for part, own in (("objective", OBJECTIVES), ("tuner", TUNERS)):
        if word in own:
            hint = f"`{word}` is {NOUNS[part]}: write `{part}: {word}`"
            return Finding(fault.path, message, hint)
    if fault.path[0] == "method" and word in tags()["train.optimizer.type"]:
        hint = f"`{word}` is an optimizer: write `method: full` and `train.optimizer: {word}`"
        return Finding(fault.path, message, hint)
    if word in UNAVAILABLE:
        return Finding(fault.path, message, UNAVAILABLE[word])
    near = FOREIGN_WORDS.get(word.lower().replace("-", "_")) or close(word, known)
    words = ", ".join(f"`{name}`" for name in known)
    return Finding(path, message, f"did you mean `{near}`?" if near else f"there are {words}")


MEANT: Mapping[str, str] = {
    "freeze": "partial",
    "ln": "norms",
    "layernorm": "norms",
    "prefix-tuning": "prefix",
    "prompt-tuning": "prompt",
    "ptuning": "p-tuning",
    "boft": "say `{type: peft, kind: BOFT, options: ...}`",
    "adalora": "no backend tells AdaLoRA when a step is done: it would be a LoRA of fixed rank",
    "llama-adapter": "peft's ADAPTION_PROMPT comes between the model and trl's loss: it does not train",
    "llama-pro": "say `{type: partial, expanded_layers: ...}`, of a model that was expanded before",
    "longlora": "LLaMA-Factory's shifted attention needs transformers below 4.48",
    "mixture-of-depths": "LLaMA-Factory's mixture of depths needs a package that no environment has",
}
"""What other tools call a tuner: our name for it, or a sentence."""


def _together(group: list[_Fault]) -> Finding:
    """All that one value could have been: `a whole number or epoch`."""
    first = group[0]
    value = first.value
    wanted = list(dict.fromkeys(_expected(fault) for fault in group))
    words = [word for fault in group for word in _words(fault)]
    text = f"expected {' or '.join(wanted)}, got {show(value)}"
    return Finding(first.path, text, _hint(value, {fault.kind for fault in group}, words, first))


def _words(fault: _Fault) -> list[str]:
    return re.findall(r"'([^']*)'", str(fault.context.get("expected", "")))


EXPECTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "int_type": lambda _: "a whole number",
    "int_from_float": lambda _: "a whole number",
    "float_type": lambda _: "a number",
    "bool_type": lambda _: "true or false",
    "string_type": lambda _: "text",
    "string_too_short": lambda _: "text that is not empty",
    "string_pattern_mismatch": lambda ctx: PATTERNS.get(
        str(ctx["pattern"]), f"text like {ctx['pattern']}"
    ),
    "literal_error": lambda ctx: re.sub(r"'([^']*)'", r"`\1`", str(ctx["expected"])),
    "tuple_type": lambda _: "a list",
    "dict_type": lambda _: "a section",
    "model_type": lambda _: "a section",
    "model_attributes_type": lambda _: "a name or a section",
    "too_short": lambda ctx: f"at least {ctx['min_length']} item{'s' * (ctx['min_length'] > 1)}",
    "greater_than_equal": lambda ctx: f"{_number(ctx['ge'])} or more",
    "greater_than": lambda ctx: f"more than {_number(ctx['gt'])}",
    "less_than": lambda ctx: f"less than {_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"{_number(ctx['le'])} or less",
}
PATTERNS: Mapping[str, str] = {
    r"^[A-Za-z_][\w.]*$": "a module's name (letters, digits, `_` and `.`)",
    r"^([\w.-]+/)?[\w.-]+$": "a repository, `org/name` or a bare name",
}


def _number(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else str(limit)


def _expected(fault: _Fault) -> str:
    phrase = EXPECTED.get(fault.kind)
    return phrase(fault.context) if phrase else fault.kind.replace("_", " ")


def show(value: Any) -> str:
    """A value in a message, short."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {value[:60] + '...' if len(value) > 60 else value!r}"
    if isinstance(value, dict):
        return f"a section with {', '.join(map(str, list(value)[:4])) or 'nothing in it'}"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return repr(value)


def _hint(value: Any, kinds: set[str], words: list[str], fault: _Fault) -> str:
    if value is None:
        return MISSING.get(_dotted(fault.path), "leave the key out to get its default")
    if isinstance(value, str):
        return _hint_for_text(value, kinds, words, fault)
    if isinstance(value, float) and value.is_integer() and "int_type" in kinds:
        return f"write {int(value)}"
    if isinstance(value, int | float) and kinds == {"string_type"}:
        return f'put it in quotes: "{show(value)}"'
    return ""


def _hint_for_text(value: str, kinds: set[str], words: list[str], fault: _Fault) -> str:
    bare = value.strip().replace("_", "")
    number = INT.fullmatch(bare) or FLOAT.fullmatch(bare)
    near = close(value, words)
    hint = ""
    if near:
        hint = f"did you mean `{near}`?"
    elif number and kinds & {"int_type", "float_type"}:
        hint = f"write {bare}, without quotes or `_`"
    elif "bool_type" in kinds and value.lower() in BOOLEAN:
        hint = f"write {BOOLEAN[value.lower()]}: YAML 1.2 has true and false only"
    elif "string_pattern_mismatch" in kinds and "," in value:
        hint = f"write a list: [{', '.join(part.strip() for part in value.split(','))}]"
    return hint


BOOLEAN: Mapping[str, str] = {
    "yes": "true",
    "on": "true",
    "y": "true",
    "true": "true",
    "1": "true",
    "no": "false",
    "off": "false",
    "n": "false",
    "false": "false",
    "0": "false",
}
