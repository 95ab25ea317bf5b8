"""The global batch is what a person means: what follows from it divides, or the error says what would."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.errors import SpecError
from ftspec.plan.batch import LARGEST_MICRO_BATCH, accumulation, micro_batch

COUNT = st.integers(1, 600)


@given(COUNT, st.integers(1, 16))
def test_the_micro_batch_is_the_largest_that_divides(batch: int, processes: int) -> None:
    if batch % processes:
        with pytest.raises(SpecError):
            micro_batch(batch, processes)
        return
    micro = micro_batch(batch, processes)
    assert 1 <= micro <= LARGEST_MICRO_BATCH
    assert accumulation(batch, micro, processes) * micro * processes == batch
    for larger in range(micro + 1, LARGEST_MICRO_BATCH + 1):
        assert batch % (larger * processes)


@given(COUNT, st.integers(1, 40), st.integers(1, 16))
def test_every_number_that_an_error_offers_would_do(batch: int, micro: int, processes: int) -> None:
    if batch % (micro * processes) == 0:
        assert accumulation(batch, micro, processes) * micro * processes == batch
        return
    with pytest.raises(SpecError) as caught:
        accumulation(batch, micro, processes)
    (problem,) = caught.value.problems
    assert problem.path == "train.batch_size"
    batches, _, micros = problem.hint.partition(", or a train.micro_batch_size of ")
    offered = [int(number) for number in re.findall(r"\d+", batches)]
    assert offered
    for other in offered:
        assert accumulation(other, micro, processes)
    for size in re.findall(r"\d+", micros):
        assert accumulation(batch, int(size), processes)
    assert bool(micros) == (batch % processes == 0)


@pytest.mark.timeout(60)  # counting up to it would take years
def test_the_largest_batch_is_answered() -> None:
    with pytest.raises(SpecError, match="cannot be split"):
        accumulation(2**62, 7, 1)
