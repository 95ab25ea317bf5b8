"""Sharded by FSDP 2 over two processes, a training is the one that two whole models make.

accelerate shards on accelerators alone; on_cpu/sitecustomize.py lifts that, so that what is compiled for GPUs
is trained from here. Without it, a CPU is refused, because the run would be unsharded in silence.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_equality import FULL

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
ON_CPU = Path(__file__).with_name("on_cpu")
TWO = ("train.steps=3", "hardware.devices=2", "train.weight_decay=0.1")
RECOMPUTED = ("train.gradient_checkpointing=true",)
ALL: dict[str, tuple[str, tuple[str, ...]]] = {
    "full_shard": ("trl", ("hardware.fsdp={state_dict_type: sharded}",)),
    "shard_grad_op": (
        "llamafactory",
        ("hardware.fsdp=shard_grad_op",),
    ),
    "one reads": (
        "trl",
        ("hardware.fsdp={cpu_ram_efficient_loading: true, "
         "transformer_layer_cls_to_wrap: LlamaDecoderLayer}",),
    ),
}  # fmt: skip
LORA: dict[str, tuple[str, tuple[str, ...]]] = {
    "the model recomputes": ("trl", ("hardware.fsdp={}", *RECOMPUTED)),
    "the engine recomputes": (
        "llamafactory",
        ("hardware.fsdp={activation_checkpointing: true}", *RECOMPUTED),
    ),
}


def sharded(run: Run) -> Run:
    """The run of what is compiled for GPUs, on the CPU."""
    more = {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(ON_CPU)}
    return replace(run, environ={**run.environ, **more})


def trained(
    lab: Lab, name: str, cases: dict[str, tuple[str, tuple[str, ...]]], *sets: str
) -> Proven:
    """Two whole models, ZeRO 3, and the cases."""

    def runs(folder: Path) -> dict[str, Run]:
        made = {
            "trl": lab.compiled("trl", folder / "trl", *TWO, *sets),
            "zero": lab.compiled("deepspeed", folder / "zero", *TWO, *sets, "hardware.zero=3"),
        }
        for case, (backend, own) in cases.items():
            compiled = lab.compiled(
                backend, folder / case, *TWO, *sets, *own, "hardware.device=cuda"
            )
            made[case] = sharded(compiled)
        return made

    return lab.compare(name, runs)


@pytest.fixture(scope="module")
def weights(lab: Lab) -> Proven:
    return trained(lab, "fsdp", ALL, FULL)


@pytest.fixture(scope="module")
def adapters(lab: Lab) -> Proven:
    return trained(lab, "fsdp-lora", LORA)


def equal(proof: Proven, name: str) -> None:
    run = proof.certificate.runs[name]
    assert run.conclusion == "equal", run.error or run.first_failure()
    assert run.setting["processes"] == 2
    # the end result is whole, however checkpoints are saved
    saved, after = proof.weights(name), proof.evidence(name).after
    assert saved
    assert set(saved) == set(after)
    assert all((saved[key] == after[key]).all() for key in saved)


@pytest.mark.parametrize("name", ["zero", *ALL])
def test_all_weights_train_alike_in_pieces(weights: Proven, name: str) -> None:
    equal(weights, name)


@pytest.mark.parametrize("name", ["zero", *LORA])
def test_adapters_train_alike_in_pieces(adapters: Proven, name: str) -> None:
    equal(adapters, name)
