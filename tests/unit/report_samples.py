"""Certificates made from evidence made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ftspec.verify.certificate import Certificate
from ftspec.verify.evidence import Evidence
from ftspec.verify.verify import Ended, Run, certified
from tests.unit.verify_samples import backend, evidence


def certificate(
    others: Mapping[str, Evidence],
    title: str = "",
    spec: str = "model: tiny\n",
    errors: Mapping[str, str] | None = None,
) -> Certificate:
    """A certificate of `trl` and others."""
    ended = {"trl": Ended(1.0, evidence())} | {n: Ended(2.0, e) for n, e in others.items()}
    for name, error in (errors or {}).items():
        ended[name] = Ended(0.5, Evidence(), error)
    runs = {
        name: certified(
            Run(
                backend(name, title=title or name.upper()), Path("nowhere"), (), {}, Path(), Path()
            ),
            one,
            ended["trl"],
            name == "trl",
        )
        for name, one in ended.items()
    }
    machine = {"cpu": "a processor", "cores": 2, "memory_gib": 8.0}
    return Certificate(
        1, "0.1.0", "2026-11-21T21:00:00+00:00", "demo", "0" * 64, spec, "trl", machine, runs
    )
