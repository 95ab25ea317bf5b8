"""A config of LLaMA-Factory's with images, and what it is carried to, trained side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven, keep_pair


def ported(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    settings: Mapping[str, Any],
    entry: Mapping[str, Any],
    backend: str = "trl",
) -> Proven:
    """Both trainings, which must be equal, with images in each batch. ``entry`` is that of its data set."""

    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("llamafactory", folder / "llamafactory")
        (original.folder / "train.yaml").write_text(yaml.dump([("all", dict(settings))]))
        (original.folder / "dataset_info.json").write_text(json.dumps({"rows": entry}))
        monkeypatch.chdir(original.folder)
        plan = carry([Path("train.yaml")], backend, folder / backend).plan
        run = as_run(plan, ensure(load_backend(backend), plan.lock()))
        return {"llamafactory": original, backend: run}

    reference = "llamafactory" if backend == "axolotl" else "trl"
    proven = lab.compare(name.replace(", ", "-"), runs, reference=reference)
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    seen = [batch.images for batch in proven.evidence(backend).batches]
    assert all(seen) and len({*seen}) > 4
    keep_pair(f"llamafactory, {name}", "llamafactory", backend, certificate)
    return proven
