"""Where weights are chosen by an evaluation, which batches it has: a spec evaluates in those of a device.

transformers 5.6, trainer.py, evaluation_loop: the loss of an evaluation is the mean over rows of the means of
their batches, so that it depends on how many rows share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEYS = ("per_device_eval_batch_size", "per_gpu_eval_batch_size", "eval_batch_size")
ASSUMED: Mapping[str, int] = dict.fromkeys(("llamafactory", "trl", "trl_script"), 8)
"""What a format takes where nothing is said; others take the batch of a device, or are not known."""
CHOSEN = (
    "it evaluates in batches of {} rows, and here they have {}: an evaluation's loss is a mean of theirs, "
    "by which the best weights are chosen, or training ends, so that this may come out otherwise"
)


def evaluated(name: str, data: Mapping[str, Any], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """A note where other batches may choose other weights. ``name`` is the format of ``data``."""
    chooses = spec.get("train.keep") == "best" or spec.get("train.early_stopping") is not None
    said = next((data[key] for key in KEYS if data.get(key) is not None), ASSUMED.get(name))
    micro = spec.get("train.micro_batch_size")
    if not chooses or not isinstance(said, int) or micro is None or said == micro:
        return ()
    return (CHOSEN.format(said, micro),)
