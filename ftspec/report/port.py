"""What became of each setting of a source, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from ftspec.port.bring import Imported
from ftspec.port.compare import Difference, prepared
from ftspec.port.effective import Effect, Meaning
from ftspec.port.fates import TITLES, Fate, Kind
from ftspec.port.unsaid import asked, assumed, is_of_trainer, nearly, pending
from ftspec.spec.paths import sections
from ftspec.spec.secrets import is_secret, masked

ORDER: tuple[Kind, ...] = (
    "unknown",
    "kept",
    "approximated",
    "inert",
    "derived",
    "renamed",
    "exact",
)


def lines(imported: Imported, all_of_them: bool = False) -> Iterator[str]:
    """The report: what is not the same first, each with its place; then the numbers."""
    for kind in ORDER:
        fates = [fate for fate in imported.fates if fate.kind == kind]
        if fates and (all_of_them or not fates[0].faithful):
            yield f"{TITLES[kind]}:"
            yield from (f"  {_line(fate)}" for fate in fates)
    for question in imported.composed.open:
        yield f"to decide: {question}"
    for name in imported.files:
        yield f"note: -o writes {name} beside the spec as well"
    for note in imported.notes:
        yield f"note: {note}"
    total = len(imported.fates)
    counted = ", ".join(f"{number} {TITLES[kind]}" for kind, number in _counted(imported))
    yield f"{total} settings: {counted}" if total else "no settings"


def _counted(imported: Imported) -> list[tuple[Kind, int]]:
    counts = imported.counts
    return [(kind, counts[kind]) for kind in reversed(ORDER) if kind in counts]


def _line(fate: Fate) -> str:
    to = f" -> {', '.join(fate.to)}" if fate.to else ""
    why = f"  ({fate.why})" if fate.why else ""
    return f"{fate.setting.place}: {fate.setting.key}: {_shown(fate)}{to}{why}"


def _shown(fate: Fate) -> str:
    text = "***" if is_secret(fate.setting.key) else masked(repr(fate.setting.value))
    return text if len(text) <= 50 else f"{text[:47]}..."


def as_json(imported: Imported) -> dict[str, Any]:
    """The same as data."""
    return {
        "format": [part.format.name for part in imported.parts],
        "spec": imported.composed.text,
        "counts": dict(_counted(imported)),
        "faithful": imported.faithful,
        "open": list(imported.composed.open),
        "notes": list(imported.notes),
        "files": dict(imported.files),
        "fates": _told(imported.fates),
    }


def _told(fates: Sequence[Fate]) -> list[dict[str, Any]]:
    return [
        {
            "fate": fate.kind,
            "key": fate.setting.key,
            "value": None if is_secret(fate.setting.key) else fate.setting.value,
            "file": fate.setting.file,
            "line": fate.setting.line,
            **({"cell": fate.setting.cell} if fate.setting.cell else {}),
            "to": list(fate.to),
            "why": fate.why,
        }
        for fate in fates
    ]


def explained(found: Meaning) -> Iterator[str]:
    """Each value with its origin, section by section; then what no value says.

    Lines of the first file stand without its name, and a part of which nothing is set is one line.
    """
    yield f"{found.name}:"
    shown = list(_whole_parts(found.effects))
    width = max((len(effect.path) for effect in shown), default=0)
    for _, section in groupby(shown, key=lambda effect: effect.path.partition(".")[0]):
        yield ""
        for effect in section:
            origin = effect.origin.replace(f"{found.name}:", "line ")
            rows = effect.value if _is_table(effect.value) else ()
            head = f"{len(rows)}, each below" if rows else _value(effect.value)
            yield f"  {effect.path:{width}}  {head:24}  {origin}"
            yield from (f"    - {_value(row)}" for row in rows)
    yield ""
    if found.launch:
        yield "note: it says how a training is launched; the rest is said by the trainer's own config"
    if found.imported is not None:
        yield from lines(_of_its_own(found, found.imported))
    elif found.lost:
        yield f"{TITLES['unknown']}:"
        yield from (f"  {_line(fate)}" for fate in found.lost)


def _of_its_own(found: Meaning, imported: Imported) -> Imported:
    """Without what a launcher's file leaves to the trainer: which model, which data."""
    left = tuple(one for one in imported.composed.open if not (found.launch and is_of_trainer(one)))
    return replace(imported, composed=replace(imported.composed, open=left))


def _whole_parts(effects: Sequence[Effect]) -> Iterator[Effect]:
    """The values; `model.rope: null` in the place of all that would say more of it."""
    some = {
        prefix for effect in effects if effect.value is not None for prefix in sections(effect.path)
    }
    last = ""
    for effect in effects:
        inside = [prefix for prefix in sections(effect.path)[1:] if prefix not in some]
        path = inside[0] if inside else effect.path
        if path != last:
            yield effect._replace(path=path)
        last = path


