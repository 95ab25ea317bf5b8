"""Variables that are cleared and set around a training."""

from __future__ import annotations

import pytest

from ftspec.plan.environ import ALWAYS, CLEARED, ON_CPU, PRIVATE, reason
from ftspec.run.environ import clean, compose

HOSTILE = (
    "ACCELERATE_MIXED_PRECISION",
    "ACCELERATE_USE_DEEPSPEED",
    "ACCELERATE_USE_CPU",
    "ACCELERATE_USE_FSDP",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
    "FSDP_VERSION",
    "FORCE_TORCHRUN",
    "NPROC_PER_NODE",
    "NNODES",
    "USE_RAY",
    "UNSLOTH_FORCE_FLOAT32",
    "UNSLOTH_RETURN_LOGITS",
    "PET_NPROC_PER_NODE",
    "TORCHELASTIC_RUN_ID",
    "MASTER_ADDR",
    "MASTER_PORT",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "DS_ACCELERATOR",
    "PYTHONPATH",
    "NVIDIA_TF32_OVERRIDE",
)
HARMLESS = ("HF_HOME", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_ENDPOINT", "WANDB_API_KEY", "PATH", "HOME")


@pytest.mark.parametrize("name", HOSTILE)
def test_what_overrides_a_setting_does_not_reach_the_training(name: str) -> None:
    setting, cleared = clean(telemetry=False, device="cuda")
    assert name not in compose({name: "1"}, setting, cleared)
    assert reason(name)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_the_users_business_stays(name: str) -> None:
    setting, cleared = clean(telemetry=False, device="cuda")
    assert compose({name: "1"}, setting, cleared)[name] == "1"


def test_only_what_is_there_is_named() -> None:
    environ = {"RANK": "0", "ACCELERATE_USE_CPU": "1", "HOME": "/home/x"}
    assert clean(False, "cuda", environ)[1] == ("ACCELERATE_USE_CPU", "RANK")
    assert clean(False, "cuda", {})[1] == ()


def test_without_an_environment_the_plan_does_not_depend_on_whose_shell_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = clean(False, "cpu")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    assert clean(False, "cpu") == before


def test_runs_are_private_unless_asked_otherwise() -> None:
    private = {row.name for row in PRIVATE}
    assert private <= set(clean(telemetry=False, device="cuda")[0])
    assert not private & set(clean(telemetry=True, device="cuda")[0])


def test_who_opted_out_by_hand_stays_so() -> None:
    environ = {"UNSLOTH_DISABLE_STATISTICS": "1", "DO_NOT_TRACK": "1"}
    setting, cleared = clean(telemetry=True, device="cuda", environ=environ)
    assert cleared == ()
    assert environ.items() <= compose(environ, setting, clean(True, "cuda")[1]).items()


def test_a_cpu_run_sees_no_gpu() -> None:
    assert clean(False, "cpu")[0]["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in clean(False, "cuda")[0]


def test_threads_are_fixed_only_when_asked() -> None:
    assert "OMP_NUM_THREADS" not in clean(False, "cpu")[0]
    assert clean(False, "cpu", threads=1)[0]["OMP_NUM_THREADS"] == "1"


def test_a_node_of_many_keeps_its_address() -> None:
    environ = {"MASTER_ADDR": "10.0.0.1", "NODE_RANK": "1", "RANK": "3"}
    assert clean(False, "cuda", environ, keep=("MASTER_ADDR", "NODE_RANK"))[1] == ("RANK",)


def test_every_row_says_why() -> None:
    rows = (*CLEARED, *ALWAYS, *PRIVATE, *ON_CPU)
    assert rows
    assert all(row.why for row in rows)
    names = [row.name for row in CLEARED]
    assert len(names) == len(set(names))
