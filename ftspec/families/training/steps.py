"""What a script says of its steps by statements, because no argument of the trainer says it.

The warm-up's curve, a schedule that is late, and decay of every weight: transformers 5.6.0, trainer.py,
`create_scheduler` and `get_decay_parameter_names`. Its schedules are LambdaLR, all of them: a factor by step.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Flat, Refuse, Row

LATE = ("train.warmup_shape", "train.warmup_start", "train.schedule_delay")
USUAL = ("linear", 0.0, 0)
"""Values of these that are the trainer's own."""
ON = "train.weight_decay_on"
WARMUP = "train.warmup"
"""Native pseudo-key: the warm-up's curve, where it begins, and by how many steps the schedule is late."""
DECAYED = "train.decays_all"
"""Native pseudo-key: weight decay falls on biases and norms too."""
RISES: Mapping[str, str] = {
    "linear": "step / warmup",
    "log": "math.log(step + 1) / math.log(max(2, warmup))",
    "quadratic": "(step / warmup) ** 2",
}
"""How far the rate has risen after `step` of `warmup` steps."""
SCHEDULED = """\
WARMUP_SHAPE, WARMUP_START, SCHEDULE_DELAY = {{ warmup[0]|py }}, {{ warmup[1]|py }}, {{ warmup[2]|py }}
trainers_own = trainer.create_scheduler


def create_scheduler(num_training_steps, optimizer=None):
    \"\"\"The trainer's schedule, with another warm-up before it or some steps late.\"\"\"
    if trainer.lr_scheduler is None:
        scheduler = trainers_own(num_training_steps, optimizer)
        warmup, falls = args.get_warmup_steps(num_training_steps), scheduler.lr_lambdas[0]
        start = WARMUP_START / args.learning_rate

        def factor(step):
            step = max(0, step - SCHEDULE_DELAY)
            return FACTOR

        for group in scheduler.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        trainer.lr_scheduler = LambdaLR(scheduler.optimizer, factor)
    return trainer.lr_scheduler


trainer.create_scheduler = create_scheduler
"""
DECAYING = """\
# Weight decay falls on biases and norms too
trainer.get_decay_parameter_names = lambda model: [name for name, _ in model.named_parameters()]
"""
_SAID = 'WARMUP_SHAPE, WARMUP_START, SCHEDULE_DELAY = "@shape", "@start", "@delay"'


def step_rows() -> tuple[Row, ...]:
    """The rows of a script."""
    return (
        Row(
            LATE,
            (WARMUP,),
            _lower_warmup,
            lambda found: found or USUAL,
            uses=("train.schedule.type", "train.learning_rate"),
            absent=(None,),
        ),
        Row(
            (ON,),
            (DECAYED,),
            _lower_decay,
            lambda everything: "all" if everything else "matrices",
            uses=("method.tuner.plus_ratio",),
            absent=(False,),
        ),
    )


def no_steps(reason: str) -> tuple[Row, ...]:
    """Refusals of a backend whose trainer cannot be told."""
    return (no_warmup(reason), no_decay(reason))


def no_warmup(reason: str) -> Row:
    """Refusal of any warm-up but the trainer's own."""

    def lower(*late: Any) -> tuple[()]:
        if late != USUAL:
            raise Refuse(reason, "notyet", "run.backends: trl or deepspeed")
        return ()

    return Row(LATE, (), lower, lambda: USUAL, reason=reason)


def no_decay(reason: str) -> Row:
    """Refusal of decay that falls on every weight."""

    def lower(on: str) -> tuple[()]:
        if on != "matrices":
            raise Refuse(reason, "notyet", "run.backends: trl or deepspeed")
        return ()

    return Row((ON,), (), lower, lambda: "matrices", reason=reason)


def context(native: Flat) -> dict[str, Any]:
    """What a template prints of these."""
    warmup = native.get(WARMUP)
    logarithm = warmup is not None and warmup[0] == "log"
    return {
        "warmup": warmup,
        "logarithm": logarithm,
        "decayed": native.get(DECAYED, False),
    }


def scheduled(warmup: tuple[str, float, int]) -> str:
    """The Jinja text of the statements that change the schedule."""
    shape, start, _ = warmup
    rises = f"start + (1 - start) * {RISES[shape]} if step < warmup else falls(step)"
    return SCHEDULED.replace("FACTOR", "falls(step)" if (shape, start) == USUAL[:2] else rises)


def read_steps(tree: ast.Module) -> dict[str, Any]:
    """The native values of these statements; nothing where they are missing."""
    native: dict[str, Any] = {}
    for node in tree.body:
        if (found := match(_SAID, node)) is not None:
            native[WARMUP] = (found["shape"], found["start"], found["delay"])
        elif match(DECAYING, node) is not None:
            native[DECAYED] = True
    return native


def _lower_warmup(shape: str, start: float, delay: int, kind: str, peak: float) -> Any:
    if (shape, start, delay) == USUAL:
        return MISSING
    if (shape, start) != USUAL[:2] and kind == "warmup-stable-decay":
        raise Refuse(
            "its warm-up has a beginning of its own, and no other curve was seen to",
            "notimpl",
            "train.warmup_shape: linear",
        )
    if start >= peak:
        raise Refuse(
            f"the warm-up must begin below the peak, {peak:g}",
            "never",
            "train.warmup_start: a lower one",
        )
    return shape, start, delay


def _lower_decay(on: str, plus_ratio: float | None) -> Any:
    if on == "matrices":
        return MISSING
    if plus_ratio is not None:
        raise Refuse(
            "peft makes the optimizer of LoRA+, and spares biases and norms",
            "notyet",
            "train.weight_decay_on: matrices",
        )
    return True
