"""The global batch: from what a person means to what each device does."""

from __future__ import annotations

import math

from ftspec.errors import Problem, SpecError

LARGEST_MICRO_BATCH = 8
"""transformers' own default per device; larger ones are asked for by name."""


def micro_batch(batch: int, processes: int) -> int:
    """The largest micro batch, at most 8, with which accumulation comes out whole.

    Raises:
        SpecError: the batch cannot be shared evenly by so many devices.
    """
    _divisible(batch, processes, "devices")
    share = batch // processes
    return max(size for size in range(1, min(share, LARGEST_MICRO_BATCH) + 1) if share % size == 0)


def accumulation(batch: int, micro: int, processes: int) -> int:
    """Forward passes per optimizer step on each device: batch / (micro x processes).

    Raises:
        SpecError: it does not come out whole; the message says which numbers would.
    """
    _divisible(batch, micro * processes, "micro batch x devices", micro, processes)
    return batch // (micro * processes)


def steps_per_epoch(rows: int, micro: int, processes: int, accumulation: int) -> int:
    """Optimizer steps of one pass, as transformers counts them: an incomplete last step is one too.

    Trainer.set_initial_training_values of transformers 5.6; the loader drops no row.
    """
    batches = math.ceil(rows / (micro * processes))
    return max(math.ceil(batches / accumulation), 1)


def _divisible(batch: int, unit: int, name: str, micro: int = 0, processes: int = 0) -> None:
    if batch % unit == 0:
        return
    below, above = batch // unit * unit, (batch // unit + 1) * unit
    batches = " or ".join(str(size) for size in (below, above) if size)
    hint = f"a train.batch_size of {batches} would do"
    if micro and batch % processes == 0:
        share = batch // processes
        sizes = [str(size) for size in range(1, min(share, 256) + 1) if share % size == 0]
        hint += f", or a train.micro_batch_size of {', '.join(sizes)}"
    detail = f" ({micro} x {processes})" if micro else ""
    raise SpecError(
        Problem(
            f"a batch of {batch} rows cannot be split over {name} = {unit}{detail}",
            path="train.batch_size",
            hint=hint,
        )
    )
