"""Rows for the schedules of the learning rate that transformers' trainer makes.

Names, formulas and defaults: transformers 5.6.0, optimization.py. Each argument is written out in
`lr_scheduler_kwargs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ftspec.mapping import MISSING, Refuse, Row, only

TYPE = "train.schedule.type"
KWARGS = "lr_scheduler_kwargs"
NAMES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant",
    "cosine-restarts": "cosine_with_restarts",
    "polynomial": "polynomial",
    "inverse-sqrt": "inverse_sqrt",
    "warmup-stable-decay": "warmup_stable_decay",
}
OTHER_NAMES = {"constant_with_warmup": "constant", "cosine_with_min_lr": "cosine"}
"""What the trainer calls two of them in certain cases."""
FIXED = {"warmup_type": "linear", "num_cycles": 0.5}
"""Of warmup_stable_decay: a line up, and half a wave down where the decay is a cosine."""


def schedule_rows() -> tuple[Row, ...]:
    """The schedule, its warm-up and its arguments."""
    return (
        Row(
            (TYPE, "train.warmup_steps", "train.warmup_ratio"),
            ("lr_scheduler_type", "warmup_steps"),
            _lower_type,
            _lift_type,
            uses=("train.schedule.min_ratio",),
            absent=("linear", 0),
        ),
        _arguments(
            "cosine",
            {"cycles": ("num_cycles", 0.5), "min_ratio": ("min_lr_rate", 0.0)},
            lambda given, _: {k: v for k, v in given.items() if v or k != "min_lr_rate"},
        ),
        _arguments("cosine-restarts", {"cycles": ("num_cycles", 1)}),
        _arguments(
            "polynomial", {"power": ("power", 1.0), "end_rate": ("lr_end", 1e-7)}, _below_the_peak
        ),
        _arguments("inverse-sqrt", {"timescale": ("timescale", None)}),
        _arguments(
            "warmup-stable-decay",
            {
                "stable_steps": ("num_stable_steps", None),
                "decay_steps": ("num_decay_steps", None),
                "decay": ("decay_type", "cosine"),
                "min_ratio": ("min_lr_ratio", 0),
            },
            lambda given, _: {k: v for k, v in given.items() if v is not None} | FIXED,
            FIXED,
        ),
    )


def _lower_type(
    kind: str, steps: int | None, ratio: float | None, lowest: float | None
) -> tuple[str, Any]:
    warmup: float = steps if steps is not None else (ratio or 0)
    if kind == "constant" and warmup:
        return "constant_with_warmup", warmup  # `constant` ignores the warm-up without a word
    if kind == "cosine" and lowest:
        return "cosine_with_min_lr", warmup
    return NAMES[kind], warmup


def _lift_type(name: str, warmup: float) -> tuple[str, int | None, float | None]:
    found = {theirs: ours for ours, theirs in NAMES.items()} | OTHER_NAMES
    if name not in found:
        raise Refuse(f"the schedule {name!r} is not in a spec yet", "notimpl")
    if name == "constant":
        warmup = 0
    # a number below 1 is a share of all steps: transformers' get_warmup_steps
    steps, ratio = (None, warmup) if 0 < warmup < 1 else (int(warmup), None)
    return found[name], steps, ratio


def _arguments(
    kind: str,
    names: Mapping[str, tuple[str, Any]],
    finish: Callable[[dict[str, Any], float], dict[str, Any]] = lambda given, _: given,
    fixed: Mapping[str, Any] | None = None,
) -> Row:
    """The arguments of one schedule: our name -> transformers' and what it assumes without it.

    ``finish`` puts the last hand to them, and gets the peak rate; ``fixed`` are those with one value.
    """

    def lower(*values: Any) -> dict[str, Any]:
        *own, peak = values
        given = {theirs: value for (theirs, _), value in zip(names.values(), own, strict=True)}
        return finish(given, peak)

    def lift(native: Mapping[str, Any] | None) -> Any:
        given = dict(native or {})
        values = tuple(given.pop(theirs, absent) for theirs, absent in names.values())
        for name, value in given.items():
            if (fixed or {}).get(name, MISSING) != value:
                raise Refuse(f"{KWARGS}: {name}={value!r} is not in a spec yet", "notimpl")
        return values if len(values) > 1 else values[0]

    paths = tuple(f"train.schedule.{name}" for name in names)
    row = Row(paths, (KWARGS,), lower, lift, uses=("train.learning_rate",), absent=(None,))
    return only(TYPE, kind, row)[0]


def _below_the_peak(given: dict[str, Any], peak: float) -> dict[str, Any]:
    if given["lr_end"] >= peak:
        raise Refuse(
            f"the rate at the end must be below the peak, {peak:g}",
            "never",
            "train.schedule.end_rate: a lower one",
        )
    return given
