"""Which values were proven equal by a run: kept certificates, condensed to what the matrix shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ftspec.spec.load import loads
from ftspec.spec.paths import flatten
from ftspec.verify.certificate import Certificate

FILE = files("ftspec.verify") / "proven.json"
"""Written by scripts/proven.py from the certificates of the real tests."""
PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "llamafactory",
    "unsloth",
    "deepspeed",
    "axolotl",
)


@dataclass(frozen=True)
class Proven:
    """One proof: the spec's values, and how each backend came out of it."""

    case: str
    date: str
    """The day it was run."""
    device: str
    """`cpu`, or the GPU's name."""
    values: Mapping[str, Any]
    """Spec paths and plain values, with nothing that only names files."""
    runs: Mapping[str, str]
    """Backend -> reference, equal, differs, incomplete, failed."""
    measured: Mapping[str, float]
    """The largest distance from the reference of each check that measures one."""
    versions: Mapping[str, Mapping[str, str]]

    def proves(self, backend: str) -> bool:
        """Whether this backend trained what another one did."""
        equal = [name for name, ending in self.runs.items() if ending == "equal"]
        return bool(equal) and self.runs.get(backend) in ("equal", "reference")


def condensed(case: str, certificate: Certificate) -> Proven:
    """The record of a certificate."""
    (reference,) = (run for run in certificate.runs.values() if run.conclusion == "reference")
    distances: dict[str, float] = {}
    for run in certificate.runs.values():
        for check in run.checks:
            if check.measured is not None:
                distances[check.name] = max(check.measured, distances.get(check.name, 0.0))
    return Proven(
        case=case,
        date=certificate.date[:10],
        device=str(reference.setting.get("device", "cpu")),
        values=_telling(certificate.spec),
        runs={name: run.conclusion for name, run in certificate.runs.items()},
        measured={name: float(f"{value:.1e}") for name, value in distances.items() if value},
        versions={
            name: {p: run.versions[p] for p in PACKAGES if p in run.versions}
            for name, run in certificate.runs.items()
        },
    )


def dump(records: Iterable[Proven]) -> str:
    """The kept file: a record a line, so that a diff shows which proof is new."""
    ordered = sorted(records, key=lambda record: record.case)
    lines = [json.dumps(asdict(record), sort_keys=True) for record in ordered]
    return "[\n" + ",\n".join(lines) + "\n]\n"


@cache
def load() -> tuple[Proven, ...]:
    """All kept records; a page asks for them once per table."""
    return tuple(Proven(**record) for record in json.loads(FILE.read_text("utf-8")))


def of_value(records: Iterable[Proven], path: str, value: Any, backend: str) -> Proven | None:
    """The newest proof in which this backend had this value; None where there is none."""
    wanted = _plain(value)
    found = [
        record
        for record in records
        if record.proves(backend) and path in record.values and record.values[path] == wanted
    ]
    return max(found, key=lambda record: record.date, default=None)


NAMES = ("model.name", "output.", "run.", "native", "version", "data.eval")
"""Paths that name things, and say nothing about how is trained."""


def _telling(text: str) -> dict[str, Any]:
    return {
        path: _plain(value)
        for path, value in flatten(loads(text).spec).items()
        if not path.startswith(NAMES) and path != "data.train"
    }


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value))
