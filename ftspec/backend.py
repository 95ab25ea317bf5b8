"""What a backend is: data and a few functions. No base class, so nothing hides behind `super()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from ftspec.data.template import Template
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import Rule, Unknown
from ftspec.emit.file import File
from ftspec.mapping import FieldMap, Flat, Lifted

__all__ = ["MODEL_COPY", "Apart", "Backend", "File", "Job", "lacks", "lift", "lift_by", "lock_of"]

MODEL_COPY = "model-copy"
"""Folder under the compiled folder: a local model with another config.json."""
OBJECTIVE = "method.objective.type"


def unknown_rows(_native: Flat, _tokens: Tokens, _template: Template | None) -> Rule | Unknown:
    """Of a backend that does not say how its framework reads rows."""
    return Unknown("the backend does not say how its framework reads rows", "data.prepare: ftspec")


@dataclass(frozen=True)
class Job:
    """What `emit` needs besides native values: facts about the run that are not settings.

    ``pins`` are the versions the lock installs, by package name, for headers and requirements.
    """

    spec_name: str
    spec_hash: str
    values: Flat
    """Resolved spec values, `derived.*` included."""
    pins: Mapping[str, str]
    overrides: Sequence[str] = ()
    """The backend's overrides, for headers."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables that an emitted launch script sets, beside those its backend needs: privacy."""


@dataclass(frozen=True)
class Apart:
    """An environment of its own for an objective that the backend's other ones cannot train."""

    lock: str
    """Its lock, beside the others."""
    versions: str
    """Versions of the backend's package that its map holds for, as a specifier set."""
    reason: str
    """Why the others cannot."""


@dataclass(frozen=True)
class Backend:
    """A training framework that specs are compiled to."""

    name: str
    title: str
    """How its makers write its name."""
    package: str
    """Distribution whose version the maps were checked against."""
    versions: str
    """Versions the maps hold for, as a specifier set."""
    maps: Mapping[str, FieldMap]
    """By objective."""
    emit: Callable[[Flat, Job], Sequence[File]]
    """Native values -> files, the launch script included."""
    read: Callable[[Sequence[File]], Flat]
    """Files -> native values. Executes nothing."""
    launch: Callable[[Flat], Sequence[str]]
    """Native values -> the argv that trains, run inside the compiled folder. `{python}` and `{bin}`
    stand for the environment's interpreter and its folder of programs."""
    env: Traversable
    """Folder with one lock per environment: aligned.lock, latest.lock, and those of `apart`."""
    pinned: tuple[str, ...]
    """Distributions that an emitted script names in its PEP 723 header."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Native keys whose values need more distributions, and which, with blanks between: they are named beside
    `pinned`. `key=text` stands for that value of the key alone."""
    entry: str = "train.py"
    """The file that is trained from: a script, or a native config."""
    probe: str = "script"
    """How the probe is put around the entry: `script`, `llamafactory`, or `module`, which is named before
    the entry, as in `python -m MODULE ENTRY`."""
    first_import: str = ""
    """A module that must be imported before transformers."""
    overrides: tuple[str, ...] = ()
    """Requirements that uv must take for those of other packages, for inline script metadata."""
    columns: tuple[str, ...] = ()
    """Columns of prepared rows, beside ids and labels, by which it knows them for prepared."""
    packed: tuple[str, ...] = ("seq_lengths",)
    """Columns of prepared rows by which its collator keeps documents apart that share a row."""
    alternating: bool = False
    """Whether it leaves out conversations whose turns do not alternate between user and assistant."""
    parsing: bool = False
    """Whether it reads of conversations what no config names: a column `system`, JSON in texts of calls."""
    rows: Callable[[Flat, Tokens, Template | None], Rule | Unknown] = unknown_rows
    """Native values, tokenizer and chat template -> what the framework's own data path makes of a row."""
    without: Mapping[str, str] = field(default_factory=dict)
    """Objectives that have no map here although the framework knows them, and why."""
    apart: Mapping[str, Apart] = field(default_factory=dict)
    """Objectives that train in an environment of their own, and in which."""
    defaults: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    """Spec paths this backend decides where the spec leaves them open: value and reason."""
    model_copy: Callable[[Flat], Mapping[str, Mapping[str, Any]]] = lambda _native: {}
    """Native values -> files and entries that they must have, such as config.json, where only a copy of a
    local model in the folder `MODEL_COPY` can tell the framework; nothing where it loads the model itself."""
    besides: Mapping[str, Apart] = field(default_factory=dict)
    """Native keys that, where they are on, need an environment of their own, and which. It is installed
    when a run asks for it, or by its name."""
    environment: Callable[[Flat], Mapping[str, str]] = lambda _native: {}
    """Native values -> environment variables that its launch needs."""


def lacks(backend: Backend, objective: str) -> str:
    """Why a backend has no map for an objective."""
    return backend.without.get(objective, "no trainer of its own learns so")


def lock_of(
    backend: Backend, objective: str, asked: str, native: Flat = MappingProxyType({})
) -> tuple[str, str]:
    """The lock of the environment in which a backend trains an objective, and why it is that one.

    ``asked`` is what the spec asks for; without a reason it is this. ``native`` values may need another.
    """
    for key, needed in backend.besides.items():
        if native.get(key):
            return needed.lock, needed.reason
    apart = backend.apart.get(objective)
    return (asked, "") if apart is None else (apart.lock, apart.reason)


def lift(backend: Backend, native: Flat) -> Lifted:
    """Spec values by the map of the objective that the native values are of."""
    return lift_by(backend.maps.items(), lambda _fields: native)[1]


def lift_by(
    maps: Iterable[tuple[str, FieldMap]], native: Callable[[FieldMap], Flat]
) -> tuple[FieldMap, Lifted]:
    """The map, by its objective, that native values are of, and the spec values by it.

    ``native`` gives them for each map. A map's row of the objective refuses what is of another one. Where
    all refuse, the first map's refusals stand.
    """
    others: list[tuple[FieldMap, Lifted]] = []
    for objective, fields in maps:
        lifted = fields.lift(native(fields))
        if lifted.spec.get(OBJECTIVE) == objective:
            return fields, lifted
        others.append((fields, lifted))
    return others[0]
