"""A resolved spec: every value a run needs, each with where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ftspec.spec.load import Loaded
from ftspec.spec.model import Model
from ftspec.spec.root import Spec

Origin = Literal["spec", "default", "derived", "machine", "backend"]
"""spec: written there. default: the spec's default. derived: computed from other values.
machine: found on this machine. backend: decided by the backend where the spec leaves it open."""


@dataclass(frozen=True)
class Value:
    """A value and its origin; `why` is a phrase for the plan, empty for plain spec values."""

    value: Any
    origin: Origin
    why: str = ""


@dataclass(frozen=True)
class Resolved:
    """A spec with nothing left open. `values` holds each leaf path and the `derived.*` numbers."""

    loaded: Loaded
    """The spec as it was read, with the lines of its values."""
    name: str
    """The spec's name: its file name without endings."""
    values: Mapping[str, Value]
    files: tuple[str, str] | None = None
    """Model and revision whose files are read in place of a model that an earlier stage will leave."""
    earlier: tuple[Model, ...] = ()
    """The model sections of those stages, in order: what their tokens make of that model's tokenizer."""

    @property
    def spec(self) -> Spec:
        """The spec itself."""
        return self.loaded.spec

    @property
    def folder(self) -> Path:
        """The spec file's folder; relative paths in the spec start here."""
        return self.loaded.file.parent

    @property
    def read_from(self) -> tuple[str, str]:
        """Model and revision whose config.json and tokenizer are read."""
        return self.files or (self.spec.model.name, self.spec.model.revision)

    def flat(self) -> dict[str, Any]:
        """Paths and plain values, without origins."""
        return {path: value.value for path, value in self.values.items()}
