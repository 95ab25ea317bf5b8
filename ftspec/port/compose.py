"""From spec values to a spec that a person would have written, with what is left open marked in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ftspec.emit.plain import one_line
from ftspec.errors import SpecError
from ftspec.plan.batch import micro_batch
from ftspec.plan.resolve import DEFAULT_LEARNING_RATE, DEFAULT_WARMUP_RATIO
from ftspec.port.casting import cast
from ftspec.port.fates import TITLES, Fate
from ftspec.port.held import STAND_INS, checked, unfit
from ftspec.port.holes import holes
from ftspec.port.settle import Settled
from ftspec.port.shared import together
from ftspec.port.verdicts import shown
from ftspec.registry import load
from ftspec.spec.lora import OF_ANY_ADAPTER
from ftspec.spec.online import ONLINE
from ftspec.spec.paths import flatten, leaf_paths, never_nothing, tags
from ftspec.spec.planned import title
from ftspec.spec.root import Spec
from ftspec.spec.secrets import masked
from ftspec.spec.write import lay_out, natural


@dataclass(frozen=True)
class Composed:
    """A spec, and its text."""

    spec: Spec
    """With placeholders where something is open."""
    text: str
    values: Mapping[str, Any]
    """Every value of the source, defaults included, by spec path."""
    open: tuple[str, ...]
    """What a person has to decide before the spec can run."""
    invalid: frozenset[str] = frozenset()
    """Paths whose values are of no kind that a spec takes there, so that they say nothing."""


def compose(parts: Sequence[Settled]) -> Composed:
    """One spec from the parts of a source. Changes the fates of values that a spec cannot hold."""
    values: dict[str, Any] = {}
    conflicts = [*cast(parts), *_conflicts(parts)]
    for part in parts:
        values |= {path: value for path, value in part.spec.items() if path in leaf_paths()}
    values |= _mended(values)
    origins = {path: found for part in parts for path, found in part.origins.items()}
    natives = _natives(parts)
    refused = _nothing_to_evaluate(values) | _held_out_twice(values)
    words = {path: values[path] for path in STAND_INS if _is_foreign(path, values.get(path))}
    chosen = {**_chosen(values, origins), **{path: STAND_INS[path] for path in words}}
    gaps = holes(chosen, (fate for part in parts for fate in part.fates))
    chosen |= {path: value for path, (value, _) in gaps.items()}
    spec, invalid, senseless = checked(chosen, natives)
    refused |= invalid
    refused |= {path: _no_method(word) for path, word in words.items()}
    words |= {path: values[path] for path in STAND_INS if path in invalid}
    for part in parts:
        part.fates[:] = [_judged(fate, refused) for fate in part.fates]
    questions = conflicts + [question for part in parts for question in part.questions]
    lost = [fate for part in parts for fate in part.fates if fate.kind == "unknown"]
    remarks: dict[str, tuple[str, ...]] = {path: (why,) for path, (_, why) in gaps.items()}
    if words:
        remarks["method"] = tuple(f"TODO: {refused[path]}" for path in words)
    for path, comment in _comments(parts, spec):
        remarks[path] = (*remarks.get(path, ()), comment)
    text = lay_out(_with_words(natural(spec), words), remarks) + _rest(lost, questions)
    asked = [why.removeprefix("TODO: ") for _, why in gaps.values()]
    if not all(part.trains for part in parts):
        asked = []  # of what trains nothing there is no model or data to ask for
    open_ = (*asked, *questions)
    return Composed(spec, masked(text), values, tuple(map(masked, open_)), senseless)


def _natives(parts: Sequence[Settled]) -> dict[str, dict[str, Any]]:
    """What is passed through, by backend: an engine's settings also to a trainer that writes its file."""
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        seen = {key: value for key, value in part.native.items() if not unfit(value)}
        for backend in {part.format.backend, parts[0].format.backend} if seen else ():
            if backend == part.format.backend or _writes(backend, part.format.part):
                found.setdefault(backend, {}).update(seen)
    return found


