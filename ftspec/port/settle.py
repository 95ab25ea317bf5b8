"""From a document's settings to spec values, and to the fate of each setting.

The backend's own field map decides: a value is exact if the map lifts it into the spec and lowers it
to the same native value again. So what `compile` learns, `import` knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from ftspec.backend import OBJECTIVE
from ftspec.families.objectives.preference import BARRED
from ftspec.families.trainers import SFT, SIMPO, TRAINERS, of_config
from ftspec.mapping import FieldMap, Lifted, Refuse, Row
from ftspec.port.fates import WORST, Fate, Kind, Setting
from ftspec.port.format import Format
from ftspec.port.rules import Context, Outcome
from ftspec.port.scalars import NotOfType, cast
from ftspec.port.tables import table
from ftspec.registry import load
from ftspec.spec.preference import PREFERENCES
from ftspec.spec.secrets import holds_secret, is_secret, masked

ODD = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What reading a value of an unexpected kind comes to, such as a text where a number stands."""
QUIET = PREFERENCES
"""Objectives whose trainers switch dropout off: reward models' in trl, others' in LLaMA-Factory as well."""


@dataclass
class Settled:
    """What one document comes to."""

    format: Format
    context: Context
    fields: FieldMap
    spec: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, tuple[Setting, ...]] = field(default_factory=dict)
    """Spec path -> the settings that it comes from; none for a default."""
    fates: list[Fate] = field(default_factory=list)
    native: dict[str, Any] = field(default_factory=dict)
    """Settings that are passed through, for the spec's `native` section."""
    files: dict[str, str] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    """Where the framework assumes what a spec cannot say."""
    questions: list[str] = field(default_factory=list)


def settle(form: Format, context: Context) -> Settled:
    """Read one document by the rules of its format."""
    completion, maps = form.complete(context), load(form.backend).maps
    if (objective := str(completion.spec.get(OBJECTIVE))) in maps:
        maps = {objective: maps[objective]}
        form = _of_trainer(form, objective)
    outcomes = [
        (setting, _keyed(_outcome(form, setting, context), form)) for setting in _settings(context)
    ]
    still = _still(objective)
    outcomes = [(setting, _without(outcome, still)) for setting, outcome in outcomes]
    given = {
        form.keyed(key): value
        for key, value in completion.native.items()
        if key.rpartition(".")[2] not in still
    }
    for _, outcome in outcomes:
        given |= outcome.native
    found_by = {}
    for objective, whole in maps.items():
        fields = _part(whole, form.part)
        found_by[objective] = fields, fields.lift(_versioned(given, fields, form, context))
    # as `backend.lift` does: the map whose row of the objective takes it, else the first
    of_it = (pair for name, pair in found_by.items() if pair[1].spec.get(OBJECTIVE) == name)
    fields, lifted = next(of_it, next(iter(found_by.values())))
    asked = [f"line {line}: {text}" for line, text in context.document.foreign]
    found = Settled(form, context, fields, questions=[*completion.questions, *asked])
    values = lifted.spec if form.whole else _told(lifted, fields, given)
    found.spec = {**values, **completion.spec}
    for _, outcome in outcomes:
        found.spec |= outcome.spec
    verdicts = dict(_verdicts(fields, lifted, given, found.spec, context, form))
    sources: dict[str, tuple[Setting, ...]] = {}
    for setting, outcome in outcomes:
        fate = _fate(setting, outcome, verdicts, fields)
        found.fates.append(fate)
        for path in fate.to:
            sources[path] = (*sources.get(path, ()), setting)
        found.files |= outcome.files
        if fate.kind in ("kept", "inert") and not is_secret(setting.key):
            found.native |= _kept(_typed(setting, form, context), outcome, fate, form, context)
    found.origins = sources
    for setting, line in context.document.overwritten():
        found.fates.append(Fate("inert", setting, why=f"set again on line {line}, which holds"))
    said = {key for _, outcome in outcomes for key in outcome.native}
    found.assumed = [*completion.notes]
    found.assumed += [
        f"{setting.place}: {setting.key}: {outcome.why}"
        for setting, outcome in outcomes
        if outcome.loud
    ]
    if form.whole:
        found.assumed += _assumed(lifted, fields, said, form)
    return found


