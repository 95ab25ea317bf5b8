"""Weights that are judged by evaluations: there must be some, and what they judge must be saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.plan.values import Value
from ftspec.spec.train import Train


def decide_best(train: Train, evaluated: bool, values: Mapping[str, Value], decide: Any) -> None:
    """How often checkpoints are saved where the best one is kept.

    Raises:
        SpecError: nothing is evaluated; or a checkpoint would be saved that no evaluation has judged.
    """
    judged = {"keep": train.keep == "best", "early_stopping": train.early_stopping is not None}
    asked = [name for name, said in judged.items() if said]
    if asked and not evaluated:
        raise SpecError(
            Problem(
                "a run is judged by evaluations, and there is nothing to evaluate on",
                path=f"train.{asked[0]}",
                hint=f"give data.eval or data.eval_size, or leave train.{asked[0]} out",
            )
        )
    if train.keep != "best":
        return
    every, save = values["train.eval_steps"].value, train.save_steps
    if save is None:
        decide("train.save_steps", every, "train.keep: best is saved with each evaluation")
    elif not _judged(save, every):
        raise SpecError(
            Problem(
                f"a checkpoint every {save} is not always one that was evaluated (every {every})",
                path="train.save_steps",
                hint="leave it out: one is saved with each evaluation",
            )
        )


def _judged(save: Any, every: Any) -> bool:
    """transformers asks for the same way of counting, and a multiple (training_args.py)."""
    whole = isinstance(save, int) and isinstance(every, int)
    return save == every or (whole and save % every == 0)
