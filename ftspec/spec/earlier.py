"""What a stage may take of those above it: what is wrong with that, and at which field of the stage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from ftspec.spec.root import Spec
from ftspec.spec.stages import MODELS
from ftspec.spec.text import Path as Trail
from ftspec.spec.writing import Writing

WHOLE = ("full", "partial")
"""Tuners that leave whole weights. All others leave an adapter."""
MERGED = ("lora",)
"""Tuners whose adapter was seen to be added to weights."""
ANSWERS = "answers.jsonl"
"""The file that a teacher's answers are written to."""

Specs = Mapping[str, Spec]
"""The stages above, by their names."""


class Wrong(NamedTuple):
    """Something that cannot be, and where: a path below the place that was looked at."""

    at: Trail
    message: str
    hint: str = ""


def adapter(source: str, spec: Spec, wish: str | None) -> Iterator[Wrong]:
    """What stands against handing on what an earlier stage leaves in the way that is asked for."""
    tuner: Any = spec.method.tuner
    if spec.method.objective.type == "reward":
        message = f"`{source}` trains a reward model, which scores answers and writes none"
        yield Wrong(("stage",), message, "begin with the stage that it begins with")
        return
    left, at = f"`{source}` leaves an adapter ({tuner.type})", ("adapter",)
    if tuner.type in WHOLE:
        if wish:
            message = f"`{source}` trains weights of its own ({tuner.type}) and leaves no adapter"
            yield Wrong(at, message, "leave `adapter` out")
    elif wish is None:
        hint = "adapter: continue, to train it further; adapter: merge, to add it to the base first"
        yield Wrong((), f"{left}: say what becomes of it", hint)
    elif wish == "continue" and tuner.type != "lora":
        hint = "adapter: merge" if tuner.type in MERGED else f"another tuner in `{source}`"
        yield Wrong(at, f"{left}, and only those of lora can be trained further", hint)
    elif wish == "merge" and tuner.type not in MERGED:
        message = f"{left}, and only those of lora are merged in this version of ftspec"
        yield Wrong(at, message, f"another tuner in `{source}`")
    elif wish == "merge":
        beside = ("modules_to_save", "trainable_tokens")
        if found := [name for name in beside if getattr(tuner, name, ())]:
            message = f"`{source}` trains {found[0]} beside its adapter: merging those is not in "
            hint = f"leave `{found[0]}` out there, or adapter: continue"
            yield Wrong(at, f"{message}this version of ftspec", hint)
        if getattr(getattr(tuner, "init", None), "type", None) == "loftq":
            message = f"`{source}` begins with what quantisation took from the weights (loftq), "
            hint = "adapter: continue, or another `init` there"
            yield Wrong(at, f"{message}and whole weights have that already", hint)


def rewards(spec: Spec, above: Specs) -> Iterator[Wrong]:
    """What stands against the stages that rewards name: they train reward models."""
    for number, reward in enumerate(getattr(spec.method.objective, "rewards", ())):
        if reward.stage is None:
            continue
        at: Trail = ("method", "objective", "rewards", number, "stage")
        if reward.stage not in above:
            yield _missing(reward.stage, at, above)
        elif above[reward.stage].method.objective.type != "reward":
            message = f"`{reward.stage}` trains no reward model"
            yield Wrong(at, message, "method: {objective: reward} in that stage")


def models(spec: Spec, above: Specs, names: Collection[str]) -> Iterator[Wrong]:
    """What stands against the stages whose models are a reference or a teacher."""
    for field in MODELS:
        name = getattr(spec.method.objective, field, None)
        if name is not None:
            yield from _model(name, ("method", "objective", field), above, names)


def writing(
    value: Any, stage: str, above: Specs, names: Collection[str]
) -> tuple[Writing | None, list[Wrong]]:
    """What a teacher writes before a stage, and what is wrong with it."""
    try:
        found = Writing.model_validate(value)
    except ValidationError as error:
        return None, list(_invalid(error))
    wrong = []
    if f"{stage}-answers" in names:
        message = f"`{stage}-answers` is what the writing before `{stage}` is called"
        wrong.append(Wrong((), message, f"another name for stage `{stage}-answers`"))
    if found.teacher_stage is not None:
        wrong += _model(found.teacher_stage, ("teacher_stage",), above, names)
    return found, wrong


def _model(name: str, at: Trail, above: Specs, names: Collection[str]) -> Iterator[Wrong]:
    """A stage stands above and leaves a model, whole or once its adapter was added."""
    if name not in above:
        yield _missing(name, at, above)
        return
    whole = above[name].method.tuner.type in WHOLE
    for each in adapter(name, above[name], None if whole else "merge"):
        yield each._replace(at=at)
    if not whole and f"{name}-merged" in names:
        message = f"`{name}-merged` is what the merge of `{name}` is called"
        yield Wrong(at, message, f"another name for stage `{name}-merged`")


def _missing(name: str, at: Trail, above: Specs) -> Wrong:
    known = ", ".join(f"`{each}`" for each in above) or "none"
    return Wrong(at, f"there is no stage `{name}` above this one", f"there are {known}")


EXAMPLE = "write: {teacher: org/model, prompts: prompts.jsonl}"
TEACHERS = "a folder or a hub id; an earlier stage is `teacher_stage: NAME`"


def _invalid(error: ValidationError) -> Iterator[Wrong]:
    from ftspec.spec.names import close  # noqa: PLC0415 - most specs are right

    for each in error.errors():
        message, hint = str(each["msg"]).removeprefix("Value error, "), ""
        if each["type"] == "extra_forbidden":
            message = f"`{each['loc'][-1]}` is no field of `write`"
            near = close(str(each["loc"][-1]), Writing.model_fields)
            fields = ", ".join(Writing.model_fields)
            hint = f"did you mean `{near}`?" if near else f"fields here: {fields}"
        elif each["type"] == "missing":
            message, hint = f"`{each['loc'][-1]}` is missing in `write`", EXAMPLE
        elif each["type"] == "model_type":
            message, hint = "expected a section", EXAMPLE
        elif each["type"] == "string_type":
            hint = EXAMPLE if each["loc"][-1:] != ("teacher",) else TEACHERS
            message = "expected text"
        yield Wrong(each["loc"], message[:1].lower() + message[1:], hint)
