"""Configs that real projects publish: what `make corpus` prints does not fall below what was reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.corpus import Tally, tally
from tests.conftest import ROOT

pytestmark = pytest.mark.sweep

CORPUS = Path(os.environ.get("FTSPEC_CORPUS", ROOT.parent / "shared" / "corpus"))
FLOORS = {
    # format: files, whole files, share of settings of which nothing is lost
    "llamafactory": (56, 37, 0.98),
    "trl": (19, 18, 0.99),
    "axolotl": (133, 80, 0.98),
    "deepspeed": (58, 47, 0.89),
    "accelerate": (28, 23, 0.96),
}


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of published configs is not here")
@pytest.mark.parametrize("name", FLOORS)
def test_the_floor_holds(name: str) -> None:
    files, whole, share = FLOORS[name]
    found: Tally = tally(CORPUS, name)
    assert found.files == files
    assert (found.refused, found.tracebacks, found.dropped) == (0, 0, 0)
    assert sum(found.fates.values()) >= found.settings > 0
    assert found.whole >= whole
    assert found.share >= share
