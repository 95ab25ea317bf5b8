"""The proof as a document: what was run where, what each check measured, and the verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ftspec.errors import VerifyError

SCHEMA = 1
Conclusion = Literal["reference", "equal", "alike", "differs", "incomplete", "failed"]
"""equal: every check passed. alike: all that is not random is equal under each of several seeds, and no
difference was found between the distributions of what is random. differs: a check did not pass.
incomplete: something could not be compared. failed: the run itself failed."""


@dataclass(frozen=True)
class CheckRecord:
    """One check of one backend against the reference."""

    name: str
    compares: str
    verdict: str
    """equal, within, differs, not-compared or random."""
    measured: float | None
    tolerance: float
    why: str
    """The reason for the tolerance."""
    where: str = ""
    reference: str = ""
    other: str = ""
    context: tuple[str, str] | None = None
    note: str = ""
    cause: str = ""
    """Of a difference: the likely one."""
    link: str = ""
    """Where docs/hazards.md speaks of it."""

    @property
    def passed(self) -> bool:
        """Whether this is evidence of equality."""
        return self.verdict in ("equal", "within")


@dataclass(frozen=True)
class StepRecord:
    """What one optimizer step logged."""

    step: int
    loss: float
    grad_norm: float | None
    learning_rate: float | None


@dataclass(frozen=True)
class SampleRecord:
    """A completion that the model drew while it trained."""

    step: int
    prompt: str
    completion: str
    rewards: Mapping[str, float]
    """Each by itself, before its weight."""


@dataclass(frozen=True)
class QuantityRecord:
    """A random quantity: one number of each run, in the order of the seeds."""

    name: str
    reference: tuple[float, ...]
    other: tuple[float, ...]


@dataclass(frozen=True)
class SeedsRecord:
    """What was compared over seeds, where two backends draw different completions."""

    seeds: tuple[int, ...]
    test: str
    level: float
    """How often the test finds a difference where there is none."""
    p: float
    exact: tuple[str, ...]
    """The checks that were made exactly, or within their tolerance, under each seed."""
    quantities: tuple[QuantityRecord, ...]


@dataclass(frozen=True)
class RunRecord:
    """One backend's run."""

    title: str
    conclusion: Conclusion
    versions: Mapping[str, str]
    lock: str
    """Key of the lock that its environment was made from."""
    files: Mapping[str, str]
    """Compiled file -> SHA-256: what was run, byte for byte."""
    setting: Mapping[str, Any]
    """Processes, threads, device, model class, attention, dtypes, rows of the data."""
    steps: tuple[StepRecord, ...]
    seconds: float
    checks: tuple[CheckRecord, ...] = ()
    error: str = ""
    """Of a failed run: what its log says."""
    samples: tuple[SampleRecord, ...] = ()
    """Of a run that draws completions: the first and the last ones that were kept."""
    seeds: SeedsRecord | None = None
    """Of a run that draws other completions than the reference, where more seeds were run."""

    def first_failure(self) -> CheckRecord | None:
        """The first difference; without one, the first thing not compared."""
        ranked = ("differs", "not-compared")
        failing = [check for check in self.checks if check.verdict in ranked]
        return min(failing, key=lambda check: ranked.index(check.verdict), default=None)


@dataclass(frozen=True)
class Certificate:
    """A proof of equality, or what stands in its way."""

    schema: int
    ftspec: str
    date: str
    spec_name: str
    spec_sha256: str
    spec: str
    """The spec as it was run, overrides included."""
    reference: str
    machine: Mapping[str, Any]
    """Processor, cores, memory, system. No host, no user, no folder."""
    runs: Mapping[str, RunRecord]
    """By backend, the reference first."""

    @property
    def verdict(self) -> Conclusion:
        """The worst of the runs'."""
        found = {run.conclusion for run in self.runs.values()} - {"reference"}
        ranked: tuple[Conclusion, ...] = ("differs", "failed", "incomplete", "alike", "equal")
        # Nothing compared with the reference is nothing proven.
        return next((one for one in ranked if one in found), "incomplete")

    @property
    def exit_code(self) -> int:
        """0 if every run is equal to the reference, or alike where it is random; 1 otherwise."""
        return 0 if self.verdict in ("equal", "alike") else 1


def to_json(certificate: Certificate) -> str:
    """The certificate as JSON, keys in the order in which they are declared."""
    content = _plain(certificate)
    content["verdict"] = certificate.verdict
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Certificate:
    """The certificate that `to_json` wrote.

    Raises:
        VerifyError: this is no certificate, or one of another schema.
    """
    try:
        content = json.loads(text)
        schema = content["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerifyError("this is no certificate of ftspec") from error
    if schema != SCHEMA:
        message = f"the certificate has schema {schema}; this ftspec reads {SCHEMA}"
        raise VerifyError(message, hint="use the ftspec that wrote it, named in its `ftspec` key")
    try:
        return _typed(Certificate, content)  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VerifyError("the certificate is damaged") from error


def _plain(value: Any) -> Any:
    """JSON's types. JSON has no NaN and no infinity; they become words."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _typed(kind: Any, value: Any) -> Any:
    """The inverse of `_plain`, by the types of the fields."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is float:
        return float(value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        given = {
            field.name: value[field.name]
            for field in fields(kind)
            if field.name in value or field.default is MISSING
        }
        return kind(**{name: _typed(hints[name], item) for name, item in given.items()})  # type: ignore[operator]
    if origin in (Union, UnionType):
        return None if value is None else _typed(inner[0], value)
    if origin is tuple:
        return tuple(_typed(inner[0], item) for item in value)
    if origin is not None and issubclass(dict, origin if isinstance(origin, type) else str):
        return {key: _typed(inner[1], item) for key, item in value.items()}
    return value
