"""Published configs, ported: what `make ports` prints does not fall below what was reached."""

from __future__ import annotations

import pytest

from scripts.ports import FORMATS, sources, tally
from tests.port.test_corpus import CORPUS

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of published configs is not here"),
]
SAMPLE = 6
"""One in so many files: planning all of them takes minutes."""
FLOORS = {
    # from, to: of the sample the files, those that go at once, those that go with the options it says
    ("llamafactory", "trl"): (8, 7, 7),
    ("llamafactory", "axolotl"): (8, 0, 5),
    ("trl", "llamafactory"): (2, 0, 2),
    ("axolotl", "trl"): (18, 13, 15),
    ("axolotl", "llamafactory"): (18, 0, 11),
    ("axolotl", "deepspeed"): (18, 2, 16),
}


@pytest.mark.parametrize(("name", "backend"), FLOORS)
def test_ports_go_as_far_as_they_did(name: str, backend: str) -> None:
    assert name in FORMATS
    files, at_once, with_options = FLOORS[name, backend]
    found = tally(list(sources(CORPUS, name, SAMPLE)), name, backend)
    assert found.files >= files
    assert found.at_once >= at_once
    assert found.with_options >= with_options
