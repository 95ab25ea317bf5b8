"""Files of these tools that are no configs of a training, by their keys, and what to give instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Other(NamedTuple):
    """A kind of file."""

    keys: frozenset[str]
    """All of these stand in it."""
    what: str
    hint: str


TRAINING = "name the config of the training"
OTHERS = (
    Other(
        frozenset(("resources", "run")),
        "this is a job for SkyPilot or `oumi launch`: the command that trains stands in its `run`",
        "give that command in quotes, or the config that it names",
    ),
    Other(
        frozenset(("model", "tuning")),
        "this is for `oumi tune`, which trains many times with other values: no single training",
        "give a config of `oumi train` with the values of one of them",
    ),
    Other(
        frozenset(("model", "tasks")), "this is for `oumi evaluate`, which trains nothing", TRAINING
    ),
    Other(
        frozenset(("model", "generation")),
        "this is for `oumi infer`, which trains nothing",
        TRAINING,
    ),
    Other(
        frozenset(("model", "judge_params")),
        "this is for `oumi judge`, which trains nothing",
        TRAINING,
    ),
)


def other(data: Mapping[str, Any]) -> Other | None:
    """What a file is that is no config of a training; None where that is not known."""
    return next((one for one in OTHERS if one.keys <= data.keys()), None)
