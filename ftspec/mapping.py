"""One table per backend, read both ways: down from spec values to native values, up to import them.

A row says which spec paths it answers for, which native keys they become, and how. What a row cannot
express it refuses, with a reason; what no row answers for is refused as well. Nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from itertools import combinations
from typing import Any, Literal, NamedTuple

Flat = Mapping[str, Any]
"""Dotted name -> plain value (None, bool, int, float, str, tuple, dict of these)."""

Support = Literal["full", "lossy", "never", "notyet", "notimpl"]
"""never: makes no sense there. notyet: the framework cannot. notimpl: it could, ftspec does not yet."""

MISSING: Any = type(
    "Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False}
)()
"""What a framework assumes without the key is not known, or the key is required."""


class Refuse(Exception):  # noqa: N818 - control flow between a row and its map, not an error of ours
    """Raised by a row's functions: this value has no equal in the backend."""

    def __init__(self, reason: str, support: Support = "notyet", hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.support, self.hint = reason, support, hint


class Lossy(NamedTuple):
    """Returned by a row's `lower` in place of the values: close, but not the same."""

    values: Any
    reason: str


class Refusal(NamedTuple):
    """A spec value that the backend cannot express."""

    path: str
    value: Any
    reason: str
    support: Support
    hint: str = ""


class Note(NamedTuple):
    """A spec value that the backend expresses only nearly."""

    path: str
    reason: str


class When(NamedTuple):
    """The variants of a tagged union that a row holds for: ``path`` is the tag's."""

    path: str
    tags: frozenset[str]

    def apart(self, other: When | None) -> bool:
        """Whether no spec can have both."""
        return other is not None and self.path == other.path and not self.tags & other.tags


@dataclass(frozen=True)
class Row:
    """One fact: these spec paths are those native keys.

    ``lower`` takes the values of ``paths`` and then of ``uses``, and returns the values of ``keys``
    (bare for one key, a tuple for several; MISSING leaves a key out). ``lift`` takes the values of
    ``keys`` and then of ``reads``, and returns the values of ``paths``. With ``when``, the row holds
    for some variants only; other rows may then answer for the same paths and keys in the others.
    """

    paths: tuple[str, ...]
    keys: tuple[str, ...]
    lower: Callable[..., Any]
    lift: Callable[..., Any]
    uses: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    absent: tuple[Any, ...] = ()
    support: Support = "full"
    reason: str = ""
    when: When | None = None


def only(path: str, tags: Iterable[str] | str, *rows: Row) -> tuple[Row, ...]:
    """``rows`` for these variants of a tagged union alone, such as one kind of tuner.

    The row that lifts the tag itself must stand before them in the map.
    """
    when = When(path, frozenset((tags,) if isinstance(tags, str) else tags))
    return tuple(replace(row, when=when) for row in rows)


def identity(value: Any) -> Any:
    """The value itself."""
    return value


def negate(value: bool) -> bool:
    """The opposite."""
    return not value


def field(
    path: str,
    key: str,
    lower: Callable[[Any], Any] = identity,
    lift: Callable[[Any], Any] | None = None,
    absent: Any = MISSING,
) -> Row:
    """One path, one key. An involution such as `negate` needs no `lift`."""
    return Row((path,), (key,), lower, lift or lower, absent=(absent,))


def choice(
    path: str,
    key: str,
    names: Mapping[Any, Any],
    absent: Any = MISSING,
    otherwise: str = "",
    hint: str = "",
) -> Row:
    """One path, one key, a closed list of values; others are refused with the reason `otherwise`."""
    back = {native: ours for ours, native in names.items()}

    def lower(value: Any) -> Any:
        if value not in names:
            raise Refuse(otherwise or f"{value!r} has no equal there", hint=hint)
        return names[value]

    def lift(native: Any) -> Any:
        if native not in back:
            raise Refuse(f"{key}={native!r} has no equal in a spec")
        return back[native]

    return Row((path,), (key,), lower, lift, absent=(absent,), reason=otherwise)


def constant(key: str, value: Any, reason: str, absent: Any = MISSING) -> Row:
    """A native key that always has this value, because no spec value means anything else."""

    def lift(native: Any) -> tuple[()]:
        if native != value:
            raise Refuse(f"{key}={native!r}: {reason}")
        return ()

    return Row((), (key,), lambda: value, lift, absent=(absent,), reason=reason)


def unsupported(
    path: str,
    reason: str,
    support: Support = "notyet",
    neutral: Sequence[Any] = (None,),
    hint: str = "",
) -> Row:
    """A path the backend cannot express; only its `neutral` values (first: what is lifted) pass."""

    def lower(value: Any) -> tuple[()]:
        if value not in neutral:
            raise Refuse(reason, support, hint)
        return ()

    return Row((path,), (), lower, lambda: neutral[0], support=support, reason=reason)


def ours(*paths: str) -> tuple[Row, ...]:
    """Paths that ftspec itself answers for: they are not in the native files."""
    return tuple(Row((path,), (), lambda _value: (), lambda: MISSING) for path in paths)


def _many(values: Any, count: int) -> tuple[Any, ...]:
    if count == 1:
        return (values,)
    if not isinstance(values, tuple) or len(values) != count:
        raise TypeError(f"a row promised {count} values and gave {values!r}")
    return values


@dataclass(frozen=True)
class Lowered:
    """What became of a spec: native values, and all that is not exactly the same."""

    native: dict[str, Any]
    refusals: tuple[Refusal, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Lifted:
    """What became of native values: spec values, keys no row knows, and values that have no equal.

    ``inert`` are keys that mean something for other variants only, such as a rank where all weights
    train.
    """

    spec: dict[str, Any]
    unknown: dict[str, Any]
    refusals: tuple[Refusal, ...]
    inert: dict[str, Any] = dataclass_field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FieldMap:
    """All rows of a backend for one objective. Each is equal to itself alone: rows hold functions."""

    backend: str
    rows: tuple[Row, ...]
    by_path: dict[str, tuple[Row, ...]] = dataclass_field(init=False, repr=False)

    def __init__(self, backend: str, rows: Iterable[Row | Iterable[Row]]) -> None:
        flat = tuple(
            row for item in rows for row in ((item,) if isinstance(item, Row) else tuple(item))
        )
        object.__setattr__(self, "backend", backend)
        object.__setattr__(self, "rows", flat)
        paths = _gathered((path, row) for row in flat for path in row.paths)
        keys = _gathered((key, row) for row in flat for key in row.keys)
        doubled = [
            f"the {kind} {name}"
            for kind, found in (("path", paths), ("key", keys))
            for name, rows_of in found.items()
            if not _exclusive(rows_of)
        ]
        if doubled:
            raise ValueError(f"{backend}: two rows for {', '.join(sorted(doubled))}")
        object.__setattr__(self, "by_path", paths)

    def keys(self) -> tuple[str, ...]:
        """Every native key that a row writes or reads."""
        return tuple(dict.fromkeys(key for row in self.rows for key in row.keys))

    def lower(self, spec: Flat) -> Lowered:
        """Spec values (resolved: no default left open) -> native values. Collects every refusal."""
        native: dict[str, Any] = {}
        holding = [row for row in self.rows if holds(row, spec)]
        answered = {path for row in holding for path in row.paths}
        unanswered = f"no rule of the {self.backend} backend answers for this field"
        refusals = [
            Refusal(path, value, unanswered, "notimpl")
            for path, value in spec.items()
            if path not in answered and not path.startswith("derived.")
        ]
        notes: list[Note] = []
        for row in holding:
            if (found := lower_row(row, spec)) is None:
                continue
            values, odd = found
            if isinstance(odd, Refusal):
                refusals.append(odd)
                continue
            if odd is not None:
                notes.append(odd)
            if row.keys:
                pairs = zip(row.keys, _many(values, len(row.keys)), strict=True)
                native.update({key: value for key, value in pairs if value is not MISSING})
        return Lowered(native, tuple(refusals), tuple(notes))

    def lift(self, native: Flat) -> Lifted:
        """Native values -> spec values. A missing key means what the framework assumes without it."""
        spec: dict[str, Any] = {}
        refusals: list[Refusal] = []
        known: set[str] = set()
        for row in self.rows:
            if not holds(row, spec):
                continue
            known.update(row.keys, row.reads)
            absent = row.absent or (MISSING,) * len(row.keys)
            given = tuple(native.get(key, none) for key, none in zip(row.keys, absent, strict=True))
            if row.keys and all(value is MISSING for value in given):
                continue
            try:
                values = row.lift(*given, *(native.get(key, MISSING) for key in row.reads))
            except Refuse as refuse:
                place = (row.keys or row.reads)[0]
                value = given[0] if given else native.get(place)
                refusals.append(Refusal(place, value, refuse.reason, refuse.support, refuse.hint))
                continue
            if row.paths:
                pairs = zip(row.paths, _many(values, len(row.paths)), strict=True)
                spec.update({path: value for path, value in pairs if value is not MISSING})
        rest = {key: value for key, value in native.items() if key not in known}
        elsewhere = {*self.keys()}
        return Lifted(
            spec,
            {key: value for key, value in rest.items() if key not in elsewhere},
            tuple(refusals),
            {key: value for key, value in rest.items() if key in elsewhere},
        )


def _gathered(pairs: Iterable[tuple[str, Row]]) -> dict[str, tuple[Row, ...]]:
    found: dict[str, tuple[Row, ...]] = {}
    for name, row in pairs:
        found[name] = (*found.get(name, ()), row)
    return found


def _exclusive(rows: Sequence[Row]) -> bool:
    """Whether at most one of the rows holds for any spec."""
    pairs = combinations(rows, 2)
    return all(one.when is not None and one.when.apart(other.when) for one, other in pairs)


def holds(row: Row, spec: Flat) -> bool:
    """Whether the row is about a spec of this kind."""
    return row.when is None or spec.get(row.when.path) in row.when.tags


def lower_row(row: Row, spec: Flat) -> tuple[Any, Refusal | Note | None] | None:
    """What a row that holds makes of the spec: its values, and a refusal of them or a note.

    None where the spec has not all of its paths: they are fields of another tuner or objective.
    """
    try:
        given = [spec[path] for path in row.paths]
    except KeyError:
        return None
    given += [spec.get(path) for path in row.uses]
    place = row.paths[0] if row.paths else row.keys[0]
    try:
        values = row.lower(*given)
    except Refuse as refuse:
        return None, Refusal(place, spec.get(place), refuse.reason, refuse.support, refuse.hint)
    if isinstance(values, Lossy):
        return values.values, Note(place, values.reason)
    return values, None


def checked(row: Row, check: Callable[[Any, Any], None], path: str) -> Row:
    """The row with a check before it is lowered: of its first value, and of that of another path."""

    def lower(*values: Any) -> Any:
        *own, other = values
        check(own[0], other)
        return row.lower(*own)

    return replace(row, lower=lower, uses=(*row.uses, path))


def replaced(rows: Iterable[Row], *own: Row) -> tuple[Row, ...]:
    """``rows`` with a backend's ``own`` in the place of those that answer for the same paths."""
    paths = {path for row in own for path in row.paths}

    def kept(row: Row) -> bool:
        return not paths.intersection(row.paths) or any(
            row.when is not None and row.when.apart(one.when)
            for one in own
            if {*one.paths} & {*row.paths}
        )

    return (*(row for row in rows if kept(row)), *own)
