"""A spec from its file: read, changed by `--set`, checked, and every problem told at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ftspec.errors import FtspecError, Problem, SpecError
from ftspec.spec.model import Model
from ftspec.spec.paths import sections
from ftspec.spec.planned import Refused, set_aside
from ftspec.spec.present import unread
from ftspec.spec.root import Spec
from ftspec.spec.shorthand import write_out
from ftspec.spec.text import MAX_BYTES, Text, parse
from ftspec.spec.text import Path as Trail

if TYPE_CHECKING:
    from ftspec.spec.explain import Finding

STAGES = "stages"
"""The key of a file that holds several runs: ftspec.spec.pipeline."""


@dataclass(frozen=True)
class Handed:
    """What a stage of several is given by the others: no file of its own says it."""

    stage: str
    """Its name."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Paths whose values follow from other stages, with a phrase for the plan."""
    files: tuple[str, str] | None = None
    """Model and revision whose config.json and tokenizer the result of an earlier stage will have: they
    are read in its place, so that a plan is the same before that stage has run and after. None: the model
    itself is there."""
    stored: str | None = None
    """With `files`: the type in which the weights of that result will be stored, where it is known."""
    written: bool = False
    """Whether the rows that train are written in a step before: their file is not there until then."""
    earlier: tuple[Model, ...] = ()
    """With `files`: the model sections of the stages before, whose tokens that result's tokenizer has."""
    reference_stored: str | None = None
    """The type of the weights of a reference that an earlier stage will leave."""


@dataclass(frozen=True)
class Loaded:
    """A valid spec, and where each of its values was written."""

    spec: Spec
    file: Path
    positions: Mapping[str, tuple[int, int]]
    """Line and column, 1-based, by dotted path. Values from `--set` and defaults have none."""
    digest: str
    """SHA-256 of the effective spec, defaults and `--set` included, as canonical JSON."""
    sets: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    """The `--set` option a dotted path came from."""
    handed: Handed | None = None
    """Of a stage of several."""

    def problem(self, path: str, message: str, hint: str = "") -> Problem:
        """A problem with a value, placed where it stands, or else the nearest section above it."""
        for here in (path, *reversed(sections(path))):
            if here in self.origins:
                return Problem(message, path=path, file=self.origins[here], hint=hint)
            if here in self.positions:
                line, column = self.positions[here]
                return Problem(message, path, str(self.file), line, column, hint)
        return Problem(message, path=path, file=str(self.file), hint=hint)

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Errors of ours that speak of a value get its line of the spec, unless they have a place."""
        try:
            yield
        except FtspecError as error:
            raise error.retold([self.placed(problem) for problem in error.problems]) from error

    def placed(self, problem: Problem) -> Problem:
        """The problem with the line of the spec that it speaks of, or of the nearest section above."""
        if not problem.path or problem.file:
            return problem
        return self.problem(problem.path, problem.message, problem.hint)


def load(path: Path, sets: Sequence[str] = ()) -> Loaded:
    """The spec in a file.

    Raises:
        SpecError: the file cannot be read, is not YAML 1.2, or is no valid spec: all problems, each
            with its line and a remedy.
    """
    return _single(parse(read(path), str(path)), path, sets)


def loads(text: str | bytes, name: str = "spec.yaml", sets: Sequence[str] = ()) -> Loaded:
    """The spec in a text; `name` stands for the file in messages."""
    return _single(parse(text, name), Path(name), sets)


def spec_name(file: Path) -> str:
    """A spec's name: its file name without endings."""
    return file.name.removesuffix(".json").removesuffix(".yaml").removesuffix(".yml")


