"""Writing several plans of one spec: data that they share is read once, and each gets the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import DataError
from ftspec.plan import write
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Plan
from ftspec.spec.load import load
from tests.conftest import SPECS

ROW = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
TWICE = ROW.replace("}]}", '}, {"role": "assistant", "content": "c"}]}')


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked of the data floor; it is asked all the same."""
    seen: list[tuple[Any, ...]] = []

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(write, name)

        def call(*arguments: Any) -> Any:
            seen.append((name, *arguments[1:]))
            return real(*arguments)

        return call

    for name in ("check_split", "prepare_split"):
        monkeypatch.setattr(write, name, watched(name))
    return seen


READING = ["deepspeed", "llamafactory", "trl", "unsloth"]
"""Backends whose frameworks read the rows themselves."""


def plans(tmp_path: Path, *sets: str, rows: str = ROW) -> list[Plan]:
    (tmp_path / "a.jsonl").write_text(rows * 3)
    data = f"data.train={tmp_path / 'a.jsonl'}"
    loaded = load(SPECS / "quickstart.yaml", (data, *sets))
    return [make_plan(loaded, name, tmp_path / name) for name in READING]


def test_rows_are_tokenised_once(tmp_path: Path, calls: list[tuple[Any, ...]]) -> None:
    written = write.write_plans(plans(tmp_path))
    # LLaMA-Factory leaves more out than the others, and is asked for that alone
    assert calls == [
        ("check_split", "train", True, False, False),
        ("check_split", "train", False, True, False),
    ]
    assert list(written) == READING
    assert all(path.is_file() for paths in written.values() for path in paths)


def test_what_one_framework_leaves_out_is_still_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="would leave the row out"):
        write.write_plans(plans(tmp_path, rows=TWICE))


def test_too_long_a_row_is_still_found_by_each_alone(tmp_path: Path) -> None:
    for plan in plans(tmp_path, "data.max_length=8"):
        with pytest.raises(DataError, match="the limit is 8"):
            write.write_plan(plan)
        assert not plan.folder.exists()


def test_prepared_rows_are_made_once_and_lie_in_each_folder(
    tmp_path: Path, calls: list[tuple[Any, ...]]
) -> None:
    several = plans(tmp_path, "data.prepare=ftspec")
    written = write.write_plans(several)
    assert [name for name, *_ in calls] == ["prepare_split"]
    folders = [plan.folder / "data" for plan in several]
    files = [path.relative_to(folders[0]) for path in folders[0].rglob("*") if path.is_file()]
    assert len(files) == 4
    for folder in folders:
        assert {path: (folder / path).read_bytes() for path in files} == {
            path: (folders[0] / path).read_bytes() for path in files
        }
        assert len(list(folder.rglob("*"))) == 5
    assert all(paths[0].is_dir() for paths in written.values())
    write.write_plans(several)  # over themselves
