"""What a format is: data and a few functions, one value per file in `formats/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ftspec.mapping import Flat
from ftspec.port.documents import Document, Scalar
from ftspec.port.rules import NOTHING, Context, Rule


class Completion(NamedTuple):
    """What a document says as a whole: values of several settings together, and of missing ones."""

    native: Flat = NOTHING
    spec: Flat = NOTHING
    questions: tuple[str, ...] = ()
    """What the source leaves open, for a person to answer."""
    notes: tuple[str, ...] = ()
    """What a person should know, and need not answer."""
    trains: bool = True
    """Whether it is for a training at all; else the first question tells what it is for."""


def nothing_more(_context: Context) -> Completion:
    """For a format whose settings each speak for themselves."""
    return Completion()


@dataclass(frozen=True)
class Format:
    """One way to write settings down."""

    name: str
    title: str
    backend: str
    """The backend whose native keys its keys are, or become."""
    signs: frozenset[str]
    """Keys that only this format has."""
    scalar: Scalar
    """What an unquoted word of its YAML means."""
    rules: Mapping[str, Rule]
    """By key, with `[]` for a position in a list. A key ending in `.` answers for all below it."""
    otherwise: Rule
    """For keys that `rules` has not."""
    complete: Callable[[Context], Completion] = nothing_more
    devices: Callable[[Mapping[str, Any]], int | None] = lambda _data: None
    """How many devices its settings need, where they tell."""
    group: Callable[[Mapping[str, Any]], int] = lambda _data: 1
    """How many of them share each layer, by its own settings."""
    package: str = ""
    """Whose version decides the defaults; empty: the format has none."""
    release: Callable[[Mapping[str, Any]], str | None] = lambda _data: None
    """The version whose defaults hold where nobody chooses one; None: the newest that is known."""
    whole: bool = True
    """Whether it says a whole training: companions, such as an engine's settings, do not."""
    keeps: bool = True
    """Whether its backend is its own framework, so that a setting which only it has can be passed on."""
    lender: str = ""
    """The backend with the same native keys, for objectives that its own one has not."""
    part: str = ""
    """Beginning of the native keys it has a say in; empty: all."""
    native_key: Callable[[str], str] = lambda key: key
    """The key in a spec's `native` section."""
    keyed: Callable[[str], str] = lambda key: key
    """A native key that a rule names, as the trainer of the source's objective has it."""
    classes: tuple[str, ...] = ()
    """Further classes of arguments, whose fields are keys as well."""
    last_wins: bool = False
    """Whether a key may stand there twice."""
    casts: bool = True
    """Whether its parser makes numbers, and yes or no, of texts in a file."""
    nothing: frozenset[str] = frozenset()
    """Numbers that may be null to it, though they are not declared so."""
    recognise: Callable[[Mapping[str, Any]], bool] | None = None
    """Where signs do not tell."""
    accepted: Mapping[str, str] = field(default_factory=dict)
    """Native keys whose default there differs from what ftspec writes, and why that is the same
    training."""
    own: frozenset[str] = frozenset()
    """Keys that the backend writes for itself, so that none is passed through."""
    prepare: Callable[[Document], Document] = lambda document: document
    """What its parser makes of a document before a setting of it is read."""
    mentions: Mapping[str, str] = field(default_factory=dict)
    """Keys that name another file of the source, and its format."""
    stops: str = ""
    """What its framework makes of a key that it has not, as the end of a sentence."""
    gone: frozenset[str] = frozenset()
    """Keys that older releases had, which are no slips."""
    idle: Mapping[str, str] = field(default_factory=dict)
    """Native keys that lowering leaves out where others make them idle, and which."""
