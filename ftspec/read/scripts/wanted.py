"""What is looked for in a script, and what is known beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ftspec.read.scripts.options import Option
from ftspec.read.scripts.records import Makes


class Wanted(NamedTuple):
    """What is looked for in a script."""

    calls: Collection[str]
    """As `read_calls` takes them."""
    followed: Collection[str]
    """Functions are read where they are called, if they make one of these calls."""
    known: Mapping[str, Any]
    """What calls come to that ask what a machine can do."""
    arguments: Mapping[str, Any]
    """What the command line says."""
    through: Collection[str] = ()
    """Calls that give back what they are given, changed."""
    parted: Collection[str] = ()
    """Calls whose result has parts by name, which an origin tells: `load_dataset[train]`."""
    divides: Collection[str] = ()
    """Methods that make parts of what they are called on."""
    valued: Collection[str] = ()
    """Calls whose arguments are values,"""
    objects: Collection[str] = ()
    """but for these."""
    modules: Collection[str] = ()
    """Packages from which the names of calls are taken; from others the same name is another. Empty: any."""
    alike: Mapping[str, str] = {}
    """Calls that are the same for any class whose name ends so: `ForCausalLM.from_pretrained`."""
    environ: Mapping[str, str | None] = {}
    """Variables that are set when it starts; None where the value is not known."""
    attributes: Mapping[str, tuple[str, ...]] = {}
    """By the call that makes an object, attributes that say the same as its arguments of that name."""
    classes: Mapping[str, Mapping[str, Option]] = {}
    """The fields of classes of arguments that frameworks have."""
    makes: Mapping[str, Makes] = {}
    """Functions of frameworks that make something of such settings."""
    files: Callable[[str, str], Any] | None = None
    """Reads a file of settings, by its name and its dialect; raises LookupError where there is none."""
    module: Callable[[str], str | None] | None = None
    """The source of a module beside the script, by its name; None where there is none."""
    words: Sequence[str | None] | None = None
    """The words of the command line; None in the place of one that is not known."""
