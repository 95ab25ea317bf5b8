"""What `ftspec data preview` says against what each framework really makes of the same rows.

The compiled folder runs in the framework's own environment up to the first step; its data set is then
compared with the preview: which rows are left, every id, every label.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftspec.data.findings import Findings
from ftspec.data.preview import look
from ftspec.data.view import View
from ftspec.env.install import ensure
from ftspec.plan.data_stages import prepare_split
from ftspec.plan.make import make_plan
from ftspec.plan.readers import readers
from ftspec.plan.stages import PrepareData
from ftspec.plan.write import write_plan
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from tests.conftest import SPECS

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
SCRIPT = Path(__file__).parent / "preview_reference.py"
BACKENDS = ("trl", "llamafactory", "unsloth", "deepspeed")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped specs and data, to be added to."""
    folder = tmp_path_factory.mktemp("preview") / "specs"
    shutil.copytree(SPECS, folder)
    return folder


def theirs(project: Path, backend: str, *sets: str) -> dict[str, Any]:
    """The rows that the framework made, by split."""
    folder = project.parent / "compiled" / backend
    shutil.rmtree(folder, ignore_errors=True)
    loaded = load(project / "quickstart.yaml", sets)
    plan = make_plan(loaded, backend, folder, allow_lossy=True)
    write_plan(plan)
    for stage in plan.stages:
        if isinstance(stage, PrepareData):
            prepare_split(plan.resolved, stage.split, folder / stage.target)
    chosen = load_backend(backend)
    kind = ["llamafactory"] if chosen.probe == "llamafactory" else ["script"]
    first = [chosen.first_import] if chosen.first_import else []
    command = [str(ensure(chosen).python), str(SCRIPT), "rows.json", *kind, chosen.entry, *first]
    cache = str(project.parent / "cache" / backend)
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": cache}
    ran = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / "rows.json").read_text())
    return found


def ours(project: Path, backend: str, split: str, *sets: str) -> list[dict[str, list[int]]]:
    """The rows that the preview says the framework trains on."""
    asked = readers(load(project / "quickstart.yaml", sets), (backend,))
    assert not asked.unknown and not asked.refused
    (group,) = asked.groups
    found = Findings()
    views = [
        looked.views[0]
        for looked in look(asked.sources(split), asked.folder, asked.tokens, [group.rule], found)
    ]
    found.check()
    kept = []
    for view in views:
        assert isinstance(view, View), view
        assert not view.refused
        if not view.left_out:
            kept.append({"input_ids": view.input_ids, "labels": view.labels})
    return kept


def compare(project: Path, backend: str, *sets: str) -> list[dict[str, list[int]]]:
    """All rows of a split, in order; returns them for what else should hold."""
    real = theirs(project, backend, *sets)
    said = ours(project, backend, "train", *sets)
    assert len(said) == len(real["train"])
    for number, (one, other) in enumerate(zip(said, real["train"], strict=True)):
        assert one == other, number
    if real["eval"] is not None:
        assert ours(project, backend, "eval", *sets) == real["eval"]
    return said


CUT = ("data.overflow=truncate", "data.max_length=48")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("train_on", ["assistant", "completions", "all"])
def test_long_rows_are_cut_as_the_framework_cuts(
    project: Path, backend: str, train_on: str
) -> None:
    said = compare(
        project, backend, *CUT, f"data.train_on={train_on}", "data.eval=data/chat.eval.jsonl"
    )
    assert sum(len(row["input_ids"]) == 48 for row in said) >= 40
