"""Completions that a trainer draws itself, and the rewards that they get."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

from .values import RANK, Recorder, plain

SCORING = ("_calculate_rewards", "_calculate_rewards_from_functions")
"""The methods in which trl's trainers hand completions to all rewards (1.16): of GRPO and RLOO, which give
each reward, and of online DPO, which gives their sum."""

WRITING = "generate_on_policy_outputs"
"""The method in which trl's distillation lets one of both models write answers, for one micro-batch."""


def trainer_above() -> Any:
    """The trainer that is calling back, if it draws completions; callbacks are not given it."""
    frame: Any = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if any(hasattr(type(found), name) for name in (*SCORING, WRITING)) and hasattr(
            found, "state"
        ):
            return found
        frame = frame.f_back
    return None


def watch_rewards(recorder: Recorder, trainer: Any, asked: list[list[int] | None]) -> None:
    """Note each round: the prompts' rows, the tokens that were drawn, and each reward of them.

    ``asked`` are the rows of each fetch. trl fetches a round again for each pass over it, so that the
    number of the pass is that of the fetch.
    """
    own = [kind for kind in type(trainer).__mro__ if kind.__module__.startswith("trl.")]
    if not any(SCORING[0] in vars(kind) for kind in own):
        _watch_totals(recorder, trainer, asked)
        return
    score = getattr(trainer, SCORING[0])

    def scoring(inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        rewards = score(inputs, prompts, completions, ids)
        at = getattr(trainer, "_step", 0)
        size = len(prompts)
        mine = rewards[RANK * size : (RANK + 1) * size]  # gathered over all processes
        rows = asked[at] if at < len(asked) else None
        _note(recorder, trainer, rows, ids, trainer.reward_func_names, mine)
        return rewards

    setattr(trainer, SCORING[0], scoring)


def _watch_totals(recorder: Recorder, trainer: Any, asked: list[list[int] | None]) -> None:
    """The same of a trainer that adds rewards up: it draws once for each fetch, each prompt twice."""
    score, rounds = getattr(trainer, SCORING[1]), [0]

    def scoring(prompts: Any, completions: Any, completion_ids_list: Any, **more: Any) -> Any:
        totals = score(prompts, completions, completion_ids_list, **more)
        at = rounds[0]
        rounds[0] += 1
        rows = asked[at] if at < len(asked) else None
        sums = [[total] for total in totals]
        _note(recorder, trainer, rows and [*rows, *rows], completion_ids_list, ["total"], sums)
        return totals

    setattr(trainer, SCORING[1], scoring)


def watch_writing(recorder: Recorder, trainer: Any, fetched: deque[dict[str, Any]]) -> None:
    """Note each round of distillation: the data's rows, and the tokens that were written to answer them.

    What was fetched for the micro-batch, the first of ``fetched``, becomes what was written.
    """
    write = getattr(trainer, WRITING)

    def writing(model: Any, inputs: Any, config: Any) -> Any:
        ids, mask, labels = write(model, inputs, config)
        note = fetched[0] if fetched else {}
        width = inputs["prompts"].shape[1]
        sides = zip(ids.tolist(), mask.tolist(), strict=True)
        own = [[t for t, on in zip(row[width:], m[width:], strict=True) if on] for row, m in sides]
        _note(recorder, trainer, note.get("indices"), own, [], [[] for _ in own])
        note |= {"input_ids": ids.tolist(), "labels": labels.tolist()}
        return ids, mask, labels

    setattr(trainer, WRITING, writing)


def _note(
    recorder: Recorder, trainer: Any, rows: list[int] | None, ids: Any, names: Any, rewards: Any
) -> None:
    recorder.put(
        "round",
        rank=RANK,
        step=trainer.state.global_step + 1,
        indices=rows,
        completions=[list(map(int, each)) for each in ids],
        names=[str(name) for name in names],
        rewards=[[plain(value) for value in row] for row in rewards],
    )
