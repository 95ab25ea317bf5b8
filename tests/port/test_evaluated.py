"""Whether evaluations that choose weights have the batches that they had."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring

LLAMA = """\
model_name_or_path: org/model
do_train: true
stage: sft
dataset: identity
eval_strategy: epoch
val_size: 0.1
output_dir: out
per_device_train_batch_size: 4
"""
BEST = "save_strategy: epoch\nload_best_model_at_end: true\n"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("per_device_eval_batch_size: 2\n", False),
        (f"{BEST}per_device_eval_batch_size: 2\n", True),
        (f"{BEST}per_device_eval_batch_size: 4\n", False),
        (BEST, True),  # 8 where nothing is said
    ],
)
def test_other_batches_are_told_where_they_choose(read: Bring, more: str, told: bool) -> None:
    notes = read(LLAMA + more, wanted="llamafactory").notes
    assert any("it evaluates in batches of" in note for note in notes) is told
