"""What an import says is what its spec is resolved to: no default of a spec stands in for the source's."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import FtspecError
from ftspec.plan.resolve import resolve
from ftspec.port.bring import Imported, bring
from ftspec.spec.load import loads
from ftspec.spec.write import dump
from tests.conftest import ROOT
from tests.port.conftest import Bring

CORPUS = Path(os.environ.get("FTSPEC_CORPUS", ROOT.parent / "shared" / "corpus"))
DECIDED = {
    "hardware.device",  # by the machine
    "data.train_on",  # where a row has one answer, all names for it are one
    "data.train",
    "data.eval",  # their format is recognised
    "train.max_grad_norm",  # of steps that are made weight by weight
    "train.warmup_ratio",  # a share of known steps is a number of them
}
SHUFFLED = """\
model_name_or_path: org/model
stage: kto
do_train: true
dataset: kto_en_demo
output_dir: saves
"""


def changed(imported: Imported) -> dict[str, Any]:
    """Values that are others once the spec's text is resolved."""
    resolved = resolve(loads(imported.composed.text, "imported.yaml")).values
    values = imported.composed.values
    return {
        path: (value, resolved[path].value)
        for path, value in values.items()
        if path in resolved and path not in DECIDED
        if value is not None and value != resolved[path].value
    }


def test_a_default_that_gives_way_is_written_where_it_is_said(read: Bring) -> None:
    """KTO's rows stay in their order, reward models leave out long rows, unless a spec says otherwise."""
    shuffled = read(SHUFFLED)
    assert shuffled.composed.values["data.shuffle"] is True
    assert "  shuffle: true\n" in shuffled.composed.text
    assert "  max_length: 2048\n" in shuffled.composed.text
    ordered = read(SHUFFLED + "disable_shuffling: true\npreprocessing_batch_size: 8\n")
    assert "shuffle" not in ordered.composed.text
    scored = read(SHUFFLED.replace("stage: kto", "stage: rm").replace("kto_en", "dpo_en"))
    assert "  overflow: truncate-turns\n" in scored.composed.text
    for imported in (shuffled, ordered, scored):
        assert not changed(imported)
        loaded = loads(imported.composed.text, "imported.yaml")
        assert loads(dump(loaded.spec), "again.yaml").spec == loaded.spec
        assert dump(loaded.spec) == dump(loads(dump(loaded.spec), "again.yaml").spec)


@pytest.mark.sweep
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of published configs is not here")
@pytest.mark.parametrize(("name", "least"), [("llamafactory", 35), ("axolotl", 80)])
def test_published_configs_are_resolved_to_what_they_say(name: str, least: int) -> None:
    seen: Counter[str] = Counter()
    for path in sorted((CORPUS / name).iterdir()):
        imported = bring([path])
        try:
            found = changed(imported)
        except FtspecError:
            seen["open"] += 1  # a person has to complete it first
            continue
        assert not found, path.name
        seen["resolved"] += 1
    assert seen["resolved"] >= least, seen