def _of_trainer(form: Format, objective: str) -> Format:
    """The format, whose rules name arguments of the supervised trainer, for that of another objective."""
    trainer = next((one for one in (*TRAINERS, SIMPO) if one.objective == objective), SFT)

    def keyed(key: str) -> str:
        return of_config(trainer, key)

    return replace(form, keyed=keyed, native_key=lambda key: keyed(form.native_key(key)))


def _still(objective: str) -> Mapping[str, str]:
    """Arguments that the trainers of an objective take no notice of, and why."""
    return {"lora_dropout": BARRED["method.tuner.dropout"].reason} if objective in QUIET else {}


def _without(outcome: Outcome, still: Mapping[str, str]) -> Outcome:
    found = still.keys() & {key.rpartition(".")[2] for key in outcome.native}
    return Outcome("inert", why=still[min(found)]) if found else outcome


def _keyed(outcome: Outcome, form: Format) -> Outcome:
    return outcome._replace(native={form.keyed(key): v for key, v in outcome.native.items()})


def _settings(context: Context) -> tuple[Setting, ...]:
    return context.document.settings()


def pattern(key: str) -> str:
    """A key as rules name it: positions in lists left out."""
    return re.sub(r"\[\d+\]", "[]", key)


def _outcome(form: Format, setting: Setting, context: Context) -> Outcome:
    if is_secret(setting.key):
        return Outcome("inert", why="a secret: the environment holds it, ftspec writes none")
    if holds_secret(setting.value):
        return Outcome("unknown", why=UNWRITTEN)
    name = pattern(setting.key)
    rule = form.rules.get(name)
    if rule is None:
        above = [start for start in form.rules if start.endswith(".") and name.startswith(start)]
        rule = form.rules[max(above, key=len)] if above else form.otherwise
    try:
        return rule(_typed(setting, form, context), context)
    except NotOfType as wrong:
        return Outcome("unknown", why=str(wrong))
    except ODD:
        return Outcome("unknown", why="no value that is understood there")


def _typed(setting: Setting, form: Format, context: Context) -> Setting:
    if context.table is None:
        return setting
    names = (
        form.native_key(setting.key),
        setting.key,
        *(f"{one}.{setting.key}" for one in form.classes),
    )
    entry = next((found for name in names if (found := context.table.find(name))), None)
    if entry is None:
        return setting
    value = cast(setting.value, entry[0])
    said = setting.key in context.document.owners  # on a command line, whose words are cast
    if form.casts or said or value == setting.value:
        return setting._replace(value=value)
    raise NotOfType(
        f"{setting.value!r} is text, and {form.title} takes it as it stands: no number, and where it asks "
        "for yes or no, any text is yes"
    )


def _part(fields: FieldMap, start: str) -> FieldMap:
    """The rows that a format has a say in, made to refuse values of a kind that they do not expect.

    A compiled file never has one, a file that people wrote may.
    """
    rows = [row for row in fields.rows if not start or _within(row, start)]
    return FieldMap(
        fields.backend,
        [
            replace(row, lift=_guarded(row.lift, row.keys), lower=_guarded(row.lower, row.paths))
            for row in rows
        ],
    )


def _within(row: Row, start: str) -> bool:
    return bool(row.keys) and all(key.startswith(start) for key in row.keys)


