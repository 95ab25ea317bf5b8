"""Specs with stages: what a stage is, and what it may take of another."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ftspec.errors import SpecError
from ftspec.spec.load import load
from ftspec.spec.pipeline import Pipeline, load_any
from ftspec.spec.schema import json_schema
from ftspec.spec.stages import overlay
from ftspec.spec.text import parse

VALIDATOR = Draft202012Validator(json_schema())
SHARED = """\
model: ./tiny
data: {max_length: 128}
train: {epochs: 1, batch_size: 4}
"""
TWO = """\
stages:
  - name: cpt
    data: {train: text.jsonl, max_length: 64}
    method: {objective: cpt, tuner: full}
  - name: sft
    model: {stage: cpt}
    data: chat.jsonl
    train: {steps: 3}
"""


def read(tmp_path: Path, text: str, *sets: str) -> Pipeline:
    file = tmp_path / "spec.yaml"
    file.write_text(text, "utf-8")
    found = load_any(file, sets)
    assert isinstance(found, Pipeline)
    return found


def refused(tmp_path: Path, text: str, *sets: str) -> list[tuple[int, str]]:
    """Line and message of each problem."""
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text, *sets)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_stages_lie_over_what_is_shared(tmp_path: Path) -> None:
    cpt, sft = (step.loaded.spec for step in read(tmp_path, SHARED + TWO).steps)
    assert (cpt.data.max_length, sft.data.max_length) == (64, 128)
    assert (cpt.train.epochs, cpt.train.steps) == (1, None)
    # of two fields that exclude each other, the stage's own stays
    assert (sft.train.epochs, sft.train.steps, sft.train.batch_size) == (None, 3, 4)
    assert (cpt.method.tuner.type, sft.method.tuner.type) == ("full", "lora")
    assert (cpt.output.folder, sft.output.folder) == ("runs/spec/cpt", "runs/spec/sft")
    assert VALIDATOR.is_valid(parse(SHARED + TWO).data)


def test_a_field_of_a_stage_is_whole() -> None:
    shared = {"train": {"optimizer": {"type": "lion", "beta1": 0.8}, "seed": 1}, "method": "lora"}
    own = {"train": {"optimizer": {"eps": 1e-7}}, "method": "sft", "run": "trl"}
    assert overlay(shared, own) == {
        "train": {"optimizer": {"eps": 1e-7}, "seed": 1},
        "method": {"tuner": "lora", "objective": "sft"},
        "run": "trl",
    }


def test_an_adapter_is_trained_further_over_the_same_base(tmp_path: Path) -> None:
    text = """\
model: {name: org/base, revision: v2, attention: eager}
method: {tuner: {type: qlora, rank: 4}}
data: a.jsonl
stages:
  - name: one
  - {name: two, model: {stage: one, adapter: continue, dtype: bfloat16}}
"""
    one, two = read(tmp_path, text).steps
    assert one.loaded.spec.method.tuner.rank == 4  # type: ignore[union-attr]
    spec = two.loaded.spec
    assert (spec.model.attention, spec.model.dtype) == ("eager", "bfloat16")
    assert spec.model.quantization is not None
    assert spec.method.tuner.adapter == "./one"  # type: ignore[union-attr]
    assert "rank" not in spec.method.tuner.model_fields_set


def test_what_is_merged_is_in_few_bits_only_where_that_is_shared(tmp_path: Path) -> None:
    text = """\
model: a/b
data: a.jsonl
stages:
  - {name: one, method: qlora}
  - {name: two, model: {stage: one, adapter: merge}, method: full}