def _writes(backend: str, start: str) -> bool:
    """Whether a backend writes native keys that begin so."""
    maps = load(backend).maps.values()
    return any(key.startswith(start) for fields in maps for row in fields.rows for key in row.keys)


def _conflicts(parts: Sequence[Settled]) -> Iterable[str]:
    """Where two files of a source say different things."""
    for number, part in enumerate(parts):
        for other in parts[number + 1 :]:
            for path in part.origins.keys() & other.spec.keys():
                one, two = part.spec.get(path), other.spec[path]
                if one != two:
                    yield (
                        f"{path}: {shown(one)} in {part.context.document.path.name}, but {shown(two)} by "
                        f"{other.context.document.path.name}, which holds"
                    )
            if other.format.name in ("deepspeed", "accelerate") and part.format.whole:
                yield from _mismatches(part, other)


MATCHED = (
    *("train.micro_batch_size", "train.max_grad_norm", "train.learning_rate", "train.weight_decay"),
    *(
        "train.optimizer.beta1",
        "train.optimizer.beta2",
        "train.optimizer.eps",
        "train.warmup_steps",
    ),
)
"""What transformers holds the engine's numbers to, the trainer's defaults included."""


def _mismatches(trainer: Settled, engine: Settled) -> Iterable[str]:
    """Numbers of the engine that the trainer would stop at (integrations/deepspeed.py, fill_match)."""
    for path in MATCHED:
        if path not in engine.origins or path in trainer.origins or path not in trainer.spec:
            continue
        one, two = trainer.spec[path], engine.spec.get(path)
        if one is None and path == "train.warmup_steps":
            continue  # a share of the steps, which are not counted here
        if one != two:
            yield (
                f"{path}: {shown(two)} in {engine.context.document.path.name}, but the trainer assumes "
                f"{shown(one)}, and transformers stops at that: which of them?"
            )


def _mended(values: Mapping[str, Any]) -> dict[str, Any]:
    """Frameworks take a GPU where there is one: that is what `auto` says."""
    return {"hardware.device": "auto"} if values.get("hardware.device") == "cuda" else {}


def _nothing_to_evaluate(values: dict[str, Any]) -> dict[str, str]:
    evaluated = values.get("data.eval") or values.get("data.eval_size")
    if evaluated or values.get("train.eval_steps") is None:
        return {}
    why = "there is nothing to evaluate on: data.eval is not known"
    plain = {"train.eval_steps": None, "train.keep": "last", "train.early_stopping": None}
    changed = {path: value for path, value in plain.items() if values.get(path, value) != value}
    values.update(changed)
    return dict.fromkeys(changed, why)


def _held_out_twice(values: dict[str, Any]) -> dict[str, str]:
    """Both are not in a spec; the rows that are named stay."""
    if not (values.get("data.eval") and values.get("data.eval_size")):
        return {}
    for path in ("data.eval_size", "data.eval_draw"):
        values.pop(path, None)
    return {"data.eval_size": "rows to evaluate on are named beside it: a spec has one of both"}


def _is_foreign(path: str, word: Any) -> bool:
    return word is not None and (title(word) is not None or word not in tags()[path])


def _no_method(word: Any) -> str:
    meaning = title(word)
    return f"`{word}` ({meaning}) is not in ftspec yet" if meaning else f"`{word}` is not in ftspec"


