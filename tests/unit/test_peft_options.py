"""peft's adapters by their own names: the table, what is checked against it, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from ftspec.errors import SpecError
from ftspec.families.tuners.adapters import CALLS, REFUSED
from ftspec.registry import load as backend
from ftspec.spec.adapters import OF_THEIR_OWN, PeftKind
from ftspec.spec.load import loads
from ftspec.spec.peft_options import CHOSEN, call, defaults, table
from tests.conformance.nearest import job, lowered

OWN = {*OF_THEIR_OWN}
"""Kinds that have a tuner of their own in a spec."""
BASE = "version: 1\nmodel: org/name\ndata: {train: {path: a.jsonl, format: messages}, overflow: error}\n"
GIVEN: dict[str, dict[str, Any]] = {
    "TRAINABLE_TOKENS": {"token_indices": [1]},
    "ADAPTION_PROMPT": {},
}


def spec(kind: str, options: dict[str, Any]) -> Any:
    tuner = {"type": "peft", "kind": kind, "options": options}
    return loads(BASE + f"method: {json.dumps({'tuner': tuner})}").spec


def test_the_kinds_are_those_of_the_installed_peft(root: Path) -> None:
    assert {*get_args(PeftKind)} == {*table()} - OWN
    assert {*GIVEN} == CHOSEN
    assert {*REFUSED} < {*get_args(PeftKind)}
    assert {call(kind) for kind in OWN} == {*CALLS.values()}
    (native,) = (root / "schemas" / "native").glob("trl-*.json")
    kept = json.loads((root / "ftspec" / "spec" / "peft_options.json").read_text("utf-8"))
    schema = json.loads(native.read_text("utf-8"))
    assert kept["version"] == schema["with"]["peft"]
    for kind in OWN:  # the table and the schema are two readings of one installation
        arguments = schema["calls"][call(kind)]
        assert {n: arguments[n]["default"] for n in defaults(kind)} == defaults(kind)


@pytest.mark.parametrize("kind", OF_THEIR_OWN)
def test_a_kind_with_a_tuner_of_its_own_says_so(kind: str) -> None:
    with pytest.raises(SpecError, match=f"write `type: {OF_THEIR_OWN[kind]}`"):
        spec(kind, {})


@pytest.mark.parametrize("kind", sorted(set(get_args(PeftKind)) - set(REFUSED)))
@pytest.mark.parametrize("name", ["trl", "deepspeed"])
def test_every_option_is_written_and_read_back(kind: str, name: str) -> None:
    options = GIVEN.get(kind, {"target_modules": ["q_proj", "v_proj"]})
    resolved, result, values = lowered(spec(kind, options), backend(name))
    assert not result.refusals
    files = backend(name).emit(result.native, job(resolved, values, backend(name)))
    (script,) = (file.content.decode() for file in files if file.path == "train.py")
    assert f"peft_config = {call(kind)}(" in script
    assert all(f" {option}=" in script for option in table()[kind]["options"])
    back = backend(name).maps["sft"].lift(backend(name).read(files))
    assert (back.spec["method.tuner.type"], back.spec["method.tuner.kind"]) == ("peft", kind)
    assert back.spec["method.tuner.options"] == {**defaults(kind), **options}


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("HRA", {"target_modules": ["q"], "aply_GS": True}, "no `aply_GS`; did you mean `apply_GS`?"),
        ("HRA", {"target_modules": ["q"], "zzzzz": 1}, "no `zzzzz`; there are r, apply_GS"),
        ("HRA", {"target_modules": ["q"], "r": "8"}, "`r` of HRA is int, not '8'"),
        ("HRA", {"target_modules": ["q"], "r": True}, "`r` of HRA is int, not True"),
        ("HRA", {"target_modules": [1]}, "`target_modules` of HRA is list[str] or str or null"),
        ("C3A", {"target_modules": ["q"], "init_weights": "x"}, "gaussian or kaiming_uniform"),
        ("HRA", {}, "need `target_modules`"),
        ("HRA", {"target_modules": ["q"], "task_type": "CAUSAL_LM"}, "no `task_type`"),
    ],
)  # fmt: skip
def test_what_peft_does_not_take_is_an_error(
    kind: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        spec(kind, options)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.path == "method.tuner.options"


def test_what_peft_takes_is_no_error() -> None:
    for options in ({"r": 4}, {"init_weights": False}, {"layers_to_transform": 1}):
        assert spec("HRA", {"target_modules": "all-linear", **options})
    assert spec("FOURIERFT", {"target_modules": ["q_proj"], "scaling": 150})


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_kinds_that_cannot_train_are_refused(kind: str) -> None:
    options = dict(GIVEN.get(kind, {}))
    if "target_modules" in table()[kind]["options"] and kind not in CHOSEN:
        options = {"target_modules": ["q_proj"]}
    _, result, _ = lowered(spec(kind, options), backend("trl"))
    assert [r.path for r in result.refusals] == ["method.tuner.kind"]
    assert result.refusals[0].reason == REFUSED[kind]
