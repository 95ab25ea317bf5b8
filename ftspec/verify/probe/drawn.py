"""Completions that a trainer draws itself, and the rewards that they get."""

from __future__ import annotations

import sys
from typing import Any

from .values import RANK, Recorder, plain

SCORING = "_calculate_rewards"
"""The method in which trl's trainers hand completions to all rewards (GRPO and RLOO, 1.16)."""


def trainer_above() -> Any:
    """The trainer that is calling back, if it draws completions; callbacks are not given it."""
    frame: Any = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if hasattr(found, SCORING):
            return found
        frame = frame.f_back
    return None


def watch_rewards(recorder: Recorder, trainer: Any, asked: list[list[int] | None]) -> None:
    """Note each round: the prompts' rows, the tokens that were drawn, and each reward of them.

    ``asked`` are the rows of each fetch. trl fetches a round again for each pass over it, so that the
    number of the pass is that of the fetch.
    """
    score = getattr(trainer, SCORING)

    def scoring(inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        rewards = score(inputs, prompts, completions, ids)
        at = getattr(trainer, "_step", 0)
        size = len(prompts)
        mine = rewards[RANK * size : (RANK + 1) * size]  # gathered over all processes
        recorder.put(
            "round",
            rank=RANK,
            step=trainer.state.global_step + 1,
            indices=asked[at] if at < len(asked) else None,
            completions=[list(map(int, each)) for each in ids],
            names=[str(name) for name in trainer.reward_func_names],
            rewards=[[plain(value) for value in row] for row in mine],
        )
        return rewards

    setattr(trainer, SCORING, scoring)
