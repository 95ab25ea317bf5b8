"""What a run consists of. `plan` prints this list and `run` walks it, so a plan cannot lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.backend import File
from ftspec.mapping import Note
from ftspec.plan.values import Resolved


@dataclass(frozen=True)
class PrepareData:
    """Render and tokenise a split once, for all backends (data.prepare: ftspec)."""

    split: str
    target: str
    """Folder under the compiled folder."""
    columns: tuple[str, ...] = ()
    """What is written beside ids and labels where documents share a row."""


@dataclass(frozen=True)
class CheckData:
    """Read local data before anything is spent: shapes, lengths, rows with nothing to train on."""

    split: str
    lengths: bool
    """Whether rows are tokenised to find those beyond data.max_length."""
    alternating: bool = False
    """Whether the framework leaves out conversations whose turns do not alternate."""
    parsing: bool = False
    """Whether the framework reads of conversations what no config names."""
    later: bool = False
    """Whether a step before writes the rows: they are looked at when the run gets there."""


@dataclass(frozen=True)
class CheckFolder:
    """Find a folder that an earlier run should have left: an adapter, a checkpoint."""

    field: str
    """The spec's field that names it."""
    folder: str
    """As the spec writes it, relative to the spec's own folder."""


@dataclass(frozen=True)
class TakeResult:
    """See that an earlier run has ended well, and that its result is what it was then."""

    name: str
    """The earlier stage of the spec."""
    source: Plan
    """Its plan: what lies in its folder must be of it."""
    begins: bool = True
    """Whether this run begins with it; else it is a reward, a reference or a teacher."""


@dataclass(frozen=True)
class CopyModel:
    """Give a framework a folder of its own with a local model: links, and some files of its own."""

    source: str
    """The model's folder, relative to the compiled folder."""
    target: str
    """Folder under the compiled folder."""
    changed: Mapping[str, Mapping[str, Any]]
    """By file, such as config.json: what stands in it instead."""


@dataclass(frozen=True)
class WriteFile:
    """Write one emitted file."""

    file: File


@dataclass(frozen=True)
class BuildEnvironment:
    """Have the backend's locked environment, installing it if need be."""

    backend: str
    lock: str
    key: str
    """First 12 digits of the lock's SHA-256."""
    why: str = ""
    """Why it is not the environment that the spec asks for; empty where it is."""


@dataclass(frozen=True)
class Launch:
    """Start the training process in the compiled folder."""

    argv: tuple[str, ...]
    """`{python}` and `{bin}` stand for the environment's interpreter and folder of programs."""
    environ: Mapping[str, str]
    """Set for the process."""
    cleared: tuple[str, ...]
    """Variables of the caller that would silently override a setting, and are removed."""


@dataclass(frozen=True)
class Collect:
    """Check that the results are there, and note their hashes."""

    folder: str
    """Where the backend saves, relative to the compiled folder."""
    file: str = ""
    """The file that has to be there; "" for weights."""


Stage = (
    PrepareData
    | CheckData
    | CheckFolder
    | TakeResult
    | CopyModel
    | WriteFile
    | BuildEnvironment
    | Launch
    | Collect
)


@dataclass(frozen=True)
class Plan:
    """Everything about one run of one spec on one backend, before anything is done."""

    backend: str
    resolved: Resolved
    native: Mapping[str, Any]
    notes: tuple[Note, ...]
    """What is only nearly the same; empty unless lossy rows were allowed."""
    stages: tuple[Stage, ...]
    folder: Path
    """Where files are written and the run happens."""

    def results(self) -> str:
        """Where the results go, relative to the folder."""
        return next((stage.folder for stage in self.stages if isinstance(stage, Collect)), "")

    def lock(self) -> str:
        """The environment it trains in: the name of its lock."""
        return next(stage.lock for stage in self.stages if isinstance(stage, BuildEnvironment))

    def answers(self) -> str:
        """The file among the results that is no weights; "" where weights are left."""
        return next((stage.file for stage in self.stages if isinstance(stage, Collect)), "")

    def digest(self) -> str:
        """One hash for all that decides what a run trains: emitted files and commands."""
        parts: list[Any] = [self.backend]
        for stage in self.stages:
            if isinstance(stage, WriteFile):
                parts.append([stage.file.path, hashlib.sha256(stage.file.content).hexdigest()])
            elif isinstance(stage, Launch):
                parts.append([list(stage.argv), dict(stage.environ)])
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def files(self) -> tuple[File, ...]:
        """The files that `compile` writes."""
        return tuple(stage.file for stage in self.stages if isinstance(stage, WriteFile))
