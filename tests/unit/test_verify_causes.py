"""Table and page of hazards belong together, and every difference has an answer."""

from __future__ import annotations

import re

from ftspec.verify.causes import CAUSES, HAZARDS, PAGE, Cause
from ftspec.verify.checks import CHECKS, DRAWN, SEEDED


def test_every_hazard_has_its_section_and_every_section_its_hazard(root):
    page = (root / PAGE).read_text(encoding="utf-8")
    anchors = re.findall(r"^### (\S+)$", page, re.MULTILINE)
    assert sorted(anchors) == sorted(HAZARDS)
    assert len(set(anchors)) == len(anchors)


def test_every_section_says_what_happens_and_what_is_done(root):
    page = (root / PAGE).read_text(encoding="utf-8")
    for section in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        for part in ("**What happens.**", "**What ftspec does.**", "**To do.**"):
            assert part in section, section[:40]


def test_every_check_has_causes_and_every_cause_is_a_hazard():
    assert list(CAUSES) == [check.name for check in (*CHECKS, *DRAWN, SEEDED)]
    named = {anchor for rows in CAUSES.values() for _, anchor in rows}
    assert named <= set(HAZARDS)
    # Named where nothing could be compared, whatever the check.
    assert set(HAZARDS) - named == {"missing-evidence"}


def test_the_last_row_of_every_check_always_fits():
    for rows in CAUSES.values():
        assert rows
        assert rows[-1][0](None, None, None) is True  # type: ignore[arg-type]


def test_a_cause_is_a_phrase_and_a_link():
    cause = Cause("padding")
    assert cause.sentence == "rows are padded to another length"
    assert cause.link == "docs/hazards.md#padding"
