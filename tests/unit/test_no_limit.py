"""No limit of the length: what a spec may say beside it, and what becomes of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ftspec.plan.data_stages import check_split, prepare_split
from ftspec.plan.make import make_plan
from ftspec.plan.readers import readers
from ftspec.spec.data import Data
from ftspec.spec.load import loads
from tests.conftest import SPECS

TEXT = f"""\
model: {SPECS / "tiny-model"}
data: {{train: long.jsonl, max_length: null}}
precision: fp32
hardware: {{device: cpu}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    """A spec over one long row, without a limit."""
    turns = [
        {"role": "user", "content": "Count."},
        {"role": "assistant", "content": "one two three. " * 700},
    ]
    (tmp_path / "long.jsonl").write_text(json.dumps({"messages": turns}) + "\n", "utf-8")
    return lambda *sets: loads(TEXT, str(tmp_path / "spec.yaml"), sets)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"overflow": "drop"}, "no row is longer than no limit"),
        ({"overflow": "error"}, "no row is longer than no limit"),
        ({"packing": "documents"}, "`packing` needs a `max_length`"),
        ({"packing": "blocks"}, "`packing` needs a `max_length`"),
    ],
)
def test_what_has_no_sense_beside_it(more: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Data.model_validate({"train": "a.jsonl", "max_length": None, **more})
    assert Data.model_validate({"train": "a.jsonl", **more})


def test_the_script_cuts_nothing(spec: Any, tmp_path: Path) -> None:
    for name in ("trl", "deepspeed"):
        plan = make_plan(spec(), name, tmp_path / name)
        assert plan.native["SFTConfig.max_length"] is None
        report = check_split(plan.resolved, "train", lengths=True)
        assert (report.truncated, report.kept) == (0, 1) and report.longest > 2048


def test_prepared_rows_are_whole(spec: Any, tmp_path: Path) -> None:
    plan = make_plan(spec("data.prepare=ftspec"), "llamafactory", tmp_path / "out")
    assert plan.native["cutoff_len"] is None
    report = prepare_split(plan.resolved, "train", tmp_path / "rows" / "train")
    assert (report.truncated, report.kept) == (0, 1)
    assert report.tokens == report.longest > 2048


@pytest.mark.parametrize("who", ["framework", "ftspec"])
def test_the_preview_says_so(spec: Any, who: str) -> None:
    (group,) = readers(spec(f"data.prepare={who}"), ["trl", "deepspeed"]).groups
    assert group.rule.describe()[1] == "no row is cut, however long"
