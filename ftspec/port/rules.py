"""Rules: what a key of a source becomes.

A format's table has one for each key that is not simply a native key of its backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from ftspec.mapping import Flat
from ftspec.port.documents import INSIDE, Document
from ftspec.port.fates import Kind, Setting
from ftspec.port.scalars import NotOfType, cast
from ftspec.port.tables import Table

NOTHING: Flat = MappingProxyType({})
NO_FILES: Mapping[str, str] = MappingProxyType({})
ROWS = "TODO.jsonl"
"""What a source is called whose rows are not known, though something of it is, such as a limit."""


class Outcome(NamedTuple):
    """What a rule says of one setting."""

    kind: Kind
    native: Flat = NOTHING
    """Values of the backend's native keys, which its field map lifts into the spec."""
    spec: Flat = NOTHING
    """Values of spec paths, where no native key of a backend says the same."""
    why: str = ""
    of: tuple[str, ...] = ()
    """Spec paths that it has a part in, where another rule or the whole gives the value."""
    files: Mapping[str, str] = NO_FILES
    """Texts that stand in the source and that a spec names as files."""
    passed: Flat = NOTHING
    """Values for the `native` section of its own framework, as they are: no row of its map knows them."""
    loud: bool = False
    """Whether a person should see it though it changes nothing: a slip, which the source ignores."""


@dataclass(frozen=True)
class Context:
    """What a rule may look at besides its own value."""

    document: Document
    table: Table | None
    """The framework's settings in the version that the source was written for."""
    companions: Mapping[str, Document] = field(default_factory=dict)
    """Other files of the same source, by format."""
    main: Document | None = None
    """The file that says the training, where this one does not."""
    devices: int = 1
    nodes: int = 1
    main_format: str = ""
    """The name of the format of `main`."""
    trains: Mapping[str, Any] = field(default_factory=dict)
    """What `main` comes to, by spec path."""
    sharing: int = 1
    """Devices that share rows or layers, and count as one in the batch."""

    def get(self, key: str, default: Any = None) -> Any:
        """Another setting of the same document, from the top level, in the type that is declared for it."""
        value = self.document.data.get(key, default)
        entry = self.table.find(key) if self.table and isinstance(value, str) else None
        try:
            return cast(value, entry[0]) if entry else value
        except NotOfType:
            return value  # its own fate tells

    def assumed(self, key: str) -> Any:
        """What the framework assumes where the key is missing; None where that is not known."""
        entry = self.table.find(key) if self.table else None
        return entry[1] if entry else None


def section(context: Context, name: str) -> dict[str, Any]:
    """The settings below a key, such as the arguments of a call; empty where there are none."""
    found = context.get(name)
    return found if isinstance(found, dict) else {}


Rule = Callable[[Setting, Context], Outcome]


def engine_file(setting: Setting, context: Context) -> Outcome:
    """The name of a file with an engine's settings."""
    if (file := context.companions.get("deepspeed")) is not None:
        why = file.whose or "read from the file that was given with it"
        return Outcome("derived", why=why)
    why = f"the engine's settings stand in {setting.value}, which is not here: give it as well"
    return Outcome("unknown", why=why)


def engine_inside(setting: Setting, context: Context) -> Outcome:
    """A setting of an engine in the place of the name of its file."""
    file = context.companions.get("deepspeed")
    if file is not None and file.whose == INSIDE:
        return Outcome("derived", why=INSIDE)
    return Outcome("unknown", why="an engine's settings inside: give them as a file")


def renamed(to: str, make: Callable[[Any], Any] | None = None, why: str = "") -> Rule:
    """The value of another native key, made by `make` where it is not the same."""

    def rule(setting: Setting, _context: Context) -> Outcome:
        value = setting.value if make is None else make(setting.value)
        return Outcome("derived" if make else "renamed", {to: value}, why=why)

    return rule


def says(path: str, make: Callable[[Any], Any] | None = None, why: str = "") -> Rule:
    """A value of the spec itself, which no native key says."""

    def rule(setting: Setting, _context: Context) -> Outcome:
        value = setting.value if make is None else make(setting.value)
        return Outcome("derived" if make else "renamed", spec={path: value}, why=why)

    return rule


def derived(*paths: str, why: str = "") -> Rule:
    """A part of what the spec says in these places, which something else computes."""
    return lambda _setting, _context: Outcome("derived", why=why, of=paths)


def inert(why: str) -> Rule:
    """It does not change what is trained."""
    return lambda _setting, _context: Outcome("inert", why=why)


def unknown(why: str) -> Rule:
    """A spec cannot say it."""
    return lambda _setting, _context: Outcome("unknown", why=why)


def nearly(why: str) -> Rule:
    """Something close to it happens anyway."""
    return lambda _setting, _context: Outcome("approximated", why=why)


def one_of(**rules: Rule) -> Rule:
    """By the value, as text; `otherwise` for all others."""

    def rule(setting: Setting, context: Context) -> Outcome:
        chosen = rules.get(str(setting.value).lower(), rules["otherwise"])
        return chosen(setting, context)

    return rule


def unless(values: tuple[Any, ...], why: str, otherwise: Rule) -> Rule:
    """Inert for these values, which say what happens anyway."""

    def rule(setting: Setting, context: Context) -> Outcome:
        if setting.value in values:
            return Outcome("inert", why=why)
        return otherwise(setting, context)

    return rule


def group(why: str, *keys: str) -> dict[str, Rule]:
    """Inert keys with one reason."""
    return {key: inert(why) for key in keys}
