"""The order of rows: what transformers' Trainer is told of it, alike in every framework around it.

transformers 5.6 and 5.16, trainer.py, _get_train_sampler; trainer_pt_utils.py, LengthGroupedSampler. Rows of
like length are drawn by the generator of the process, which the trainer seeds with `seed` when it is made:
`data_seed` is for rows in plain random order. Lengths are those of `input_ids`, which rows of compared
answers have not: their trainers stop. Trainers that draw completions have samplers of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftspec.mapping import Refuse, Row

GROUPED = "group_by_length"
STRATEGY = "train_sampling_strategy"
PATHS = ("data.group_by_length", "data.shuffle")
USES = (
    *(
        "train.data_seed",
        "train.seed",
        "train.resume",
        "data.packing",
        "hardware.sequence_parallel",
    ),
    *("hardware.device", "derived.processes", "train.neftune_alpha"),
    *(f"method.tuner.{name}" for name in ("dropout", "rank_dropout", "module_dropout", "options")),
)
"""What `lower_grouped` asks beside the field itself."""


def order_row(key: str) -> Row:
    """Both facts of a trainer's order, which one native ``key`` holds."""
    return Row(PATHS, (key,), lower_order, lift_order, uses=USES, absent=("random",))


def lower_order(grouped: bool, shuffle: bool, *uses: Any) -> str:
    """The name of the strategy.

    Raises:
        Refuse: rows of like length, under values with which they would be other ones.
    """
    if lower_grouped(grouped, *uses):
        return GROUPED
    return "random" if shuffle else "sequential"


def lower_grouped(grouped: bool, *uses: Any) -> bool:
    """Whether rows of like length share a step.

    Raises:
        Refuse: it is so, under values with which they would be other ones.
    """
    if grouped:
        _refuse_others(**{path.rpartition(".")[2]: v for path, v in zip(USES, uses, strict=True)})
    return grouped


def _refuse_others(
    *,
    data_seed: int | None,
    seed: int,
    resume: str | None,
    packing: str | None,
    sequence_parallel: int,
    device: str,
    processes: int | None,
    neftune_alpha: float | None,
    options: Mapping[str, Any] | None,
    **dropouts: float | None,
) -> None:
    if data_seed not in (None, seed):
        raise Refuse(
            "rows of like length are drawn by the trainer's seed, whatever data_seed is",
            hint="leave train.data_seed out",
        )
    if resume is not None:
        raise Refuse(
            "a run that goes on within a later epoch draws the rows of that epoch anew, and trains some "
            "of them twice (trainer.py, _run_epoch)",
            hint="leave train.resume out",
        )
    if packing is not None:
        raise Refuse("packed rows are of one length, nearly", "never", "leave one of the two out")
    if sequence_parallel != 1:
        raise Refuse("rows of like length were not seen to be split over devices", "notimpl")
    drawn = (neftune_alpha, *dropouts.values(), *_dropouts(options or {}))
    if device == "cpu" and (processes or 1) > 1 and any(drawn):
        raise Refuse(
            "each process draws the order by its own generator, and on a CPU dropout and noise draw by it "
            "too: in a later epoch they have different rows",
            hint="method.tuner.dropout: 0, and no train.neftune_alpha",
        )


def _dropouts(options: Mapping[str, Any]) -> Iterator[Any]:
    """Those of peft's adapters that a spec has as options: each has a name of its own for it."""
    return (value for name, value in options.items() if "dropout" in name)


def lift_order(strategy: Any) -> tuple[bool, bool]:
    """Whether rows of like length share a step, and whether rows are drawn at random."""
    if strategy not in ("random", "sequential", GROUPED):
        raise Refuse(f"no sampling strategy is called {strategy!r}", "never")
    return strategy == GROUPED, strategy != "sequential"
