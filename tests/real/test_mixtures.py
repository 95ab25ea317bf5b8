"""A mixture of experts: the balance loss, the router, adapters, and ZeRO-3's leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_equality import FULL
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
MIXTURE = ("model.name=../mixture", "train.steps=3")
ONE_PASS = ("train.batch_size=4", "train.micro_batch_size=4")
BALANCED = "model.experts.balance_loss=0.01"
ROUTERS = {f"model.layers.{layer}.mlp.gate.weight" for layer in (0, 1)}
EXPERTS = {
    f"model.layers.{layer}.mlp.experts.{part}"
    for layer in (0, 1)
    for part in ("gate_up_proj", "down_proj")
}


@pytest.fixture(scope="module")
def balanced(lab: Lab, mixture: Path) -> Proven:
    return lab.prove(*MIXTURE, FULL, *ONE_PASS, BALANCED)


def test_all_train_a_mixture_with_a_balance_loss(balanced: Proven) -> None:
    assert_equal(balanced)
    assert set(balanced.certificate.runs) == set(BACKENDS)
    for backend in BACKENDS:
        evidence = balanced.evidence(backend)
        assert {*evidence.trainable} >= ROUTERS | EXPERTS
        moved = {n for n, old in evidence.before.items() if (evidence.after[n] != old).any()}
        assert moved == set(evidence.before), backend


def test_without_it_none_trains_with_it(lab: Lab, mixture: Path, balanced: Proven) -> None:
    """The model's own files name a coefficient of 0.5, which trl by itself would take."""
    plain = lab.prove(*MIXTURE, FULL, *ONE_PASS, backends=("trl", "llamafactory"))
    assert_equal(plain)
    for backend in plain.certificate.runs:
        with_it, without = (p.evidence(backend).steps[0].loss for p in (balanced, plain))
        # the loss of evenly used experts is the number of those chosen, two here; of others more
        assert 2 < (with_it - without) / 0.01 < 4, backend


SPREAD = {
    "two passes": ("llamafactory", ()),
    "two processes": ("llamafactory", ("hardware.devices=2",)),
    "stage 3": ("deepspeed", ("hardware.devices=2", "hardware.zero=3")),
    "named leaves": (
        "deepspeed",
        ("hardware.devices=2", "hardware.zero={stage: 3, leaf_modules: Qwen3MoeExperts}"),
    ),
}


@pytest.fixture(scope="module")
def spread(lab: Lab, mixture: Path) -> Proven:
    """One step's rows in two passes, or on two processes: the balance loss is a mean over them."""

    def runs(folder: Path):  # type: ignore[no-untyped-def]
        made = {"trl": lab.compiled("trl", folder / "trl", *MIXTURE, FULL, BALANCED)}
        for name, (backend, sets) in SPREAD.items():
            made[name] = lab.compiled(
                backend, folder / name, *MIXTURE, FULL, BALANCED, *sets, lossy=True
            )
        return made

    return lab.compare("mixture, spread", runs)


@pytest.mark.parametrize("name", SPREAD)
def test_passes_and_processes_weigh_it_alike(spread: Proven, name: str) -> None:
    run = spread.certificate.runs[name]
    assert run.conclusion == "equal", run.error or run.first_failure()
    leaves = {"stage 3": ["Qwen3MoeSparseMoeBlock"], "named leaves": ["Qwen3MoeExperts"]}
    assert spread.evidence(name).setting["leaves"] == leaves.get(name, [])


def test_a_router_that_is_frozen_stays(lab: Lab, mixture: Path) -> None:
    sets = (*MIXTURE, FULL, BALANCED, "model.experts.freeze_router=true")
    assert "all weights train in its full tuning" in refusal(lab, "llamafactory", *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "unsloth", "deepspeed"}
    for backend in proof.certificate.runs:
        assert not ROUTERS & set(proof.evidence(backend).trainable)
        assert set(proof.evidence(backend).trainable) >= EXPERTS


def test_adapters_are_on_the_experts_too(lab: Lab, mixture: Path) -> None:
    """One adapter for each expert, in one tensor; the experts themselves stay."""
    tuner = (
        "method.tuner={type: lora, rank: 4, targets: [q_proj], "
        "parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj]}"
    )
    sets = (*MIXTURE, *ONE_PASS, BALANCED, "train.warmup_steps=0", tuner)
    assert "it adapts modules only" in refusal(lab, "llamafactory", *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "unsloth", "deepspeed"}
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        experts = {n: t for n, t in evidence.trainable.items() if ".mlp.experts." in n}
        assert len(experts) == 2 * 2 * 2  # layers, parameters, A and B
        shapes = sorted(tensor.shape for name, tensor in experts.items() if "lora_A" in name)
        assert {shape[0] for shape in shapes} == {4 * 4}  # rank x experts
        assert len(evidence.trainable) == len(experts) + 2 * 2
        still = [n for n, old in evidence.before.items() if (evidence.after[n] == old).all()]
        assert not still, backend


def test_adapters_are_on_what_is_linear(lab: Lab, mixture: Path) -> None:
    """Experts and router are tensors of their own: `all-linear` means the attention of a mixture."""
    proof = lab.prove(*MIXTURE, *ONE_PASS, BALANCED, "method.tuner.targets=all-linear")
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    for backend in BACKENDS:
        names = proof.evidence(backend).trainable
        assert len(names) == 2 * 2 * 4
        assert all(".self_attn." in name and ".lora_" in name for name in names)