def digest(spec: Spec) -> str:
    """SHA-256 of a spec as canonical JSON: one value for all ways to write the same thing."""
    plain = spec.model_dump(mode="json")
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def read(path: Path) -> bytes:
    """A spec's file, or as much of it as shows that it is too long."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        (message, _), hint = unread(path, error), "`ftspec init` writes a starter spec"
        if near := _neighbours(path):
            hint = f"the folder has {near}"
    except IsADirectoryError:
        message, hint = "this is a folder, not a spec", "name the file in it"
        if near := _neighbours(path / "spec.yaml"):
            hint = f"name the file in it: {near}"
    except (OSError, ValueError) as error:
        message, hint = unread(path, error)
    raise SpecError(Problem(message, file=str(path), hint=hint))


def _neighbours(path: Path) -> str:
    try:
        names = sorted(p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml"))
    except (OSError, ValueError):
        return ""
    return ", ".join(names[:5])


def _single(text: Text, path: Path, sets: Sequence[str]) -> Loaded:
    if isinstance(text.data, dict) and STAGES in text.data:
        place = text.place((STAGES,))
        message = "this spec has stages, and here one run is asked for"
        hint = "`ftspec validate`, `plan`, `compile` and `run` take all of them; "
        hint += "`verify` and `data preview` take one: --stage"
        raise SpecError(Problem(message, STAGES, str(path), place.line, place.column, hint))
    return checked(text, path, sets)


def checked(text: Text, path: Path, sets: Sequence[str], stage: str = "") -> Loaded:
    """The spec that a document says; ``stage``: of which stage of several.

    Raises:
        SpecError: it is no valid spec: all problems.
    """
    if not isinstance(text.data, dict):
        raise SpecError(_not_a_spec(text, path))
    data, origins, problems = text.data, {}, []
    if sets:
        from ftspec.spec.sets import apply  # noqa: PLC0415 - most commands set nothing

        changed = apply(data, sets, stage)
        data, origins, problems = changed.data, changed.origins, changed.problems
    data, contradictions = write_out(data)
    data, planned = set_aside(data)
    refused = [*planned, *contradictions]
    spec, invalid = None, None
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        invalid = error
    if refused or invalid:
        placed = [_place(found, text, origins, path) for found in _findings(refused, invalid, data)]
        problems += sorted(placed, key=lambda problem: (problem.line, problem.column))
    if problems or spec is None:
        raise SpecError(problems)
    kept = [trail for trail in text.values if trail and _origin(trail, origins) is None]
    return Loaded(
        spec=spec,
        file=path,
        positions={_dotted(trail): text.place(trail) for trail in kept},
        digest=digest(spec),
        sets=tuple(sets),
        origins={_dotted(trail): option for trail, option in origins.items()},
    )


def _findings(refused: list[Refused], invalid: ValidationError | None, data: Any) -> list[Finding]:
    from ftspec.spec.explain import Finding, explain  # noqa: PLC0415 - most specs are right

    found = [Finding(refusal.path, refusal.message, refusal.hint) for refusal in refused]
    return found + (explain(invalid, data) if invalid else [])


def _not_a_spec(text: Text, path: Path) -> Problem:
    place = text.place(())
    if text.data is None:
        return Problem("the file is empty", file=str(path), hint="start from `ftspec init`")
    kind = "a list" if isinstance(text.data, list) else "one value"
    hint = "a spec is made of `key: value` lines; the least is `model:` and `data:`"
    return Problem(
        f"the file holds {kind}, not a spec", "", str(path), place.line, place.column, hint
    )


def _place(finding: Finding, text: Text, origins: Mapping[Trail, str], path: Path) -> Problem:
    dotted, option = _dotted(finding.path), _origin(finding.path, origins)
    if option:
        return Problem(finding.message, path=dotted, file=option, hint=finding.hint)
    place = text.place(finding.path)
    if finding.at_key:
        place = text.keys.get(finding.path, place)
    return Problem(finding.message, dotted, str(path), place.line, place.column, finding.hint)


def _origin(trail: Trail, origins: Mapping[Trail, str]) -> str | None:
    """The `--set` option that wrote this path or something above it."""
    return next(
        (origins[trail[:n]] for n in range(len(trail), 0, -1) if trail[:n] in origins), None
    )


def _dotted(trail: Trail) -> str:
    return ".".join(map(str, trail))
