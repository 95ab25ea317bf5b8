"""Options that change one value of a spec."""

from __future__ import annotations

from typing import Any

import pytest

from ftspec.spec.load import loads
from tests.unit.test_load import BASE, only, problems


@pytest.mark.parametrize(
    ("sets", "path", "value"),
    [
        (["method=full"], "method.tuner.type", "full"),
        (["hardware.zero=3"], "hardware.zero.stage", 3),
        (["hardware.zero.stage=1"], "hardware.zero.stage", 1),
        (["model.dtype=float32"], "model.name", "org/name"),
        (["model.dtype=float32"], "model.dtype", "float32"),
        (["model=other"], "model.name", "other"),
        (["train.learning_rate=1e-4"], "train.learning_rate", 1e-4),
        (["train.max_grad_norm=null"], "train.max_grad_norm", None),
        (["train.max_grad_norm="], "train.max_grad_norm", None),
        (["method.tuner.rank=4"], "method.tuner.rank", 4),
        (["method.tuner=full"], "method.tuner.type", "full"),
        (["method=bitfit"], "method.tuner.biases", True),
        (["method.tuner=norms", "method.tuner.head=true"], "method.tuner.norms", True),
        (["method.tuner.targets=[q_proj, v_proj]"], "method.tuner.targets", ("q_proj", "v_proj")),
        (["method=full", "method=lora", "method.tuner.rank=2"], "method.tuner.rank", 2),
        (["data.max_length=99"], "data.max_length", 99),
        (["data.train.format=text"], "data.train.0.format", "text"),
        (["data.train.0.format=text"], "data.train.0.format", "text"),
        (["data.train.1=b.jsonl"], "data.train.1.path", "b.jsonl"),
        (["data.train.columns.text=body"], "data.train.0.columns", {"text": "body"}),
        (["data=[a.jsonl, b/c]"], "data.train.1.hub", "b/c"),
        (["output.hub=a/b"], "output.hub.repo", "a/b"),
        (["output.hub.private=false", "output.hub.repo=a/b"], "output.hub.private", False),
        (["native.trl.foo.bar=1"], "native", {"trl": {"foo": {"bar": 1}}}),
        (["train.optimizer.beta2=0.95"], "train.optimizer.beta2", 0.95),
        (["run=[trl]"], "run.backends", ("trl",)),
        (["output.folder=a=b"], "output.folder", "a=b"),
    ],
)
def test_set(sets: list[str], path: str, value: Any) -> None:
    node: Any = loads(BASE, sets=sets).spec
    for part in path.split("."):
        node = node[int(part)] if part.isdecimal() else getattr(node, part)
    assert node == value


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("train.lr=1", "`lr` is not a field of `train`", "`train.learning_rate`"),
        ("trian.steps=1", "`trian` is not a field of the spec", "did you mean `train`?"),
        ("train.steps.x=1", "`train.steps` is a value and has no fields", ""),
        ("train.steps=x", "expected a whole number, got the text 'x'", ""),
        ("train.steps", "expected `path=value`", "--set train.steps=10"),
        ("=1", "expected `path=value`", ""),
        ("method=ipo", "method `ipo` is not in this version", ""),
        ("train.steps=[1", "a bracket is never closed", ""),
        ("train.steps=*a", "aliases are off", ""),
        ("train.steps=!x 1", "tags are off", ""),
        ("data.train=[]", "at least 1 item", ""),
        ("method.tuner.foo=1", "`foo` is not a field of `method.tuner`", ""),
    ],
)
def test_set_that_cannot_be(setting: str, message: str, hint: str) -> None:
    problem = only(BASE, setting)
    assert message in problem.message
    assert hint in problem.hint
    assert problem.file == f"--set {setting}"
    assert problem.line == 0


def test_set_in_a_list_wants_a_number() -> None:
    problem = only("model: x\ndata: [a.jsonl, b.jsonl]", "data.train.format=text")
    assert "which item" in problem.message


def test_set_does_not_paint_over_what_is_wrong() -> None:
    found = problems(BASE + "train: 5", "train.steps=1")
    assert [problem.file for problem in found] == ["--set train.steps=1", "f.yaml"]


def test_set_and_file_are_told_together() -> None:
    found = problems(BASE + "train: {seed: x}", "train.steps=y", "nope=1")
    assert {problem.file for problem in found} == {"f.yaml", "--set train.steps=y", "--set nope=1"}


def test_set_leaves_no_place_of_what_it_replaced() -> None:
    loaded = loads("model: {name: x, dtype: float32}\ndata: a.jsonl", sets=["model=y"])
    assert not [path for path in loaded.positions if path.startswith("model")]