def _is_table(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 1 and isinstance(value[0], dict)


def effects_as_json(found: Meaning) -> dict[str, Any]:
    """The same as data."""
    effects = [
        {"path": one.path, "value": one.value, "origin": one.origin} for one in found.effects
    ]
    lost = {"fates": _told(found.lost)} if found.lost else {}
    more = as_json(_of_its_own(found, found.imported)) if found.imported else lost
    return {"values": effects, **more}


_HEADS = {
    "training": "changes what is trained:",
    "rounding": "the same mathematics, rounded otherwise:",
    "around": "memory, speed, or what is kept; not what is trained:",
}


def same(left: Meaning, right: Meaning, found: Sequence[Difference], rest: Sequence[str]) -> bool:
    """Whether all that both tell is the same, and there is some, and nothing that trains is left open."""
    matters = any(one.weight != "around" for one in found)
    return not (matters or rest or pending(left, right)) and _comparable(left, right)


def _comparable(left: Meaning, right: Meaning) -> bool:
    return not (left.partial or right.partial) or bool(_of_both(left, right))


NAMING = ("path", "hub")
"""What tells a source of data from others."""


def told(
    left: Meaning, right: Meaning, found: Sequence[Difference], rest: Sequence[str]
) -> Iterator[str]:
    """The verdict first, then the differences by weight."""
    yield f"{left.name} and {right.name}{_verdict(left, right, found, rest)}"
    for weight, head in _HEADS.items():
        group = [one for one in found if one.weight == weight]
        if group:
            yield head
        for one in group:
            words = f"  ({one.words})" if one.words else ""
            first, second = map(_value, _apart(one.one, one.other))
            yield f"  {one.path}: {first} against {second}{words}"
    if prepared(left, right):
        yield "not compared: which rows train, and which of their tokens: one side has them prepared"
    if rest:
        yield "cannot be compared, and stands in one of them alone:"
        yield from (f"  {line}" for line in rest)
    for head, more in (
        ("only nearly what is compared, in one of them alone:", nearly(left, right)),
        ("left open:", asked(left, right)),
    ):
        if more:
            yield head
            yield from (f"  {line}" for line in more)
    yield from (f"note: {line}" for line in assumed(left, right))


def _verdict(
    left: Meaning, right: Meaning, found: Sequence[Difference], rest: Sequence[str]
) -> str:
    if rest or any(one.weight != "around" for one in found):
        return " do not train the same"
    if not _comparable(left, right):
        return ": nothing that both tell can be compared"
    some = f", as far as {_tell(left, right)}" if left.partial or right.partial else ""
    return f" train the same{some}{', unless what is left open differs' * pending(left, right)}"


MANY = 8
"""Values that a verdict names one by one."""


def _tell(left: Meaning, right: Meaning) -> str:
    """`out/README.md tells (model.name)`: what of a side that tells a part the other one has too."""
    sides = [side for side in (left, right) if side.partial]
    both = _of_both(left, right)
    names = " and ".join(side.name for side in sides)
    shown = ", ".join(both) if len(both) <= MANY else f"{len(both)} values"
    return f"{names} {'tells' if len(sides) == 1 else 'tell'} ({shown})"


def _of_both(left: Meaning, right: Meaning) -> list[str]:
    """Paths that have a value on both sides."""
    told = [path for path, value in left.values.items() if value is not None]
    return [path for path in told if right.values.get(path) is not None]


def differences_as_json(
    left: Meaning, right: Meaning, found: Sequence[Difference], rest: Sequence[str]
) -> dict[str, Any]:
    """The same as data."""
    return {
        "one": left.name,
        "other": right.name,
        "same": same(left, right, found, rest),
        "differences": [line._asdict() for line in found],
        "not_compared": list(rest),
        "partial": [side.name for side in (left, right) if side.partial],
        "nearly": list(nearly(left, right)),
        "open": list(asked(left, right)),
        "notes": list(assumed(left, right)),
    }


def _apart(one: Any, other: Any) -> tuple[Any, Any]:
    """Of as many sources on both sides what they differ in, and their names."""
    sources = isinstance(one, list | tuple) and isinstance(other, list | tuple)
    if (
        not sources
        or len(one) != len(other)
        or not all(isinstance(at, dict) for at in (*one, *other))
    ):
        return one, other
    pairs = [(first, second) for first, second in zip(one, other, strict=True) if first != second]
    sides: tuple[list[Any], list[Any]] = ([], [])
    for first, second in pairs:
        told = [
            key for key in (*first, *second) if key in NAMING or first.get(key) != second.get(key)
        ]
        for side, source in zip(sides, (first, second), strict=True):
            side.append({key: source.get(key) for key in dict.fromkeys(told)})
    return sides


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        inner = (
            f"{key}: {_value(item)}"
            for key, item in value.items()
            if item not in (None, {}, [], ())
        )
        return "{" + ", ".join(inner) + "}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value).replace("\n", "\\n")
