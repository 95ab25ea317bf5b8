"""A rate of their own for embeddings and head: refused where none would have it, or others as well."""

from __future__ import annotations

import pytest

from ftspec.errors import UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.spec.load import load
from tests.conftest import SPECS

RATE = "train.embedding_learning_rate=1e-5"
SAVED = "method.tuner.modules_to_save=[embed_tokens, lm_head]"


@pytest.mark.parametrize("backend", ["trl", "unsloth", "deepspeed"])
def test_a_script_says_it(backend: str) -> None:
    plan = make_plan(load(SPECS / "quickstart.yaml", (RATE, SAVED)), backend)
    (script,) = [file for file in plan.files() if file.path == "train.py"]
    assert "EMBEDDING_LEARNING_RATE = 1e-05" in script.content.decode()


@pytest.mark.parametrize(
    ("backend", "spec", "sets", "word"),
    [
        ("trl", "quickstart", (), "train as a whole"),
        ("trl", "quickstart", ("method.tuner.modules_to_save=[norm]",), "other modules"),
        ("trl", "quickstart", (SAVED, "method.tuner.plus_ratio=16"), "LoRA+"),
        ("trl", "quickstart", (SAVED, "train.optimizer=adafactor"), "adamw only"),
        ("trl", "quickstart", (SAVED, "train.warmup_start=1e-6"), "these are two"),
        ("trl", "dpo-tiny", (SAVED,), "supervised training"),
        ("llamafactory", "quickstart", (SAVED,), "LoRA+'s rate alone"),
        ("axolotl", "axolotl-tiny", (SAVED, "train.weight_decay=0.1"), "do not decay"),
        ("axolotl", "axolotl-tiny", ("method=full",), "by embed_tokens and lm_head"),
    ],
)
def test_who_cannot(backend: str, spec: str, sets: tuple[str, ...], word: str) -> None:
    with pytest.raises(UnsupportedError, match=word.replace("+", r"[+]")):
        make_plan(load(SPECS / f"{spec}.yaml", (RATE, *sets)), backend)
