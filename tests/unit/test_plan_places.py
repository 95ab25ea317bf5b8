"""Paths: a spec's start at its folder, emitted ones at the compiled folder, and neither at the root."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ftspec.plan.places import is_local, rebase, rebase_values

PART = st.sampled_from(("a", "b c", "..", ".", "x.jsonl", "é", "$HOME", "-"))
RELATIVE = st.lists(PART, min_size=1, max_size=4).map("/".join)
FOLDER = st.lists(st.sampled_from(("p", "q", "r")), min_size=1, max_size=3).map("/".join)


@given(RELATIVE, FOLDER, FOLDER)
def test_a_moved_path_leads_to_the_same_place(path: str, start: str, target: str) -> None:
    root = Path("/nowhere")
    moved = rebase(path, root / start, root / target)
    assert os.path.normpath(root / target / moved) == os.path.normpath(root / start / path)
    assert not PurePosixPath(moved).is_absolute()


@given(RELATIVE, FOLDER, FOLDER)
def test_a_moved_path_does_not_say_where_the_project_lies(
    path: str, start: str, target: str
) -> None:
    climbed = os.path.normpath(f"{start}/{path}")
    assume(not climbed.startswith(".."))  # out of the project: then its place counts
    here, there = Path("/nowhere/here"), Path("/elsewhere/deeper/there")
    assert rebase(path, here / start, here / target) == rebase(path, there / start, there / target)


def test_absolute_paths_and_homes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere/me")
    assert rebase("/data/x", Path("/a"), Path("/b")) == "/data/x"
    assert rebase("~/x", Path("/a"), Path("/b")) == "/nowhere/me/x"


def test_what_a_local_model_is(tmp_path: Path) -> None:
    (tmp_path / "org" / "name").mkdir(parents=True)
    for name, local in (
        ("./x", True), ("../x", True), ("/x", True), ("~/x", True), ("org/name", True),
        ("org/other", False), ("name", False), ("x" * 5000, False), ("a\0b", False),
    ):  # fmt: skip
        assert is_local(name, tmp_path) is local, name


def test_all_paths_of_a_spec_are_moved_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    source = {"path": "rows.jsonl", "hub": None, "split": "rows.jsonl"}
    hub = {"path": None, "hub": "org/rows", "split": "train"}
    values = {
        "model.name": "model", "model.revision": "model", "model.chat_template": "chat.jinja",
        "method.tuner.adapter": "./adapter", "train.resume": "checkpoint-3",
        "data.train": (source, hub), "data.eval": (),
    }  # fmt: skip
    moved = rebase_values(values, tmp_path, tmp_path / "build" / "trl")
    assert moved == {
        "model.name": "../../model", "model.revision": "model",
        "model.chat_template": "../../chat.jinja", "method.tuner.adapter": "../../adapter",
        "train.resume": "../../checkpoint-3",
        "data.train": ({**source, "path": "../../rows.jsonl"}, hub), "data.eval": (),
    }  # fmt: skip
    plain = {**values, "model.name": "org/name", "model.chat_template": "tokenizer"}
    assert rebase_values(plain, tmp_path, tmp_path / "b")["model.name"] == "org/name"
    assert rebase_values(plain, tmp_path, tmp_path / "b")["model.chat_template"] == "tokenizer"
    # beside the compiled folder a model must still not look like a hub id
    assert rebase_values(values, tmp_path, tmp_path)["model.name"] == "./model"
