"""Engines' settings of real projects, compiled again: no value that a file has set becomes another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit.disk import write_files
from ftspec.emit.manifest import manifest
from ftspec.port.bring import Imported, bring
from ftspec.port.verdicts import same
from ftspec.registry import load
from ftspec.spec.root import Spec
from tests.conformance.nearest import job, lowered
from tests.conformance.test_round_trip import plain
from tests.port.test_corpus import CORPUS

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of published configs is not here"),
]


FILES = 58
UNSTAGED = "Adam's correction is a step ahead"
"""Why weights in 16 bits are not compiled without stages, which is all that is refused."""


def completed(imported: Imported) -> Spec:
    """The spec of an engine's file with a model and rows, as it would stand beside a script."""
    data = imported.composed.spec.model_dump(exclude_unset=True)
    data |= {
        "model": {"name": "org/name"},
        "data": {"train": {"path": "rows.jsonl", "format": "messages"}},
    }
    data["method"] = "full"
    data["hardware"] = {**data.get("hardware", {}), "device": "cuda"}
    if (shared := data["hardware"].get("sequence_parallel", 1)) > 1:
        data["hardware"]["devices"] = shared
        data["run"] = {"environment": "latest"}  # only there accelerate shares rows
    if (cut := data["hardware"].get("tensor_parallel", 1)) > 1:
        data["hardware"]["devices"] = cut
    data.setdefault("train", {}).setdefault("steps", 10**6)
    return Spec.model_validate(data)


def settings(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a ds_config.json by their dotted keys."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from settings(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def test_no_value_that_an_engine_was_told_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = load("deepspeed")
    monkeypatch.chdir(tmp_path)
    held, native, refused = 0, 0, 0
    for path in sorted((CORPUS / "deepspeed").iterdir()):
        imported = bring([path])
        resolved, result, values = lowered(completed(imported), backend)
        if result.refusals:
            (refusal,) = result.refusals
            assert UNSTAGED in refusal.reason, (path.name, refusal)
            refused += 1
            continue
        made = job(resolved, values, backend)
        files = [*backend.emit(result.native, made)]
        proof = manifest(made, backend, files, lock_key="", versions={})
        write_files(tmp_path / "build", [*files, proof], overwrite=True)
        again = bring([tmp_path / "build"]).composed.values
        (part,) = imported.parts
        for spec_path in part.origins:
            if spec_path in values and spec_path in part.spec:
                assert plain(again.get(spec_path)) == plain(part.spec[spec_path]), (
                    path.name,
                    spec_path,
                )
        (config,) = (file for file in files if file.path == "ds_config.json")
        emitted = dict(settings(json.loads(config.content)))
        for fate in imported.fates:
            value, kept = fate.setting.value, emitted.get(fate.setting.key, "auto")
            if fate.faithful and fate.kind != "inert" and kept != "auto":
                assert same(kept, value), (path.name, fate.setting.key)
                native += 1
        held += 1
    assert held + refused == FILES
    assert held >= 50
    assert native >= 120
