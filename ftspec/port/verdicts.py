"""What the field map of a backend makes of a native key: the same again, nearly so, or nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Set
from typing import Any

from ftspec.mapping import FieldMap, Lifted, Row
from ftspec.port.fates import WORST, Fate, Kind, Setting
from ftspec.port.format import Format
from ftspec.port.rules import Context, Outcome
from ftspec.port.shared import together
from ftspec.port.tables import Table
from ftspec.spec.secrets import masked

SLIP, LETTERS = 0.86, 2
"""How much of a name has to be there for it to be a slip of that name, and how many letters it may lack."""
OLDER = {"adamw_torch": "adamw_torch_fused"}
"""Defaults of older versions that are the same mathematics as today's."""


def newer(value: Any) -> Any:
    """Today's name of what an older version assumes, where it is the same."""
    return OLDER.get(value, value) if isinstance(value, str) else value


def rows_of(fields: FieldMap, key: str) -> Iterator[Row]:
    """The rows that a native key belongs to."""
    return (row for row in fields.rows if key in row.keys)


def verdicts(
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
        for row in rows_of(fields, refusal.path)
        if row.keys[0] == refusal.path
        for key in row.keys
    }
    lowered = fields.lower({**spec, **derived(spec, context.sharing)})
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
        elif key in again and not same(newer(again[key]), newer(value)):
            why = _accepted(form, key)
            nearly = f"{shown(value)} becomes {shown(again[key])}"
            yield key, ("inert", why) if why else ("approximated", nearly)
        elif key not in again and any(row.paths for row in rows_of(fields, key)):
            idle = form.idle.get(key.rpartition(".")[2])
            paths = [path for row in rows_of(fields, key) for path in row.paths]
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
        meant = _meant(key, context.table, form) if own and context.table else ""
        return "unknown", f"{form.title}{version} has no such setting{form.stops}{meant}"
    if same(entry[1], value):
        return "inert", f"what {form.title} assumes anyway"
    return "kept", f"only {form.title} has it"


def _meant(key: str, table: Table, form: Format) -> str:
    """The setting of this trainer's that a slip was probably meant to be; what others have is none."""
    own, _, slip = key.rpartition(".")
    known = {name for call in table.calls.values() for name in call} | form.gone
    if slip in known:
        return ""
    names = sorted({name for call in (own, *form.classes) for name in table.calls.get(call, ())})
    alike = [name for name in names if abs(len(name) - len(slip)) <= LETTERS]
    near = difflib.get_close_matches(slip, alike, n=1, cutoff=SLIP)
    return f"; did you mean `{near[0]}`?" if near else ""


def fate_of(
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
            path for key in outcome.native for row in rows_of(fields, key) for path in row.paths
        ]
    return Fate(kind, setting, tuple(dict.fromkeys(paths)), why)


def assumed(lifted: Lifted, fields: FieldMap, said: Set[str], form: Format) -> Iterator[str]:
    """Refusals of what nobody wrote: the framework assumes something that a spec cannot say."""
    for refusal in lifted.refusals:
        rows = [row for row in rows_of(fields, refusal.path) if row.keys[0] == refusal.path]
        keys = [key for row in rows for key in row.keys]
        if not set(keys) & said and not _accepted(form, refusal.path):
            yield f"what {form.title} does where nothing is said: {refusal.reason}"


def derived(spec: Mapping[str, Any], sharing: int = 1) -> dict[str, Any]:
    """What rows use beside the spec's own values, as `resolve` would make it; nothing is looked up.

    ``sharing`` is how many devices another file makes one in the batch.
    """
    processes = (spec.get("hardware.devices") or 1) * (spec.get("hardware.nodes") or 1)
    replicas = max(processes // max(together(spec), sharing), 1)
    batch, micro = spec.get("train.batch_size"), spec.get("train.micro_batch_size")
    steps = batch // (micro * replicas) if batch and micro else 1
    return {
        "data.train": _formatted(spec.get("data.train")),
        "data.eval": _formatted(spec.get("data.eval")),
        "derived.processes": processes,
        "derived.replicas": replicas,
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
