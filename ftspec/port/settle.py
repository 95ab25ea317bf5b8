"""From a document's settings to spec values, and to the fate of each setting.

The backend's own field map decides: a value is exact if the map lifts it into the spec and lowers it
to the same native value again. So what `compile` learns, `import` knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import isfinite
from typing import Any

from ftspec.backend import OBJECTIVE, lift_by
from ftspec.families.objectives.preference import BARRED
from ftspec.families.trainers import OF_THE_OBJECTIVE, SFT, SIMPO, TRAINERS, of_config
from ftspec.mapping import FieldMap, Lifted, Refuse, Row
from ftspec.port.arguments import asking
from ftspec.port.fates import Fate, Setting
from ftspec.port.format import Format
from ftspec.port.rules import Context, Outcome
from ftspec.port.scalars import NotOfType, cast
from ftspec.port.tables import table
from ftspec.port.verdicts import OLDER, assumed, fate_of, rows_of, same, shown, verdicts
from ftspec.registry import load
from ftspec.spec.method import OBJECTIVES
from ftspec.spec.preference import PREFERENCES
from ftspec.spec.scalars import TOO_LARGE
from ftspec.spec.secrets import holds_secret, is_secret

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
    left_open: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Questions about arguments whose values only the shell knows and their paths: no default holds."""
    trains: bool = True
    decided: frozenset[str] = frozenset()
    """Native keys whose value is another than the default of the version, though no setting says so."""
    """Whether it is for a training at all."""


def settle(form: Format, context: Context) -> Settled:
    """Read one document by the rules of its format."""
    completion, maps = form.complete(context), load(form.backend).maps
    objective = str(completion.spec.get(OBJECTIVE))
    if form.lender and objective not in maps:
        maps = load(form.lender).maps
    if objective in maps:
        maps = {objective: maps[objective]}
        form = _of_trainer(form, objective)
    own = objective in OBJECTIVES and objective not in maps
    maps = {"sft": maps["sft"]} if own and "sft" in maps else maps
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
    fields, lifted = lift_by(
        ((name, _part(whole, form.part)) for name, whole in maps.items()),
        lambda fields: _versioned(given, fields, form, context),
    )
    texts = [(line, _untitled(text, context)) for line, text in context.document.foreign]
    asked = [f"{context.document.at(line)}: {text}" for line, text in texts]
    found = Settled(form, context, fields, questions=[*completion.questions, *asked])
    found.left_open = {
        question: _part_of(key, form, context, fields)
        for question, (_, text) in zip(asked, texts, strict=True)
        if (key := asking(text))
    }
    found.trains = completion.trains
    found.decided = _decided(completion.native, context)
    values: Mapping[str, Any] = lifted.spec if form.whole else _told(lifted, fields, given)
    if own:  # the supervised map lends what is not the objective's, whose values are all said
        values = {path: v for path, v in values.items() if not path.startswith(OF_THE_OBJECTIVE)}
    found.spec = {**values, **completion.spec}
    for _, outcome in outcomes:
        found.spec |= outcome.spec
    judged = dict(verdicts(fields, lifted, given, found.spec, context, form))
    sources: dict[str, tuple[Setting, ...]] = {}
    for setting, outcome in outcomes:
        fate = fate_of(setting, outcome, judged, fields)
        if fate.kind == "kept" and _is_no_number(setting.value):
            fate = fate._replace(kind="unknown", why="no number that a spec can hold")
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
    found.assumed = [*completion.notes, *context.document.notes]
    found.assumed += [
        f"{setting.place}: {setting.key}: {outcome.why}"
        for setting, outcome in outcomes
        if outcome.loud
    ]
    if form.whole:
        found.assumed += assumed(lifted, fields, said, form)
    return found


def _untitled(text: str, context: Context) -> str:
    """A question without the name of the file that it is asked of."""
    return text.removeprefix(f"{context.document.path.name}: ")


def _part_of(key: str, form: Format, context: Context, fields: FieldMap) -> frozenset[str]:
    """Paths that an argument has a part in, as its rule says of a number."""
    outcome = _keyed(_outcome(form, Setting(key, 1, "", 0), context), form)
    own = {form.keyed(form.native_key(key)), *outcome.native}
    rows = {path for one in own for row in rows_of(fields, one) for path in row.paths}
    return frozenset((*rows, *outcome.spec, *outcome.of))


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
    if setting.key.startswith("'") and form.rules:
        return Outcome("unknown", why=UNNESTED.format(form.title))
    outcome = _ruled(form, setting, context)
    return outcome if outcome.kind == "inert" else _null(form, setting, context) or outcome


def _ruled(form: Format, setting: Setting, context: Context) -> Outcome:
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


def _decided(native: Mapping[str, Any], context: Context) -> frozenset[str]:
    """Native keys that the whole gives a number which is not this version's default, as an older one has."""
    entries = {key: context.table.find(key) for key in native} if context.table else {}
    return frozenset(
        key
        for key, entry in entries.items()
        if entry and isinstance(entry[1], int | float) and native[key] != entry[1]
    )


def _null(form: Format, setting: Setting, context: Context) -> Outcome | None:
    """What a null is to a framework that takes values as they stand, where its class of arguments tells."""
    entry = context.table.find(setting.key) if context.table else None
    if form.casts or setting.value is not None or entry is None:
        return None
    declared, default = entry
    if default is None:
        return Outcome("inert", why="what a missing key means as well")
    if declared in ("int", "float") and setting.key not in form.nothing:
        return Outcome("unknown", why=f"null, where {form.title} counts with a number")
    return None


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


@cache
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


UNNESTED = (
    "a key with a dot in it, which {} takes for no section: write the section, and its key below"
)
UNWRITTEN = "it has the form of a secret, and ftspec writes none"


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
    if fate.kind == "kept" or outcome.passed:
        return {**outcome.native, **outcome.passed}
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
    """Infinities and NaN, which JSON has not, and so no spec; whole numbers that no spec may hold."""
    if isinstance(value, int):
        return abs(value) >= TOO_LARGE
    return isinstance(value, float) and not isfinite(value)
