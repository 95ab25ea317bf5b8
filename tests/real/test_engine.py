"""LLaMA-Factory under DeepSpeed's engine trains what DeepSpeed's own backend trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_equality import FULL
from tests.real.test_options import refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
ZERO = ("hardware.zero=2", "train.steps=3", "train.learning_rate=1e-3", "train.warmup_steps=0")
CASES = {
    "lora": (),
    "another rate for one half": ("method.tuner.plus_ratio=8",),
    "layers": ("method=partial", "method.tuner.last_layers=1"),
    "autocast": (FULL, "precision=bf16"),
    "weights in 16 bits": (FULL, "precision=bf16-weights"),
    "weights in 16 bits, lora": ("precision=bf16-weights",),
    "weights in 16 bits, stage 3": (FULL, "precision=bf16-weights", "hardware.zero=3"),
}


@pytest.fixture(scope="module")
def engines(lab: Lab) -> dict[str, Proven]:
    """Each case in both."""

    def both(name: str) -> Proven:
        def runs(folder: Path) -> dict[str, Run]:
            return {
                backend: lab.compiled(backend, folder / backend, *ZERO, *CASES[name])
                for backend in ("deepspeed", "llamafactory")
            }

        return lab.compare(f"engine, {name}", runs, reference="deepspeed")

    return {name: both(name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_both_train_alike(engines: dict[str, Proven], name: str) -> None:
    run = engines[name].certificate.runs["llamafactory"]
    assert run.conclusion == "equal", run.error or run.first_failure()
    learned = [engines[name].evidence(one).after.keys() for one in ("llamafactory", "deepspeed")]
    assert learned[0] and learned[0] == learned[1]


def test_weights_have_the_type_that_the_spec_says(engines: dict[str, Proven]) -> None:
    def types(name: str) -> set[str]:
        return {one.dtype for one in engines[name].evidence("llamafactory").trainable.values()}

    assert types("autocast") == types("lora") == {"float32"}
    assert types("weights in 16 bits") == {"bfloat16"}
    assert engines["autocast"].evidence("llamafactory").setting["autocast"] == "bfloat16"


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (("method=qlora",), "weights that are whole"),
        (("method.tuner={type: oft, rank: 8}",), "full and partial tuning and LoRA"),
        ((FULL, "train.optimizer=galore"), "projects matrices"),
        ((FULL, "train.optimizer=adafactor"), "rows and columns"),
        ((FULL, "precision=bf16-pure"), "float32 copies"),
        (
            (FULL, "train.optimizer=lion", "hardware.zero={stage: 2, offload_optimizer: true}"),
            "replaced by DeepSpeed's own Adam",
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_what_it_refuses_under_the_engine(lab: Lab, sets: tuple[str, ...], reason: str) -> None:
    assert reason in refusal(lab, "llamafactory", *ZERO, *sets)