def _chosen(values: Mapping[str, Any], origins: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a spec leaves out: nothings, and what follows from the rest unless it was asked for."""
    defaults = spec_defaults()
    opened = _opened(values)
    swayed = _swayed(values)
    return {
        path: value
        for path, value in values.items()
        if not (value is None and defaults.get(path) is None and not _said_nothing(path, origins))
        and not (path in swayed and swayed[path] == value)
        and not _brought(path, values)
        and not (path in opened and opened[path] == value and path not in origins)
        and not (path == "train.micro_batch_size" and opened.get(path) == value)
    }


def _said_nothing(path: str, origins: Mapping[str, Any]) -> bool:
    """Whether a setting is null that an objective has no null for: a default would be another value."""
    return path.startswith("method.objective.") and path in origins and path in never_nothing()


def _brought(path: str, values: Mapping[str, Any]) -> bool:
    """Whether a saved adapter says it itself, so that the spec must not."""
    if values.get("method.tuner.adapter") is None or not path.startswith("method.tuner."):
        return False
    return path.split(".")[2] not in OF_ANY_ADAPTER


@cache
def spec_defaults() -> Mapping[str, Any]:
    """What a spec has by path where it says nothing."""
    return flatten(Spec.model_validate({"model": "x", "data": "x.jsonl"}))


def _opened(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `resolve` would make of paths that are left open."""
    processes = (values.get("hardware.devices") or 1) * (values.get("hardware.nodes") or 1)
    processes = max(processes // together(values), 1)
    rank = values.get("method.tuner.rank") or 8
    found: dict[str, Any] = {
        "method.tuner.alpha": 2 * rank if isinstance(rank, int) else None,
        "train.warmup_ratio": DEFAULT_WARMUP_RATIO,
        "train.data_seed": values.get("train.seed"),
    }
    if values.get("train.optimizer.type", "adamw") == "adamw":
        kind = str(values.get("method.tuner.type"))
        found["train.learning_rate"] = DEFAULT_LEARNING_RATE.get(kind)
    if values.get("train.steps") is None:
        found["train.epochs"] = 1.0
    with contextlib.suppress(SpecError, ArithmeticError, TypeError, ValueError):  # no batch at all
        found["train.micro_batch_size"] = micro_batch(values.get("train.batch_size", 16), processes)
    return found


def _swayed(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `resolve` would make of paths whose default depends on the objective (plan/objectives.py).

    How far the model's positions reach, which data.max_length depends on, is not known here. What a
    distillation does to long rows no spec can say, and its default stands in.
    """
    objective = str(values.get("method.objective.type", "sft"))
    overflow = "drop" if objective in (*ONLINE, "reward") else "truncate"
    if objective == "gkd":
        overflow = values.get("data.overflow", overflow)
    return {
        "data.shuffle": values.get("method.objective.loss") != "kto",
        "data.overflow": overflow,
    }


def _judged(fate: Fate, refused: Mapping[str, str]) -> Fate:
    """A fate, changed where a spec cannot hold the value after all."""
    why = next((refused[path] for path in fate.to if path in refused), None)
    if fate.kind == "kept" and (no := unfit(fate.setting.value)):
        why = f"{shown(fate.setting.value)}: {no}"
    return fate if why is None else Fate("unknown", fate.setting, (), why)


def _comments(parts: Sequence[Settled], spec: Spec) -> Iterable[tuple[str, str]]:
    """The source's own comments, and what is only nearly the same, by spec path that is written."""
    defaults, flat = spec_defaults(), flatten(spec)
    for part in parts:
        for fate in part.fates:
            path = next(
                (p for p in fate.remarked if p in flat and flat[p] != defaults.get(p)), None
            )
            if path is None:
                continue
            if fate.kind == "approximated":
                yield path, one_line(f"nearly: {fate.why}")
            elif fate.setting.comment:
                yield path, one_line(fate.setting.comment)


def _with_words(data: dict[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """The spec's data with the source's own word for a method that ftspec has not yet."""
    if not words:
        return data
    method = data.get("method", {})
    full = method if isinstance(method, dict) else {"tuner": method}
    names = {path.split(".")[1]: word for path, word in words.items()}
    both = {"objective": full.get("objective", "sft"), "tuner": full.get("tuner", "lora")} | names
    return {**data, "method": {key: both[key] for key in both if both[key] != "sft"}}


def _rest(lost: Sequence[Fate], questions: Sequence[str]) -> str:
    """What stands in no field: questions, and settings that were not understood."""
    lines = [f"# TODO: {one_line(question)}" for question in questions]
    if lost:
        lines.append(f"# TODO: {TITLES['unknown']}, so not in this spec:")
    for fate in lost:
        setting = fate.setting
        told = f"{setting.at}{setting.key}: {shown(setting.value)}"
        lines.append(f"#   {one_line(told)}  ({one_line(fate.why)})")
    return "\n" + "\n".join(lines) + "\n" if lines else ""
