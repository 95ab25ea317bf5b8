"""What a schedule counts in steps, and what an optimizer cannot be given unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import SpecError
from ftspec.plan.resolve import resolve
from ftspec.spec.load import Loaded, digest
from ftspec.spec.root import Spec


def resolved(**train: Any) -> dict[str, Any]:
    data = {"train": {"path": "a.jsonl", "format": "messages"}}
    spec = Spec.model_validate({"model": "org/name", "data": data, "train": train})
    return resolve(Loaded(spec, Path("spec.yaml"), {}, digest(spec))).flat()


WSD = {"type": "warmup-stable-decay"}


@pytest.mark.parametrize(
    ("train", "stable", "decay"),
    [
        ({"steps": 100, "warmup_steps": 5, "schedule": WSD}, 85, 10),
        ({"steps": 100, "warmup_steps": 5, "schedule": {**WSD, "decay_steps": 60}}, 35, 60),
        ({"steps": 100, "warmup_steps": 0, "schedule": {**WSD, "stable_steps": 20}}, 20, 10),
        ({"epochs": 1, "warmup_ratio": 0.1, "schedule": {**WSD, "decay_steps": 7}}, None, 7),
    ],
)
def test_three_phases_fill_the_run(train: dict[str, Any], stable: int | None, decay: int) -> None:
    values = resolved(**train)
    assert values["train.schedule.stable_steps"] == stable
    assert values["train.schedule.decay_steps"] == decay


@pytest.mark.parametrize(
    ("train", "timescale"),
    [
        ({"warmup_steps": 50}, 50),
        ({"warmup_steps": 0}, 10_000),
        ({"warmup_ratio": 0.1, "steps": 30}, 3),
    ],
)
def test_the_timescale_is_the_warm_up(train: dict[str, Any], timescale: int) -> None:
    values = resolved(**train, schedule="inverse-sqrt")
    assert values["train.schedule.timescale"] == timescale


@pytest.mark.parametrize(
    ("train", "path"),
    [
        ({"schedule": "inverse-sqrt", "warmup_ratio": 0.1}, "train.schedule.timescale"),
        ({"schedule": WSD, "epochs": 1}, "train.schedule.decay_steps"),
        ({"schedule": {**WSD, "stable_steps": 95}, "steps": 100}, "train.schedule"),
        ({"optimizer": "lion"}, "train.learning_rate"),
        ({"optimizer": "paged-lion-8bit"}, "train.learning_rate"),
        ({"optimizer": "sgd"}, "train.learning_rate"),
    ],
)
def test_what_is_not_known_is_asked_for(train: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as caught:
        resolved(**train)
    (problem,) = caught.value.problems
    assert problem.path == path and (problem.hint or "take more than" in problem.message)


def test_the_usual_rate_is_that_of_optimizers_like_adamw() -> None:
    for kind in ("adamw", "paged-adamw-8bit", "adafactor", "rmsprop"):
        assert resolved(optimizer=kind)["train.learning_rate"] == 2e-4
    assert resolved(optimizer="sgd", learning_rate=0.1)["train.learning_rate"] == 0.1
