"""Locks: which versions a backend's environment holds, by name, version and hash.

A lock lies beside its backend as ``<name>.lock`` and is made from ``<name>.in``. Both are plain
requirements files; lines that start with ``#:`` are directives to ftspec::

    #: python >=3.11,<3.15         the interpreters that every wheel in the lock exists for
    #: override certifi>=2026.1.1  (.in only) replaces what a package asks for
    #: build TORCH_VERSION=2.11.0  a variable for what comes as source and is built when it is installed
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ftspec.backend import Backend
from ftspec.errors import EnvironmentError_, Problem

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

KEY_LENGTH = 12
PYTHON = ">=3.11"
"""The interpreters a lock is taken to support when it does not say."""
_PLAIN = re.compile(
    r"([a-z0-9]+(?:-[a-z0-9]+)*)===?([0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?)"
)
"""A pin as most are: a canonical name, one version, for every platform. Others are read with care."""


class Pin(NamedTuple):
    """One line of a lock: a package at one version, and where it applies."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def applies(self, environment: Mapping[str, str] | None = None) -> bool:
        """Whether this platform (or the one described) gets the package."""
        if not self.marker:
            return True
        from packaging.markers import Marker  # noqa: PLC0415 - most pins are for every platform

        return Marker(self.marker).evaluate(dict(environment or {}))


@dataclass(frozen=True)
class Lock:
    """A lock as it was read; `key` changes with every change of its text."""

    backend: str
    name: str
    text: str
    key: str
    pins: Mapping[str, str]
    """Package -> version, for this platform."""
    requirements: tuple[Pin, ...]
    """All pins, for all platforms."""
    python: SpecifierSet
    inputs: frozenset[str]
    """Packages that the .in asks for by name; the others came along."""
    build: Mapping[str, str] = field(default_factory=dict)
    """Environment variables for what comes as source and is built while it is installed."""


class Pinned(NamedTuple):
    """What a plan says about a lock."""

    key: str
    versions: Mapping[str, str]
    """Package -> version, for this platform; of the packages asked for."""


def lock_names(backend: Backend) -> tuple[str, ...]:
    """Names of the locks a backend brings, sorted."""
    return tuple(sorted(_stems(backend, ".lock")))


def having(backends: Sequence[Backend], name: str | None = None) -> tuple[tuple[Backend, str], ...]:
    """The backends with a lock of that name; without one, `aligned` and those for objectives.

    A name that none of them has stands beside each of them: reading it says what there is.
    """
    if name is None:
        return tuple(
            (backend, lock)
            for backend in backends
            for lock in dict.fromkeys(("aligned", *(own.lock for own in backend.apart.values())))
        )
    found = tuple((backend, name) for backend in backends if name in lock_names(backend))
    return found or tuple((backend, name) for backend in backends)


def read_lock(backend: Backend, name: str = "aligned") -> Lock:
    """The backend's lock of that name.

    Raises:
        EnvironmentError_: there is no such lock, or it is damaged.
    """
    source = backend.env / f"{name}.in"
    text = _text(backend, name)
    asked = source.read_text(encoding="utf-8") if source.is_file() else ""
    return parse_lock(text, backend.name, name, asked)


def pinned(backend: Backend, name: str, packages: Iterable[str]) -> Pinned:
    """The lock's key, and its versions of these packages: all that a plan needs, without the rest.

    Raises:
        EnvironmentError_: there is no such lock, or these lines of it are damaged.
    """
    text = _text(backend, name)
    words = "|".join(map(re.escape, packages))
    asked = re.findall(rf"^(?:{words})(?![\w.-]).*(?:(?<=\\)\n.*)*", text, re.MULTILINE)
    pins = [_pin(line, backend.name, name) for line in logical_lines("\n".join(asked))]
    return Pinned(_key(text), {pin.name: pin.version for pin in pins if pin.applies()})


def parse_lock(text: str, backend: str, name: str, asked: str = "") -> Lock:
    """A lock from its text, and from the text of the .in that it was made from."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - a plan reads a few pins alone
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    pins = tuple(_pin(line, backend, name) for line in logical_lines(text))
    if not pins:
        raise _damaged(backend, name, "it is empty")
    return Lock(
        backend=backend,
        name=name,
        text=text,
        key=_key(text),
        pins={pin.name: pin.version for pin in pins if pin.applies()},
        requirements=pins,
        python=SpecifierSet(next(iter(directives(text, "python")), PYTHON)),
        inputs=frozenset(
            canonicalize_name(Requirement(line).name) for line in logical_lines(asked)
        ),
        build=variables(text),
    )


def logical_lines(text: str) -> Iterator[str]:
    """Requirement lines, continued lines joined, comments and empty lines left out."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if bare:
            yield bare


def variables(text: str) -> dict[str, str]:
    """The variables of `#: build NAME=VALUE`, in a lock or in its .in."""
    pairs = (line.partition("=") for line in directives(text, "build"))
    return {name: value for name, _, value in pairs}


def directives(text: str, word: str) -> tuple[str, ...]:
    """What follows `#: WORD` in a lock or in its .in."""
    return tuple(re.findall(rf"^#: {word} +(\S.*?)\s*$", text, re.MULTILINE))


def render(pins: Iterable[Pin]) -> str:
    """Pins as a requirements file with hashes.

    `===`, because `==2.13.0` would also take a local build such as 2.13.0+cpu from a configured
    folder of wheels, and then fail on its hash.
    """
    return "".join(
        f"{pin.name}==={pin.version}"
        + (f" ; {pin.marker}" if pin.marker else "")
        + "".join(f" --hash={digest}" for digest in pin.hashes)
        + "\n"
        for pin in pins
    )


def _text(backend: Backend, name: str) -> str:
    place = backend.env / f"{name}.lock"
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name) or not place.is_file():
        known = ", ".join(f"`{known}`" for known in lock_names(backend)) or "none"
        hint = f"known environments: {known}"
        raise EnvironmentError_(f"the backend `{backend.name}` has no environment `{name}`", hint)
    return place.read_text(encoding="utf-8")


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def _pin(line: str, backend: str, name: str) -> Pin:
    bare, *hashes = re.split(r"\s+--hash=", line)
    if hashes and (plain := _PLAIN.fullmatch(bare)):
        return Pin(plain[1], plain[2], "", tuple(hashes))
    return _unusual(bare, tuple(hashes), backend, name)


def _unusual(bare: str, hashes: tuple[str, ...], backend: str, name: str) -> Pin:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    try:
        requirement = Requirement(bare)
    except InvalidRequirement as error:
        raise _damaged(backend, name, f"`{bare[:80]}` is not a requirement") from error
    version = re.fullmatch(r"===?([^,*]+)", str(requirement.specifier))
    if version is None or requirement.url or not hashes:
        raise _damaged(backend, name, f"`{bare[:80]}` is not one version with its hashes")
    return Pin(
        canonicalize_name(requirement.name), version[1], str(requirement.marker or ""), hashes
    )


def _damaged(backend: str, name: str, why: str) -> EnvironmentError_:
    return EnvironmentError_(
        Problem(
            f"the lock `{name}` of the backend `{backend}` is damaged: {why}",
            hint=f"reinstall ftspec, or make it anew: ftspec env lock {backend}",
        )
    )


def _stems(backend: Backend, suffix: str) -> Iterator[str]:
    if backend.env.is_dir():
        for entry in backend.env.iterdir():
            if entry.name.endswith(suffix):
                yield entry.name.removesuffix(suffix)
