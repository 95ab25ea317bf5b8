"""Tuners beside full tuning and LoRA: each trains alike wherever it is claimed, and what it is for.

Each case says which weights train: frameworks that all ignore a choice would be equal too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.real.conftest import BACKENDS, Lab
from tests.real.test_options import assert_equal, files, refusal

__all__ = ["files"]
pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
TWO = ("train.steps=2",)
SCRIPTS = ("trl", "unsloth", "deepspeed")
LAYER = frozenset(
    {
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm",
        "post_attention_layernorm",
    }
)  # fmt: skip
"""The weights of one of the tiny model's two layers."""
NORMS = {"model.norm"} | {
    f"model.layers.{n}.{name}" for n in (0, 1) for name in LAYER if "norm" in name
}


def layer(number: int, start: str = "") -> set[str]:
    """The weights of a layer whose names begin so."""
    return {f"model.layers.{number}.{name}" for name in LAYER if name.startswith(start)}


@dataclass(frozen=True)
class Part:
    """A choice of weights, and which they are."""

    tuner: str
    weights: set[str]
    sets: tuple[str, ...] = ()
    kind: str = "weight"
    refused: dict[str, str] = field(default_factory=dict)
    """Backend -> a part of its reason."""


PARTS = {
    "last layer": Part("last_layers: 1", layer(1)),
    "modules of the first layer, and what is outside": Part(
        "first_layers: 1, modules: [self_attn, input_layernorm], embeddings: true, head: true",
        {
            *layer(0, "self_attn"), *layer(0, "input_layernorm"),
            "model.embed_tokens", "lm_head",
        },
    ),
    "modules of all layers": Part("modules: mlp", layer(0, "mlp") | layer(1, "mlp")),
    "norms": Part("norms: true", NORMS),
    "norms, checkpointed": Part(
        "norms: true, embeddings: true", NORMS | {"model.embed_tokens"},
        ("train.gradient_checkpointing=true", "train.weight_decay=0.1"),
    ),
    "biases": Part(
        "biases: true",
        {name for n in (0, 1) for name in layer(n) if "proj" in name},
        ("model=../biased",),
        "bias",
        {"llamafactory": "never their biases alone"},
    ),
    "one matrix of each layer": Part(
        "modules: self_attn.o_proj",
        {"model.layers.0.self_attn.o_proj", "model.layers.1.self_attn.o_proj"},
        refused={"llamafactory": "whole modules of a layer"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_weights_trains_alike(lab: Lab, files: Path, name: str) -> None:
    part = PARTS[name]
    sets = (*TWO, *part.sets, f"method.tuner={{type: partial, {part.tuner}}}")
    for backend, reason in part.refused.items():
        assert reason in refusal(lab, backend, *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS) - set(part.refused)
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        assert set(evidence.trainable) == {f"{weight}.{part.kind}" for weight in part.weights}
        assert not [
            key for key, old in evidence.before.items() if (evidence.after[key] == old).all()
        ]
        # what is saved is the whole model: what trained as it came out, the rest as it was
        saved = proof.weights(backend)
        assert len(saved) > len(evidence.after)
        assert all((saved[key] == value).all() for key, value in evidence.after.items())