def _guarded(translate: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    def guarded(*values: Any) -> Any:
        try:
            return translate(*values)
        except ODD as error:
            pairs = zip(names, values, strict=False)
            told = ", ".join(f"{name}: {shown(value)}" for name, value in pairs)
            raise Refuse(f"{told} is no value that is understood there") from error

    return guarded


UNWRITTEN = "it has the form of a secret, and ftspec writes none"
OLDER = {"adamw_torch": "adamw_torch_fused"}
"""Defaults of older versions that are the same mathematics as today's."""


def _newer(value: Any) -> Any:
    return OLDER.get(value, value) if isinstance(value, str) else value


def _versioned(
    given: Mapping[str, Any], fields: FieldMap, form: Format, context: Context
) -> dict[str, Any]:
    """With the defaults of the source's version, where the rows were checked against another."""
    if context.table is None or not form.package:
        return dict(given)
    newest = table(form.package)
    if context.table.version == newest.version:
        return dict(given)
    other = {
        key: OLDER.get(str(entry[1]), entry[1])
        for key in fields.keys()  # noqa: SIM118 - a method
        if (entry := context.table.find(key)) and (known := newest.find(key)) != entry
        # types are spelt otherwise in each version; null trackers are those that are installed
        if entry[1] is not None and (known is None or known[1] != entry[1])
    }
    return {**other, **given}


def _told(lifted: Lifted, fields: FieldMap, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a companion says itself: what it leaves out is another file's to say."""
    rows = [row for row in fields.rows if given.keys() & set(row.keys)]
    paths = {path for row in rows for path in row.paths}
    return {path: value for path, value in lifted.spec.items() if path in paths}


def _rows(fields: FieldMap, key: str) -> Iterator[Row]:
    return (row for row in fields.rows if key in row.keys)


def _verdicts(
    fields: FieldMap,
    lifted: Lifted,
    given: Mapping[str, Any],
    spec: Mapping[str, Any],
    context: Context,
    form: Format,
) -> Iterator[tuple[str, tuple[Kind, str]]]:
    """What the map makes of each native key that was given, where that is not simply the same."""
    refused = {
        key: refusal.reason
        for refusal in lifted.refusals
        for row in _rows(fields, refusal.path)
        if row.keys[0] == refusal.path
        for key in row.keys
    }
    lowered = fields.lower({**spec, **derived(spec)})
    again = lowered.native
    impossible = {refusal.path: refusal.reason for refusal in lowered.refusals}
    for key, value in given.items():
        if key in refused:
            why = _accepted(form, key)
            yield key, ("inert", why) if why else ("unknown", refused[key])
        elif key in lifted.inert:
            yield key, ("inert", "it means something for another tuner, optimizer or schedule only")
        elif key in lifted.unknown:
            yield key, _unmapped(key, value, context, form)
        elif key in again and not same(_newer(again[key]), _newer(value)):
            why = _accepted(form, key)
            nearly = f"{shown(value)} becomes {shown(again[key])}"
            yield key, ("inert", why) if why else ("approximated", nearly)
        elif key not in again and any(row.paths for row in _rows(fields, key)):
            idle = form.idle.get(key.rpartition(".")[2])
            paths = [path for row in _rows(fields, key) for path in row.paths]
            why = next((impossible[path] for path in paths if path in impossible), "")
            nearly = why or "ftspec leaves it out"
            yield key, ("inert", idle) if idle and not why else ("approximated", nearly)


def _accepted(form: Format, key: str) -> str | None:
    return form.accepted.get(key.rpartition(".")[2])


def _unmapped(key: str, value: Any, context: Context, form: Format) -> tuple[Kind, str]:
    entry = context.table.find(key) if context.table else None
    if entry is None:
        own = context.table is not None and form.package in ("", form.backend)
        version = f" {context.table.version}" if own and context.table else ""
        return "unknown", f"{form.title}{version} has no such setting{form.stops}"
    if same(entry[1], value):
        return "inert", f"what {form.title} assumes anyway"
    return "kept", f"only {form.title} has it"


def _fate(
    setting: Setting, outcome: Outcome, verdicts: Mapping[str, tuple[Kind, str]], fields: FieldMap
) -> Fate:
    """The worst of what became of its native keys, or what its rule says."""
    kind, why = outcome.kind, outcome.why
    found = [verdicts.get(key, (outcome.kind, outcome.why)) for key in outcome.native]
    if found:
        kind, why = min(found, key=lambda one: WORST.index(one[0]))
    paths = [*outcome.spec, *outcome.of]
    if kind in ("exact", "renamed", "derived", "approximated"):
        paths += [
            path for key in outcome.native for row in _rows(fields, key) for path in row.paths
        ]
    return Fate(kind, setting, tuple(dict.fromkeys(paths)), why)


def _kept(
    setting: Setting,
    outcome: Outcome,
    fate: Fate,
    form: Format,
    context: Context,
) -> dict[str, Any]:
    """What goes on to its own framework: kept settings, and inert ones that are not its defaults."""
    if not form.keeps or any(map(_is_no_number, (setting.value, *outcome.native.values()))):
        return {}
    if fate.kind == "kept":
        return dict(outcome.native)
    key = form.native_key(setting.key)
    entry = context.table.find(key) if context.table else None
    if fate.kind != "inert" or entry is None or same(entry[1], setting.value):
        return {}
    if is_secret(setting.key) or setting.key in form.own:
        return {}
    return {} if _is_mapped(key, form) else {key: setting.value}


def _is_mapped(key: str, form: Format) -> bool:
    """Whether a row of any objective writes the key: the `native` section may not have it then."""
    maps = load(form.backend).maps.values()
    return any(key in row.keys for fields in maps for row in fields.rows)


def _is_no_number(value: Any) -> bool:
    """Infinities and NaN, which JSON has not, and so no spec."""
    return isinstance(value, float) and not isfinite(value)


def _assumed(lifted: Lifted, fields: FieldMap, said: Set[str], form: Format) -> Iterator[str]:
    """Refusals of what nobody wrote: the framework assumes something that a spec cannot say."""
    for refusal in lifted.refusals:
        rows = [row for row in _rows(fields, refusal.path) if row.keys[0] == refusal.path]
        keys = [key for row in rows for key in row.keys]
        if not set(keys) & said and not _accepted(form, refusal.path):
            yield f"what {form.title} does where nothing is said: {refusal.reason}"


def derived(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What rows use beside the spec's own values, as `resolve` would make it; nothing is looked up."""
    processes = (spec.get("hardware.devices") or 1) * (spec.get("hardware.nodes") or 1)
    batch, micro = spec.get("train.batch_size"), spec.get("train.micro_batch_size")
    steps = batch // (micro * processes) if batch and micro else 1
    return {
        "data.train": _formatted(spec.get("data.train")),
        "data.eval": _formatted(spec.get("data.eval")),
        "derived.processes": processes,
        "derived.replicas": processes // (spec.get("hardware.sequence_parallel") or 1),
        "derived.accumulation_steps": max(steps, 1),
        "derived.stored_dtype": None,
        "derived.train_rows": "data/train",
        "derived.eval_rows": "data/eval",
    }


def _formatted(sources: Any) -> tuple[Any, ...]:
    """Sources of some format, where theirs is not known: rows refuse to do without."""
    return tuple(
        {**one, "format": "messages"} if one["format"] == "auto" else one for one in sources or ()
    )


def same(one: Any, other: Any) -> bool:
    """Whether two native values mean the same.

    A list, a tuple and a bare item may; 3 and 3.0 do; 1 and true do not. ``one``, which ftspec writes,
    may say more than ``other``: a section's defaults.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return all(key in one and same(one[key], value) for key, value in other.items())
    if isinstance(one, list | tuple) and len(one) == 1 and isinstance(other, str):
        return bool(one[0] == other)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def shown(value: Any) -> str:
    """A value in a message."""
    text = "null" if value is None else masked(str(value))
    if isinstance(value, bool):
        text = text.lower()
    return text if len(text) <= 60 else f"{text[:57]}..."