"""
    two = read(tmp_path, text).step("two").loaded.spec
    assert (two.model.quantization, two.method.tuner.type) == (None, "full")
    shared = text.replace("model: a/b", "model: {name: a/b, quantization: nf4}").replace(
        "full", "lora"
    )
    assert read(tmp_path, shared).step("two").loaded.spec.model.quantization is not None


def test_options_are_for_all_stages_or_for_one(tmp_path: Path) -> None:
    sets = ("train.seed=7", "stages.sft.train.steps=9", "model.name=./other")
    cpt, sft = (step.loaded.spec for step in read(tmp_path, SHARED + TWO, *sets).steps)
    assert (cpt.train.seed, sft.train.seed) == (7, 7)
    assert (cpt.train.steps, sft.train.steps) == (None, 9)
    assert cpt.model.name == "./other"
    (found,) = refused(tmp_path, SHARED + TWO, "stages.dpo.train.steps=9")
    assert found == (0, "there is no stage `dpo`")


def test_an_option_for_one_stage_is_told_as_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(SHARED + TWO)
    for option in ("stages.sft.train.nope=1", "stages.sft.train.steps=x"):
        with pytest.raises(SpecError) as caught:
            load_any(file, (option,))
        assert [problem.file for problem in caught.value.problems] == [f"--set {option}"]


BAD = [
    # the stages, line and message of each problem, and whether an editor's schema can see it
    ("stages: []\n", [(4, "expected a list of stages")], True),
    ("stages:\n  - {data: a.jsonl}\n", [(5, "a stage needs a name")], True),
    ("stages:\n  - {name: A b, data: a.jsonl}\n", [(5, "`A b` is not a name for a stage")], True),
    (
        "stages:\n  - {name: a, data: a.jsonl}\n  - {name: a, data: a.jsonl}\n",
        [(6, "there is a stage `a` already")],
        False,
    ),
    (
        "stages:\n  - name: a\n    data: a.jsonl\n    model: {stage: b}\n",
        [(7, "there is no stage `b`")],
        False,
    ),
    (
        "stages:\n  - name: a\n    data: a.jsonl\n    model: {stage: a}\n",
        [(7, "`a` begins with the model of `a`, which comes of itself")],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl, model: {stage: b}}\n"
        "  - {name: b, data: a.jsonl, model: {stage: a}}\n",
        [(5, "`a` begins with the model of `b`, which comes after it")],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl}\n  - {name: b, data: a.jsonl, model: {stage: a}}\n",
        [(6, "`a` leaves an adapter (lora): say what becomes of it")],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl, method: full}\n"
        "  - {name: b, data: a.jsonl, model: {stage: a, adapter: merge}}\n",
        [(6, "`a` trains weights of its own (full) and leaves no adapter")],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl, method: {tuner: {type: prompt}}}\n"
        "  - {name: b, data: a.jsonl, model: {stage: a, adapter: merge}}\n",
        [
            (
                6,
                "`a` leaves an adapter (prompt), and only those of lora are merged in this version of ftspec",
            )
        ],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl, method: loftq, model: {quantization: nf4}}\n"
        "  - {name: b, data: a.jsonl, model: {stage: a, adapter: merge}}\n",
        [
            (
                6,
                "`a` begins with what quantisation took from the weights (loftq), and whole weights have "
                "that already",
            )
        ],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl, method: {tuner: oft}}\n"
        "  - {name: b, data: a.jsonl, model: {stage: a, adapter: continue}}\n",
        [(6, "`a` leaves an adapter (oft), and only those of lora can be trained further")],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl, method: {objective: reward, tuner: full}}\n"
        "  - {name: b, data: a.jsonl, model: {stage: a}}\n",
        [(6, "`a` trains a reward model, which scores answers and writes none")],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl}\n  - name: b\n    data: a.jsonl\n"
        "    model: {stage: a, adapter: continue}\n    method: {tuner: {type: lora, rank: 2}}\n",
        [(9, "stage b: `rank` would have no effect: the saved `adapter` brings its own")],
        False,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl, model: {stage: a, name: b}}\n",
        [
            (5, "`a` begins with the model of `a`, which comes of itself"),
            (5, "`name` and `stage` exclude each other: keep one"),
        ],
        True,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl, model: {adapter: merge}}\n",
        [(5, "`adapter` of which stage?")],
        True,
    ),
    (
        "output: {hub: a/b}\nstages:\n  - {name: a, data: a.jsonl}\n",
        [(4, "`output.hub` cannot be shared")],
        True,
    ),
    (
        "output: runs/x\nstages:\n  - {name: a, data: a.jsonl, output: o}\n"
        "  - {name: b, data: a.jsonl, output: o}\n",
        [(7, "`a` and `b` have one output folder")],
        False,
    ),
    ("stages:\n  - {name: a, version: 1, data: a.jsonl}\n", [(5, "a stage has no version")], True),
    (
        "stages:\n  - {name: a, data: a.jsonl, trian: 1}\n",
        [(5, "`trian` is not a field of the spec")],
        True,
    ),
    (
        "stages:\n  - {name: a, data: a.jsonl}\n  - {name: b}\n",
        [(2, "stage b: `train` is missing")],
        False,
    ),
    (
        "native: {trl: 5}\nstages:\n  - {name: a, data: a.jsonl}\n  - {name: b, data: b.jsonl}\n",
        [(4, "expected a section, got 5")],
        True,
    ),
]


@pytest.mark.parametrize(("stages", "expected", "seen"), BAD, ids=range(len(BAD)))
def test_bad_stages(
    tmp_path: Path, stages: str, expected: list[tuple[int, str]], seen: bool
) -> None:
    assert refused(tmp_path, SHARED + stages) == expected
    assert VALIDATOR.is_valid(parse(SHARED + stages).data) != seen


def test_one_run_is_asked_for(tmp_path: Path) -> None:
    read(tmp_path, SHARED + TWO)
    with pytest.raises(SpecError, match="has stages, and here one run is asked for"):
        load(tmp_path / "spec.yaml")


@pytest.mark.parametrize("name", ["stages.a.train.steps", "write.prompts"])
def test_a_spec_of_one_run_is_told_where_stages_stand(tmp_path: Path, name: str) -> None:
    (file := tmp_path / "spec.yaml").write_text("model: org/m\ndata: a.jsonl\n", "utf-8")
    with pytest.raises(SpecError) as caught:
        load_any(file, [f"{name}=1"])
    assert "docs/stages.md" in caught.value.problems[0].hint
