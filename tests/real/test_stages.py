"""Three stages on two backends, really trained: texts, answers, and preferences over merged weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from ftspec.env.install import ensure
from ftspec.env.store import Environment
from ftspec.errors import RunError
from ftspec.plan.pipeline import Link, make_pipeline
from ftspec.registry import load as load_backend
from ftspec.run.pipeline import run_links
from ftspec.run.taken import results, whole
from ftspec.spec.pipeline import Pipeline, load_any
from tests.conftest import SPECS
from tests.real.conftest import Lab

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SPEC = """\
model: ./tiny-model
data: {max_length: 256, overflow: error}
precision: fp32
train:
  steps: 2
  batch_size: 4
  micro_batch_size: 2
  learning_rate: 1e-3
  logging_steps: 1
  gradient_checkpointing: false
hardware: {device: cpu}

stages:
  - name: texts
    data: {train: documents.jsonl, prepare: ftspec, overflow: truncate, max_length: 96}
    method: {objective: cpt, tuner: full}
    run: trl
  - name: answers
    model: {stage: texts}
    data: data/chat.jsonl
    method: {tuner: {type: lora, rank: 4}}
    run: llamafactory
  - name: last
    model: {stage: answers, adapter: merge}
    data: data/preferences.jsonl
    method: {objective: dpo, tuner: full}
    train: {learning_rate: 1e-12} # so little that the weights show what they began as
    run: trl
"""


@pytest.fixture(scope="module")
def links(lab: Lab) -> tuple[Link, ...]:
    """The stages, with texts to read; nothing is run yet."""
    rows = (lab.specs / "data" / "chat.jsonl").read_text("utf-8").splitlines()[:8]
    texts = [" ".join(t["content"] for t in json.loads(row)["messages"]) for row in rows]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (lab.specs / "documents.jsonl").write_text(lines, "utf-8")
    (lab.specs / "staged.yaml").write_text(SPEC, "utf-8")
    return planned(lab)


def planned(lab: Lab) -> tuple[Link, ...]:
    pipeline = load_any(lab.specs / "staged.yaml")
    assert isinstance(pipeline, Pipeline)
    return make_pipeline(pipeline)


def run(links: tuple[Link, ...]) -> list[str]:
    """The names of the stages that were run."""

    def place(link: Link) -> Environment:
        return ensure(load_backend(link.plan.backend), link.plan.lock())

    done = run_links(links, place)
    return [one.link.name for one in done if one.result]


def weights(link: Link) -> dict[str, Any]:
    (file,) = results(link.plan).glob("*model.safetensors")
    return load_file(file)


def test_stages_train_on_what_the_one_before_left(lab: Lab, links: tuple[Link, ...]) -> None:
    texts, answers, *_ = links
    assert [link.plan.backend for link in links] == ["trl", "llamafactory", "llamafactory", "trl"]
    with pytest.raises(RunError, match="stage texts has not run"):
        run(links[1:])
    assert run(links[:2]) == ["texts", "answers"]
    # on from there; and a plan made now, with results there, is the one that was made before
    assert [link.plan.digest() for link in planned(lab)] == [link.plan.digest() for link in links]
    assert run(planned(lab)) == ["answers-merged", "last"]
    assert run(links) == []

    begun = load_file(lab.specs / "tiny-model" / "model.safetensors")
    read, told, sum_, end = (weights(link) for link in links)
    assert any(not np.array_equal(begun[name], read[name]) for name in begun)
    config = json.loads((results(answers.plan) / "adapter_config.json").read_text())
    named = Path(answers.plan.folder, config["base_model_name_or_path"]).resolve()
    assert named == results(texts.plan)
    noted = json.loads((answers.plan.folder / "run/results.json").read_text())
    assert noted["inputs"] == {"texts": whole("texts", texts.plan)}

    changed = 0
    for name, value in read.items():
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        down, up = (told.get(f"{stem}.lora_{part}.weight") for part in "AB")
        added = 0 if down is None else 2 * (up @ down)  # alpha / rank is 2
        changed += down is not None
        np.testing.assert_allclose(sum_[name], value + added, rtol=0, atol=1e-7)
        # the last stage began with these
        np.testing.assert_allclose(end[name], sum_[name], rtol=0, atol=1e-9)
    assert changed == 14
    assert len(told) == 28
    assert any(np.abs(value).max() > 0 for name, value in told.items() if "lora_B" in name)


def test_a_damaged_result_stops_what_comes_after_it(links: tuple[Link, ...]) -> None:
    assert run(links) == []
    file = results(links[2].plan) / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-4] + b"\x00\x00\x00\x01")
    with pytest.raises(RunError, match=r"the result of stage answers-merged was changed"):
        run(links)
    file.write_bytes(content)
    assert run(links) == []


def test_the_shipped_example_learns_answers_and_then_preferences(lab: Lab) -> None:
    shutil.copy(SPECS / "stages-tiny.yaml", lab.specs)
    pipeline = load_any(lab.specs / "stages-tiny.yaml")
    assert isinstance(pipeline, Pipeline)
    links = make_pipeline(pipeline)
    assert [link.plan.backend for link in links] == ["llamafactory", "llamafactory", "trl"]
    assert run(links) == ["answers", "answers-merged", "preferences"]
    assert run(links) == []
    (learned,) = results(links[2].plan).glob("adapter_config.json")
    base = json.loads(learned.read_text("utf-8"))["base_model_name_or_path"]
    assert Path(links[2].plan.folder, base).resolve() == results(links[1].plan)
    state = json.loads((results(links[2].plan) / "trainer_state.json").read_text("utf-8"))
    margins = [step["rewards/margins"] for step in state["log_history"] if "loss" in step]
    assert len(margins) == 4
    assert margins[0] == 0  # the reference is the merged model itself
    assert margins[-1] > 0


BESIDE = (
    SPEC[: SPEC.index("stages:")]
    + """\
