"""Rows of like length: where they would be other rows than a spec says, they are refused."""

from __future__ import annotations

import pytest

from ftspec.errors import UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.spec.load import load
from tests.conftest import SPECS

GROUPED = "data.group_by_length=true"
BACKENDS = ("trl", "llamafactory", "unsloth", "deepspeed", "axolotl")
SEVERAL = "hardware.devices=2"


def reason(backend: str, spec: str, *sets: str) -> str:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(load(SPECS / f"{spec}.yaml", (GROUPED, *sets)), backend)
    return str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_cannot_draw_them(backend: str) -> None:
    spec = "axolotl-tiny" if backend == "axolotl" else "quickstart"
    native = make_plan(load(SPECS / f"{spec}.yaml", (GROUPED,)), backend).native
    (found,) = [
        native[key] for key in native if key.endswith(("sampling_strategy", "group_by_length"))
    ]
    assert found in ("group_by_length", True)
    assert "trainer's seed" in reason(backend, spec, "train.data_seed=7")
    assert "anew" in reason(backend, spec, "train.resume=runs/x/checkpoint-2")


@pytest.mark.parametrize("backend", ["trl", "llamafactory", "unsloth"])
def test_packed_rows_are_of_one_length(backend: str) -> None:
    assert "of one length" in reason(backend, "quickstart", "data.packing=documents")


@pytest.mark.parametrize("backend", ["trl", "llamafactory"])
def test_processes_that_draw_dropout_by_the_same_numbers(backend: str) -> None:
    dropout = "method.tuner.dropout=0.1"
    assert "different rows" in reason(backend, "quickstart", SEVERAL, dropout)
    assert "different rows" in reason(backend, "quickstart", SEVERAL, "train.neftune_alpha=5")
    for sets in ((SEVERAL,), (dropout,), (SEVERAL, dropout, "hardware.device=cuda")):
        make_plan(load(SPECS / "quickstart.yaml", (GROUPED, *sets)), backend)


@pytest.mark.parametrize(
    "tuner",
    [
        "{type: loha, rank_dropout: 0.1}", "{type: lokr, module_dropout: 0.1}",
        "{type: peft, kind: BOFT, options: {boft_dropout: 0.1, target_modules: [q_proj]}}",
    ],
)  # fmt: skip
def test_dropout_has_other_names_elsewhere(tuner: str) -> None:
    assert "different rows" in reason("trl", "quickstart", SEVERAL, f"method.tuner={tuner}")


@pytest.mark.parametrize(
    ("spec", "backend", "word"),
    [
        ("dpo-tiny", "trl", "input_ids"),
        ("dpo-tiny", "llamafactory", "input_ids"),
        ("dpo-tiny", "axolotl", "input_ids"),
        ("kto-tiny", "llamafactory", "other rows' answers"),
        ("simpo-tiny", "trl", "input_ids"),
    ],
)
def test_answers_that_are_compared_have_no_length(spec: str, backend: str, word: str) -> None:
    assert word in reason(backend, spec, "data.shuffle=true")
