"""The rows that a framework makes of a compiled folder, and those that the preview says it makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ftspec.data.findings import Findings
from ftspec.data.preview import look
from ftspec.data.view import View
from ftspec.emit.disk import write_files
from ftspec.env.install import ensure
from ftspec.plan.make import make_plan
from ftspec.plan.readers import readers
from ftspec.plan.write import write_plan
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from tests.real.warm import interpreter

ROWS = Path(__file__).parent / "preview_rows.jsonl"
SCRIPT = Path(__file__).parent / "preview_reference.py"


def theirs(project: Path, backend: str, *sets: str, check: bool = True) -> dict[str, Any]:
    """The rows that the framework made, by split. Not ``check``: of rows that ftspec would refuse too."""
    folder = project.parent / "compiled" / backend
    shutil.rmtree(folder, ignore_errors=True)
    loaded = load(project / "quickstart.yaml", sets)
    plan = make_plan(loaded, backend, folder, allow_lossy=True)
    if check:
        write_plan(plan)
    else:
        write_files(folder, plan.files(), overwrite=True)
    chosen = load_backend(backend)
    kind = ["llamafactory"] if chosen.probe == "llamafactory" else ["script"]
    first = [chosen.first_import] if chosen.first_import else []
    cache = str(project.parent / "cache" / backend)
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": cache}
    python = interpreter(ensure(chosen), variables)
    command = [str(python), str(SCRIPT), "rows.json", *kind, chosen.entry, *first]
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
    rules, part = [group.rule], asked.draw(split)
    looked = look(asked.sources(split), asked.folder, asked.tokens, rules, found, part)
    views = [one.views[0] for one in looked]
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
