"""Stages walked with a launcher that trains nothing: what is complete stays, what is not is run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftspec.backend import File
from ftspec.errors import RunError
from ftspec.plan.pipeline import Link
from ftspec.plan.stages import BuildEnvironment, Collect, Launch, Plan, Stage, TakeResult, WriteFile
from ftspec.plan.values import Resolved, Value
from ftspec.run.execute import Event
from ftspec.run.pipeline import Done, finished, run_links
from ftspec.run.state import read_state
from ftspec.run.taken import take, whole
from ftspec.spec.load import loads
from tests.unit.test_run_execute import here

TRAIN = """
import json, pathlib, struct
here = pathlib.Path.cwd()
with (here.parent / "ran").open("a") as ran:
    ran.write(here.name + "\\n")
if (here / "fail").exists():
    raise SystemExit(3)
begins = here.parent / "{begins}" / "model" / "model.safetensors"
value = float(begins.read_bytes()[-1]) if "{begins}" else 0.0
folder = here / "model"
folder.mkdir(exist_ok=True)
header = json.dumps({{"a": {{"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}}}).encode()
data = struct.pack("<Q", len(header)) + header + bytes([int(value) + {adds}])
(folder / "model.safetensors").write_bytes(data)
(folder / "config.json").write_text(json.dumps({{"dtype": "{stored}"}}))
"""


def link(
    base: Path, name: str, before: Link | None = None, adds: int = 1, stored: str = "float32"
) -> Link:
    script = TRAIN.format(begins=before.name if before else "", adds=adds, stored=stored)
    values = {"derived.stored_dtype": Value("float32", "machine")}
    loaded = loads("model: org/base\ndata: rows.jsonl", str(base / "mine.yaml"))
    files = ("org/base", "main") if before else None
    taken: tuple[Stage, ...] = (TakeResult(before.name, before.plan),) if before else ()
    stages = (
        *taken,
        WriteFile(File.text("train.py", script)),
        BuildEnvironment("trl", "aligned", "0" * 12),
        Launch(("{python}", "train.py"), {}, ()),
        Collect("model"),
    )
    resolved = Resolved(loaded, f"mine-{name}", values, files)
    return Link(name, Plan("trl", resolved, {}, (), stages, base / name), "asked for")


def three(base: Path, **middle: Any) -> list[Link]:
    one = link(base, "one")
    two = link(base, "two", one, **middle)
    return [one, two, link(base, "three", two)]


def run(links: list[Link], overwrite: bool = False) -> list[bool]:
    """Which of the stages were run; the others stood."""
    done = run_links(links, lambda _link: here(), overwrite=overwrite)
    return [one.result is not None for one in done]


def ran(base: Path) -> list[str]:
    file = base / "ran"
    names = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return names


def value(link: Link) -> int:
    return (link.plan.folder / "model" / "model.safetensors").read_bytes()[-1]


def test_each_begins_with_what_the_one_before_left(tmp_path: Path) -> None:
    links = three(tmp_path)
    events: list[Event] = []
    done: list[Done] = []
    run_links(links, lambda _link: here(), events.append, on_done=done.append)
    assert [value(one) for one in links] == [1, 2, 3]
    assert ran(tmp_path) == ["one", "two", "three"]
    assert dict.fromkeys(event.backend for event in events) == dict.fromkeys(
        f"{name}/trl" for name in ("one", "two", "three")
    )
    noted = json.loads((tmp_path / "two/run/results.json").read_text())
    assert noted["inputs"] == {"one": whole("one", links[0].plan)}
    assert [one.link.name for one in done] == ["one", "two", "three"]
    # all complete: nothing is run again
    assert run(links) == [False, False, False]
    assert ran(tmp_path) == []


def test_it_goes_on_at_the_stage_that_failed(tmp_path: Path) -> None:
    links = three(tmp_path)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "fail").touch()
    with pytest.raises(RunError, match="stage two: training failed") as caught:
        run(links)
    assert "exit code 3" in str(caught.value)
    assert ran(tmp_path) == ["one", "two"]
    assert read_state(tmp_path / "three") is None
    (tmp_path / "two" / "fail").unlink()
    assert run(links) == [False, True, True]
    assert ran(tmp_path) == ["two", "three"]
    assert value(links[2]) == 3


def test_an_interrupted_stage_is_run_again_and_those_before_it_stand(tmp_path: Path) -> None:
    links = three(tmp_path)

    def interrupt(event: Event) -> None:
        if event.backend == "two/trl" and event.stage == "train" and event.kind == "start":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_links(links, lambda _link: here(), interrupt)
    state = read_state(tmp_path / "two")
    assert state is not None
    assert (state.status, state.stage) == ("interrupted", "train")
    assert finished(links[0]) and not finished(links[1])
    ran(tmp_path)
    assert run(links) == [False, True, True]


@pytest.mark.parametrize("broken", ["running", "failed", "nothing", "changed", "cut", "other"])
def test_no_stage_begins_with_what_is_not_complete(tmp_path: Path, broken: str) -> None:
    links = three(tmp_path)
    run(links[:1])
    ran(tmp_path)
    weights = tmp_path / "one/model/model.safetensors"
    state = tmp_path / "one/run/state.json"
    expected = {
        "running": "stage one is not complete: running",
        "failed": "stage one is not complete: failed",
        "nothing": "stage one has not run",
        "changed": "the result of stage one was changed after it was noted: model.safetensors",
        "cut": "was cut off",
        "other": "holds the result of another spec than stage one is now",
    }[broken]
    if broken in ("running", "failed"):
        state.write_text(state.read_text().replace('"done"', f'"{broken}"'))
    elif broken == "nothing":
        state.unlink()
    elif broken == "changed":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x63")
    elif broken == "cut":
        weights.write_bytes(weights.read_bytes()[:-1])
    else:
        links[1] = link(tmp_path, "two", link(tmp_path, "one", adds=5))
    with pytest.raises(RunError, match=expected):
        run(links[1:])
    assert ran(tmp_path) == []
    found = read_state(tmp_path / "two")
    assert found is not None
    assert (found.status, found.stage) == ("failed", "take one")


def test_a_result_that_was_changed_is_told_and_overwrite_replaces_it(tmp_path: Path) -> None:
    links = three(tmp_path)
    run(links)
    weights = tmp_path / "two/model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x63")
    ran(tmp_path)
    with pytest.raises(RunError, match="the result of stage two was changed"):
        run(links)
    assert ran(tmp_path) == []
    assert run(links, overwrite=True) == [False, True, False]  # the same result as before
    assert [value(one) for one in links] == [1, 2, 3]


def test_a_stage_on_another_input_is_not_taken_for_complete(tmp_path: Path) -> None:
    links = three(tmp_path)
    run(links)
    changed = three(tmp_path, adds=4)
    with pytest.raises(RunError, match="holds results of another spec"):
        run(changed)
    ran(tmp_path)
    assert run(changed, overwrite=True) == [False, True, True]
    assert [value(one) for one in changed] == [1, 5, 6]
    # the last stage's own files never changed; what it began with did
    assert changed[2].plan.digest() == links[2].plan.digest()
    noted = tmp_path / "three/run/results.json"
    text = noted.read_text().replace(whole("two", changed[1].plan), "0" * 64)
    noted.write_text(text)
    with pytest.raises(RunError, match="stage three began with another result of two"):
        run(changed)


def test_weights_in_another_type_than_was_planned_with_are_refused(tmp_path: Path) -> None:
    links = three(tmp_path, stored="bfloat16")
    with pytest.raises(RunError, match="two saved weights as bfloat16, and float32 was planned"):
        run(links)
    assert ran(tmp_path) == ["one", "two"]


def test_another_chat_template_than_was_planned_with_is_refused(tmp_path: Path) -> None:
    one, two, _ = three(tmp_path)
    run([one])
    (tmp_path / "base").mkdir()
    resolved = replace(two.plan.resolved, files=("base", "main"))
    (taken,) = (stage for stage in two.plan.stages if isinstance(stage, TakeResult))
    take(taken, resolved)
    (tmp_path / "base/chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(RunError, match="a tokenizer with another chat template"):
        take(taken, resolved)
