"""`--set path=value`: one value of a spec, changed from the command line."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.spec.base import Node
from ftspec.spec.load import STAGES
from ftspec.spec.method import full_form
from ftspec.spec.names import label, suggest
from ftspec.spec.root import Spec
from ftspec.spec.text import Path, parse
from ftspec.spec.vocabulary import is_list, is_mapping, nodes, tag


@dataclass
class Changed:
    """Data with `--set` applied; ``origins`` says which paths came from which option."""

    data: Any
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class _NotASection(Exception):  # noqa: N818 - becomes a Problem, with its option, in `apply`
    """The way to a value leads through something that holds none."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def apply(data: Any, sets: Sequence[str], stage: str = "") -> Changed:
    """A copy of the data with each setting applied, in order; one that cannot be is a problem.

    ``stage``: whose data it is; settings may then begin with `stages.NAME.`.
    """
    changed = Changed(copy.deepcopy(data) if sets else data)
    for text in sets:
        option = f"--set {text}"
        name, equals, written = text.partition("=")
        if not equals or not name.strip():
            changed.problems.append(
                Problem(
                    "expected `path=value`", file=option, hint="for example `--set train.steps=10`"
                )
            )
            continue
        try:
            own = name.strip().removeprefix(f"{STAGES}.{stage}.")
            path, value = _path(own, option), _value(written, option)
            changed.data = _put(changed.data, Spec, path, value)
        except _NotASection as section:
            changed.problems.append(
                Problem(str(section), path=name, file=option, hint=section.hint)
            )
            continue
        except SpecError as error:
            changed.problems += error.problems
            continue
        changed.origins = {k: v for k, v in changed.origins.items() if k[: len(path)] != path}
        changed.origins[path] = option
    return changed


def _value(text: str, option: str) -> Any:
    if not text.strip():
        return None
    try:
        return parse(text).data
    except SpecError as error:
        problems = [Problem(p.message, file=option, hint=p.hint) for p in error.problems]
        raise SpecError(problems) from None


def _path(name: str, option: str) -> Path:
    """The path by its parts, each checked against the vocabulary."""
    models: tuple[type[Node], ...] = (Spec,)
    path: list[str | int] = []
    parts = name.split(".")
    while parts:
        part = parts.pop(0)
        owner = next((model for model in models if part in model.model_fields), None)
        if owner is None:
            section = ".".join(map(str, path))
            where = label(models[0], section) if len(models) == 1 else f"`{section}`"
            message = f"`{part}` is not a field of {where}"
            hint = suggest(part, models[0], section)
            raise SpecError(Problem(message, path=name, file=option, hint=hint))
        path.append(part)
        annotation = owner.model_fields[part].annotation
        models = nodes(annotation)
        if is_list(annotation) and models and parts and parts[0].isdecimal():
            path.append(int(parts.pop(0)))
        if is_mapping(annotation):
            path += [word for word in parts if word]
            break
        if parts and not models:
            message = f"`{'.'.join(map(str, path))}` is a value and has no fields"
            raise SpecError(Problem(message, path=name, file=option))
    return tuple(path)


def _put(data: Any, model: type[Node] | None, path: Path, value: Any) -> Any:
    """The data with one value set; short forms on the way are written out, sections begun."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        items = list(data) if isinstance(data, list) else [] if data is None else [data]
        if key > len(items):
            has = f"has {len(items)}, with numbers from 0 on" if items else "is empty"
            raise _NotASection(f"there is no item {key}: the list {has}")
        if key == len(items):
            return [*items, _put(None, model, rest, value)]
        items[key] = _put(items[key], model, rest, value)
        return items
    if isinstance(data, list) and len(data) == 1 and not _takes_list(model):
        return [_put(data[0], model, path, value)]
    full = _full(data, model, str(key))
    annotation = model.model_fields[key].annotation if model and key in model.model_fields else None
    inner = _variant(full.get(key), nodes(annotation), rest)
    full[key] = _put(full.get(key), inner, rest, value)
    return full


def _full(data: Any, model: type[Node] | None, key: str) -> dict[str, Any]:
    """A section in its full form; where there is none, a new one."""
    word = tag(model) if model else None
    if data is None:
        return {"type": word} if word else {}
    if word and isinstance(data, str):
        return dict(full_form(data))
    if model is not None and (_takes_list(model) or not isinstance(data, list)):
        data = model.expand(data)
    if isinstance(data, list):
        raise _NotASection(
            f"`{key}` of which item of the list?", f"say its number: `...0.{key}` is the first"
        )
    if not isinstance(data, dict):
        raise _NotASection(f"`{key}` cannot be set: the file has {data!r} where a section belongs")
    return dict(data)


def _takes_list(model: type[Node] | None) -> bool:
    """Whether a list is a short form of this section: `data: [a.jsonl, b.jsonl]`."""
    return bool(model and model.short and is_list(model.model_fields[model.short].annotation))


def _variant(value: Any, options: tuple[type[Node], ...], rest: Path) -> type[Node] | None:
    """The variant of a tagged union that is meant: the one written, else one with the field."""
    word = value.get("type") if isinstance(value, dict) else value
    named = [option for option in options if tag(option) == word]
    having = [option for option in options if rest and rest[0] in option.model_fields]
    return next(iter((*named, *having, *options)), None)