stages:
  - name: answers
    data: data/chat.jsonl
    method: {tuner: {type: lora, rank: 4}}
    run: trl
  - name: taught
    data: data/chat.jsonl
    method: {objective: {type: gkd, teacher_stage: answers}, tuner: full}
    run: trl
  - name: chosen
    model: {stage: taught}
    data: data/preferences.jsonl
    method: {objective: {type: dpo, reference_stage: answers}, tuner: full}
    run: llamafactory
"""
)


def test_a_stage_is_the_teacher_of_one_and_the_reference_of_another(lab: Lab) -> None:
    (lab.specs / "beside.yaml").write_text(BESIDE, "utf-8")
    pipeline = load_any(lab.specs / "beside.yaml")
    assert isinstance(pipeline, Pipeline)
    links = make_pipeline(pipeline)
    assert run(links) == ["answers", "answers-merged", "taught", "chosen"]
    assert run(make_pipeline(pipeline)) == []  # a plan is the same before and after
    merged, taught, chosen = (results(link.plan) for link in links[1:])

    def losses(folder: Path) -> list[float]:
        state = json.loads((folder / "trainer_state.json").read_text("utf-8"))
        return [entry["loss"] for entry in state["log_history"] if "loss" in entry]

    # it begins as the base, which the teacher has left
    assert losses(taught)[0] > 0
    assert abs(losses(chosen)[0] - 0.6931) > 1e-5, "measured from another model than itself"
    text = (links[3].plan.folder / "train.yaml").read_text("utf-8")
    assert f"answers-merged/trl/{merged.name}" in text
    file = merged / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-4] + bytes(4))
    with pytest.raises(RunError, match="the result of stage answers-merged was changed"):
        run(links)
    file.write_bytes(content)


def test_a_teacher_writes_and_a_pupil_learns(lab: Lab) -> None:
    shutil.copy(SPECS / "written-tiny.yaml", lab.specs)
    pipeline = load_any(lab.specs / "written-tiny.yaml")
    assert isinstance(pipeline, Pipeline)
    links = make_pipeline(pipeline)
    assert run(links) == ["teacher", "pupil-answers", "pupil"]
    assert run(make_pipeline(pipeline)) == []  # a plan is the same before and after
    file = results(links[1].plan) / "answers.jsonl"
    rows = [json.loads(line)["messages"] for line in file.read_text("utf-8").splitlines()]
    prompts = (lab.specs / "data" / "prompts.jsonl").read_text("utf-8").splitlines()
    assert 0 < len(rows) <= len(prompts)
    asked = [json.loads(line)["prompt"] for line in prompts]
    for *turns, answer in rows:
        assert (turns if isinstance(asked[0], list) else turns[-1]["content"]) in asked
        assert answer["role"] == "assistant" and answer["content"].strip()
    assert len({turns[-1]["content"] for turns in rows}) > len(rows) / 2, "they are drawn"
    # answers that were changed by hand are not taken
    content = file.read_bytes()
    file.write_bytes(content + content.splitlines(keepends=True)[0])
    with pytest.raises(RunError, match="the result of stage pupil-answers was changed"):
        run(links)
    file.write_bytes(content)
