"""Which weights a run leaves, and whether it stops early: transformers' best checkpoint, by the loss.

transformers 5.6.0: trainer_callback.py, EarlyStoppingCallback; trainer.py, _load_best_model. A run is
judged by its evaluation loss; one that is not lower than the best so far counts towards the patience.
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import MISSING, Refuse, Row

KEEP, STOP = "train.keep", "train.early_stopping"
STOPPING = "train.early_stopping"
"""Native pseudo-key: the patience, an argument of a callback that a script adds."""
ADDED = "trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=PATIENCE))"
TEMPLATE = ADDED.replace("PATIENCE", "{{ stopping|py }}") + "\n"
PATTERN = ADDED.replace("PATIENCE", '"@patience"')
LOSSES = ("loss", "eval_loss")
"""Names of the evaluation loss."""


def best_row() -> Row:
    """The weights that are kept, and by what they are judged; the patience reads the same measure."""
    return Row(
        (KEEP,),
        ("load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
        _lower,
        _lift,
        uses=(STOP,),
        absent=(False, None, None),
    )


def stopping_row(key: str) -> Row:
    """After how many evaluations without a lower loss it stops; ``key`` is the native one."""
    return Row(
        (STOP,),
        (key,),
        lambda patience: MISSING if patience is None else patience,
        lambda patience: patience,
        absent=(None,),
    )


def _lower(keep: str, patience: int | None) -> tuple[Any, ...]:
    judged = keep == "best" or patience is not None
    return keep == "best", *((LOSSES[1], False) if judged else (MISSING, MISSING))


def _lift(best: bool | None, metric: str | None, greater: bool | None) -> str:
    if metric not in (None, *LOSSES) or greater:
        raise Refuse(f"judging a run by {metric!r} is not in a spec: it takes the evaluation loss")
    return "best" if best else "last"
