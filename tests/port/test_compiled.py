"""A folder that ftspec compiled, imported: all of it comes back, or it says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.plan.make import make_plan
from ftspec.plan.pipeline import make_pipeline
from ftspec.plan.pipeline_files import write_pipeline
from ftspec.plan.write import write_plan
from ftspec.port import traces
from ftspec.port.bring import bring
from ftspec.spec.load import load, loads
from ftspec.spec.pipeline import Pipeline, load_any
from tests.conftest import SPECS

BACKENDS = ("trl", "llamafactory", "unsloth", "deepspeed")


def compiled(folder: Path, backend: str, *sets: str, name: str = "quickstart") -> Path:
    write_plan(make_plan(load(SPECS / f"{name}.yaml", sets), backend, folder / backend))
    return folder / backend


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_compiles_to_the_same_files_again(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = compiled(tmp_path / "one", backend)
    monkeypatch.chdir(tmp_path)
    imported = bring([folder])
    assert imported.faithful and len(imported.fates) > 60
    assert bring([folder / "launch.sh"]).composed.text == imported.composed.text
    again = loads(imported.composed.text, str(tmp_path / "quickstart.yaml"))
    plan = make_plan(again, backend, tmp_path / "two" / backend)
    native = make_plan(load(SPECS / "quickstart.yaml"), backend, folder).native
    assert {**plan.native} == {**native}


def test_a_changed_folder_is_not_taken_for_what_was_compiled(tmp_path: Path) -> None:
    folder = compiled(tmp_path, "trl")
    with (folder / "train.py").open("a") as file:
        file.write("trainer.model.zero_()\n")
    with pytest.raises(SpecError, match=r"train.py was changed since ftspec wrote it"):
        bring([folder])
    assert len(bring([folder / "train.py"]).parts[0].format.name) > len("compiled")


def test_a_folder_of_several_runs_names_them_and_a_merge_is_no_training(tmp_path: Path) -> None:
    pipeline = load_any(SPECS / "stages-tiny.yaml")
    assert isinstance(pipeline, Pipeline)
    write_pipeline(pipeline, make_pipeline(pipeline, None, tmp_path), tmp_path)
    with pytest.raises(SpecError, match="not of one run") as caught:
        bring([tmp_path])
    assert f"{tmp_path / '1-answers'}, " in caught.value.problems[0].hint
    assert bring([tmp_path / "1-answers"]).fates
    with pytest.raises(SpecError, match="it trains nothing") as caught:
        bring([tmp_path / "2-answers-merged"])
    assert caught.value.problems[0].hint
    assert [traces.compiled(each) for each in (tmp_path, tmp_path / "2-answers-merged")] == [
        None
    ] * 2
    assert traces.compiled(tmp_path / "1-answers")


def test_what_was_passed_through_is_kept(tmp_path: Path) -> None:
    setting = "native.llamafactory.plot_loss=true"
    imported = bring([compiled(tmp_path, "llamafactory", setting)])
    assert {fate.setting.key: fate.kind for fate in imported.fates}["plot_loss"] == "kept"
    assert imported.composed.spec.native == {"llamafactory": {"plot_loss": True}}


def test_rewards_of_ones_own_and_rows_that_were_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rewarded = bring([compiled(tmp_path, "trl", name="grpo-tiny")])
    assert "file: trl/own_rewards" in rewarded.composed.text
    prepared = bring([compiled(tmp_path / "more", "trl", "data.prepare=ftspec")])
    assert not prepared.faithful
    assert any("prepared by ftspec" in question for question in prepared.composed.open)
