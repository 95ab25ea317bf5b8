"""LoRA over a base in few bits: whoever claims it trains as TRL does, and the base is what the spec says.

A framework that fell back to whole weights would still train an adapter. So each case says how many
bytes the base has, in which kind of layers, as the probe saw it before the first step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from ftspec.errors import SpecError
from ftspec.plan.resolve import resolve
from ftspec.spec.load import load
from ftspec.verify.checks import compare
from ftspec.verify.evidence import Evidence
from ftspec.verify.state import initial_weights
from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
QLORA = ("method.tuner.type=qlora", "train.steps=3")
LAYERS, WHOLE = 14, 7
"""Of the tiny model: linear layers but the head; embeddings, head and norms."""
CONSTANTS = 2048
"""Bytes of a layer's constants, tables of the 4-bit numbers included; in 16 bits it has 10 kB at least."""


@dataclass(frozen=True)
class Case:
    """What is asked for, how the base is then held, and who cannot."""

    sets: tuple[str, ...]
    kind: str
    refused: Mapping[str, str] = field(default_factory=dict)


CASES = {
    "nf4": Case(("train.gradient_checkpointing=true", "method.tuner.dropout=0.1"), "nf4-double"),
    "fp4": Case(
        ("model.quantization={type: fp4, double: false}",), "fp4", {"unsloth": "always nf4"}
    ),
    "int8": Case(
        ("model.quantization=int8",), "int8", {"unsloth": "takes the weights as they are"}
    ),
    "bf16": Case(("precision=bf16",), "nf4-double", {"unsloth": "its CPU path changes the type"}),
}


def weights(lab: Lab) -> int:
    """Numbers in the linear layers of the tiny model."""
    config = json.loads((lab.specs / "tiny-model" / "config.json").read_text("utf-8"))
    hidden, inner, layers = (
        config[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    shared = config["num_key_value_heads"] / config["num_attention_heads"]
    return int(layers * (2 * hidden**2 * (1 + shared) + 3 * hidden * inner))


def packed(evidence: Evidence) -> tuple[str, int]:
    """The kind of the packed layers, and their bytes."""
    ((kind, (count, size)),) = (
        item for item in evidence.frozen_sizes.items() if item[0] != "float32"
    )
    assert (count, evidence.frozen_sizes["float32"][0]) == (LAYERS, WHOLE)
    return kind, size


@pytest.mark.parametrize("name", CASES)
def test_quantised_bases_train_alike(lab: Lab, name: str) -> None:
    case = CASES[name]
    sets = (*QLORA, *case.sets)
    for backend, reason in case.refused.items():
        assert reason in refusal(lab, backend, *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS) - set(case.refused)
    bits = 8 if case.kind == "int8" else 4
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        kind, size = packed(evidence)
        assert kind == case.kind, backend
        least = weights(lab) * bits / 8
        assert least < size < least + LAYERS * CONSTANTS, backend
        assert {tensor.dtype for tensor in evidence.trainable.values()} == {"float32"}, backend
    drawn = proof.evidence("trl").before
    halves = [_in_bfloat16(values) for name, values in drawn.items() if "lora_A" in name]
    assert len(halves) == LAYERS
    assert all(halves) == any(halves) == (name == "bf16")  # rounded by the container alone


def _in_bfloat16(values: np.ndarray) -> bool:
    """Whether no number has more digits than bfloat16."""
    return not (values.view(np.uint32) & 0xFFFF).any()


def test_another_base_is_seen(lab: Lab) -> None:
    """What a fall-back to whole weights would look like: two real runs, one of them without."""
    quantised = lab.prove(*QLORA, *CASES["nf4"].sets).evidence("unsloth")
    other = lab.prove(*QLORA, *CASES["fp4"].sets).evidence("trl")
    found = initial_weights(quantised, other, 0)
    assert found.verdict == "differs"
    assert (found.reference, found.other) == ("7 float32, 14 nf4-double", "7 float32, 14 fp4")
    assert any(result.outcome.verdict == "differs" for result in compare(quantised, other))


def test_a_saved_adapter_goes_on_over_a_quantised_base(lab: Lab) -> None:
    first = lab.prove(*QLORA, *CASES["nf4"].sets)
    adapter = os.path.relpath(first.folder / "trl" / "model", lab.specs)
    sets = ("model.quantization=nf4", "train.steps=2")
    proof = lab.prove(*sets, f"method.tuner={{type: lora, adapter: {adapter}}}")
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "llamafactory", "deepspeed"}
    begun = proof.evidence("trl").before
    assert all(
        (values == begun[name]).all() for name, values in first.evidence("trl").after.items()
    )
    assert packed(proof.evidence("llamafactory"))[0] == "nf4-double"


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_answers_are_compared_over_a_quantised_base(lab: Lab, objective: str) -> None:
    """trl copies the adapter for the reference, and rounds what trains: it is given back as it was."""
    rows = "preferences" if objective == "dpo" else "feedback"
    proof = lab.prove(
        *QLORA,
        f"data.train=data/{rows}.jsonl",
        "data.train_on=completions",
        f"method.objective={objective}",
        "train.learning_rate=1e-3",
    )
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        assert packed(evidence)[0] == "nf4-double", backend
        assert {tensor.dtype for tensor in evidence.trainable.values()} == {"float32"}, backend
        drawn = [values for name, values in evidence.before.items() if "lora_A" in name]
        assert len(drawn) == LAYERS and not any(map(_in_bfloat16, drawn)), backend
        if objective == "dpo":  # ln 2: the reference is the base with nothing over it
            assert evidence.steps[0].loss == pytest.approx(0.6931472, abs=1e-6)


TWO = "stage 2 x 2"
SHARDED = {f"stage {stage}": (f"hardware.zero={stage}",) for stage in (0, 1)}


@pytest.fixture(scope="module")
def sharded(lab: Lab) -> Proven:
    """The stages of ZeRO that do not cut weights; stage 2 is DeepSpeed's in all other tests."""
    sets = (
        *QLORA,
        "train.gradient_checkpointing=true",
    )  # two processes draw other dropout than one
    return lab.compare(
        "sharded-qlora",
        lambda folder: {
            "trl": lab.compiled("trl", folder / "trl", *sets),
            **{
                name: lab.compiled("deepspeed", folder / name, *sets, *more)
                for name, more in SHARDED.items()
            },
            TWO: lab.compiled(
                "deepspeed", folder / TWO, *sets, "hardware.zero=2", "hardware.devices=2"
            ),
        },
    )


@pytest.mark.parametrize("name", [*SHARDED, TWO])
def test_stages_train_alike(sharded: Proven, name: str) -> None:
    run = sharded.certificate.runs[name]
    assert run.conclusion == "equal", run.error or run.first_failure()
    assert packed(sharded.evidence(name))[0] == "nf4-double"


def test_what_cannot_be_is_refused(lab: Lab) -> None:
    assert "packed weights cannot be cut" in refusal(lab, "deepspeed", *QLORA, "hardware.zero=3")
    evaluated = (*QLORA, "data.eval=data/chat.eval.jsonl")
    for backend in ("trl", "llamafactory", "deepspeed"):
        assert "repacks 4-bit weights" in refusal(lab, backend, *evaluated)
    loaded = load(lab.spec, ("method.tuner={type: full}", "model.quantization=nf4"))
    with pytest.raises(SpecError, match="weights of a quantised base cannot train"):
        resolve(loaded)
