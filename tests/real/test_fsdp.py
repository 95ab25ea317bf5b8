"""Sharded by FSDP 2 over two processes, a training is the one that two whole models make.

accelerate shards on accelerators alone; on_cpu/sitecustomize.py lifts that, so that what is compiled for GPUs
is trained from here. Without it, a CPU is refused, because the run would be unsharded in silence.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_equality import FULL

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
HERE = Path(__file__).parent
ON_CPU = HERE / "on_cpu"
TWO = ("train.steps=3", "hardware.devices=2", "train.weight_decay=0.1")
RECOMPUTED = ("train.gradient_checkpointing=true",)
ALL: dict[str, tuple[str, tuple[str, ...]]] = {
    "full_shard": ("trl", ("hardware.fsdp={state_dict_type: sharded}",)),
    "shard_grad_op": ("llamafactory", ("hardware.fsdp=shard_grad_op",)),
}
LORA: dict[str, tuple[str, tuple[str, ...]]] = {
    "the model recomputes": (
        "trl",
        (
            "hardware.fsdp={cpu_ram_efficient_loading: true}",
            "hardware.fsdp.transformer_layer_cls_to_wrap=LlamaDecoderLayer",
            *RECOMPUTED,
        ),
    ),
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


READ: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (
        "{}",
        {"version": 2, "strategy": True, "offloads": False, "policy": "transformer_auto_wrap_policy",
         "layers": None, "least": None, "saves": "FULL_STATE_DICT", "recomputes": False,
         "one reads": False, "original": None},
    ),
    "version 2": (
        "{sharding_strategy: shard_grad_op, offload_parameters: true, state_dict_type: sharded, "
        "activation_checkpointing: true, cpu_ram_efficient_loading: true, "
        "transformer_layer_cls_to_wrap: [A, B]}",
        {"version": 2, "strategy": False, "offloads": True, "policy": "transformer_auto_wrap_policy",
         "layers": ["A", "B"], "least": None, "saves": "SHARDED_STATE_DICT", "recomputes": True,
         "one reads": True, "original": None},
    ),
    "version 1": (
        "{version: 1, sharding_strategy: hybrid_shard, min_num_params: 500, use_orig_params: false}",
        {"version": 1, "strategy": "HYBRID_SHARD", "offloads": False,
         "policy": "size_based_auto_wrap_policy", "layers": None, "least": 500,
         "saves": "FULL_STATE_DICT", "recomputes": False, "one reads": False, "original": False},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_accelerate_reads_the_launch_as_it_is_meant(lab: Lab, tmp_path: Path, name: str) -> None:
    section, wanted = READ[name]
    run = compiled("trl", lab, tmp_path, section)
    # its own check that a GPU is there, which none of these settings is about
    environ = {**run.environ, "FSDP_SYNC_MODULE_STATES": "false"}
    assert printed(run, environ, HERE / "plugin.py") == wanted


def test_axolotls_schema_takes_the_section_whole(lab: Lab, tmp_path: Path) -> None:
    section = (
        "{sharding_strategy: shard_grad_op, state_dict_type: sharded, activation_checkpointing: true, "
        "offload_parameters: true, transformer_layer_cls_to_wrap: [A, B]}"
    )
    more = (FULL, "train.warmup_steps=2", "data.prepare=ftspec")
    run = compiled("axolotl", lab, tmp_path, section, *more)
    assert printed(run, run.environ, HERE / "validated.py", tmp_path / "axolotl.yaml") == {
        "fsdp_version": 2,
        "fsdp_config": {
            "fsdp_version": 2,
            "activation_checkpointing": True,
            "offload_params": True,
            "cpu_ram_efficient_loading": False,
            "state_dict_type": "SHARDED_STATE_DICT",
            "final_state_dict_type": "FULL_STATE_DICT",
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "transformer_layer_cls_to_wrap": "A,B",
            "reshard_after_forward": False,
        },
    }


def compiled(backend: str, lab: Lab, folder: Path, section: str, *sets: str) -> Run:
    """A run on two GPUs; each in one pass, as axolotl has it."""
    shape = (
        "hardware.devices=2",
        "hardware.device=cuda",
        "train.batch_size=4",
        "train.micro_batch_size=2",
    )
    more = ("method.objective.average=batches",) if backend == "axolotl" else ()
    return lab.compiled(
        backend, folder, *shape, *more, *RECOMPUTED, f"hardware.fsdp={section}", *sets
    )


def printed(run: Run, environ: Mapping[str, str], *command: Path) -> Any:
    """The last line that a script prints in the run's environment, read as JSON."""
    words = [str(run.python), *map(str, command)]
    ended = subprocess.run(words, env={**environ}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize(
    ("name", "section", "tuner"),
    [
        ("lora", "{state_dict_type: sharded}", ()),
        ("full", "{activation_checkpointing: true}", (FULL,)),
    ],
)
def test_axolotl_trains_alike_under_fsdp(
    lab: Lab, name: str, section: str, tuner: tuple[str, ...]
) -> None:
    """In one process: several look for the ways between GPUs first, and stop where there is none."""
    one_pass = ("train.steps=3", "train.warmup_steps=2", "train.micro_batch_size=4")
    sets = (*one_pass, *tuner, *RECOMPUTED, "data.prepare=ftspec")

    def runs(folder: Path) -> dict[str, Run]:
        own = ("hardware.device=cuda", f"hardware.fsdp={section}")
        made = lab.compiled("axolotl", folder / "axolotl", *sets, *own)
        hidden = {**made.environ, "CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_FSDP": "true"}
        return {
            "trl": lab.compiled("trl", folder / "trl", *sets),
            "axolotl": sharded(replace(made, environ=hidden)),
        }

    proof = lab.compare(f"fsdp-axolotl-{name}", runs)
    run = proof.certificate.runs["axolotl"]
    assert run.conclusion == "equal", run.error or run.first_failure()
    saved, after = proof.weights("axolotl"), proof.evidence("axolotl").after
    assert set(saved) == set(after)
    assert all((saved[key] == after[key]).all() for key in saved)


@pytest.mark.parametrize("name", ["zero", *LORA])
def test_adapters_train_alike_in_pieces(adapters: Proven, name: str) -> None:
    equal(adapters, name)
