"""EVA, LoftQ and AdaLoRA: what the script says of them is read back, and what cannot be is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ftspec.errors import SpecError
from ftspec.registry import load as backend
from ftspec.spec.load import loads
from tests.conformance.nearest import job, lowered

BASE: dict[str, Any] = {
    "version": 1,
    "model": {"name": "org/name", "dtype": "float32"},
    "data": {"train": {"path": "a.jsonl", "format": "messages"}, "overflow": "error"},
    "precision": "fp32",
    "hardware": {"device": "cpu"},
    "train": {"steps": 9},
}
NF4 = {"model": {"quantization": "nf4"}}
EVA: dict[str, Any] = {"type": "lora", "rank": 4, "init": {"type": "eva", "rho": 1.5}}
LOFTQ: dict[str, Any] = {"type": "lora", "init": "loftq"}
ADALORA: dict[str, Any] = {"type": "adalora", "rank": 6, "target_rank": 3, "initial_steps": 2}


def spec(tuner: dict[str, Any], **sets: dict[str, Any]) -> Any:
    document = {**BASE, "method": {"tuner": tuner}, **sets}
    document["model"] = {**BASE["model"], **sets.get("model", {})}
    return loads(json.dumps(document)).spec


@pytest.mark.parametrize("name", ["trl", "deepspeed", "unsloth"])
def test_ranks_that_follow_the_data_are_read_back(name: str) -> None:
    script, back = there_and_back(spec(EVA), name)
    assert "enough = 6  #" in script
    assert back["method.tuner.init.type"] == "eva"
    assert back["method.tuner.init.rho"] == 1.5


@pytest.mark.parametrize("name", ["trl", "deepspeed"])
def test_what_makes_up_for_rounding_is_read_back(name: str) -> None:
    script, back = there_and_back(spec(LOFTQ, **NF4), name)
    assert back["method.tuner.init.type"] == "loftq"
    assert "init_lora_weights=True" in script
    plain, back = there_and_back(spec({"type": "lora"}, **NF4), name)
    assert back["method.tuner.init.type"] == "default"
    assert "Linear4bit" in script and "Linear4bit" not in plain


def test_a_plan_of_ranks_is_read_back() -> None:
    script, back = there_and_back(spec(ADALORA), "trl")
    assert "total_step=9" in script
    assert {key: back[f"method.tuner.{key}"] for key in ADALORA} == ADALORA


@pytest.mark.parametrize(
    ("tuner", "sets", "reason"),
    [
        (EVA, NF4, "4-bit weights do not survive that"),
        (EVA, {"hardware": {"devices": 2, "device": "cpu"}}, "on one process only"),
        (EVA, {"train": {"steps": 9, "resume": "./checkpoint-3"}}, "the checkpoint has its own"),
        (LOFTQ, {}, "this base is not in 4 bits"),
        (LOFTQ, {"model": {"quantization": "int8"}}, "this base is not in 4 bits"),
        ({**LOFTQ, "dora": True}, NF4, "DoRA's lengths"),
        (ADALORA, {"train": {"steps": 9, "resume": "./checkpoint-3"}}, "is not in a checkpoint"),
        ({"type": "lora", "parameters": ["mlp.experts.down_proj"], "dropout": 0.1}, {}, "no dropout"),
        ({"type": "lora", "parameters": ["mlp.experts.down_proj"], "dora": True}, {}, "no DoRA"),
    ],
)  # fmt: skip
def test_what_would_begin_otherwise_is_refused(
    tuner: dict[str, Any], sets: dict[str, Any], reason: str
) -> None:
    _, result, _ = lowered(spec(tuner, **sets), backend("trl"))
    assert any(reason in refusal.reason for refusal in result.refusals), result.refusals


@pytest.mark.parametrize(
    ("train", "reason"),
    [({"epochs": 1}, "whose number it must know"), ({"steps": 2}, "none is left")],
)
def test_a_plan_of_ranks_needs_steps(train: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        lowered(spec(ADALORA, train=train), backend("trl"))


def test_ranks_that_do_not_fall_are_no_adalora() -> None:
    with pytest.raises(SpecError, match="plain LoRA"):
        spec({"type": "adalora", "rank": 6, "target_rank": 6})


def there_and_back(made: Any, name: str) -> tuple[str, dict[str, Any]]:
    """The script, and the spec's values that are read out of it."""
    resolved, result, values = lowered(made, backend(name))
    assert not result.refusals
    files = backend(name).emit(result.native, job(resolved, values, backend(name)))
    (script,) = (file.content.decode() for file in files if file.path == "train.py")
    back = backend(name).maps["sft"].lift(backend(name).read(files))
    assert not back.refusals and not back.unknown
    return script, back.spec
