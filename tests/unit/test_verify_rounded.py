"""What bfloat16 makes of numbers, and of checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.verify.evidence import Evidence, Step, Tensor
from ftspec.verify.rounded import STEP, distance, is_the_same_draw, to_bfloat16
from ftspec.verify.state import initial_weights
from tests.unit.verify_samples import evidence, verdicts

FLOATS = st.floats(-(2.0**99), 2.0**99, width=32).filter(lambda x: x == 0 or abs(x) > 1e-30)


@given(FLOATS)
def test_rounding_keeps_eight_bits(number: float) -> None:
    rounded = float(to_bfloat16([number])[0])
    assert abs(rounded - number) <= 2.0**-8 * abs(number)
    assert float(to_bfloat16([rounded])[0]) == rounded
    assert not np.float32(rounded).view("uint32") & 0xFFFF


@pytest.mark.parametrize(
    ("number", "nearest"),
    [(1.0 + 2**-8, 1.0), (1.0 + 3 * 2**-8, 1.0 + 2**-6), (0.0472106970846653, 0.047119140625)],
)
def test_halfway_goes_to_the_even_one(number: float, nearest: float) -> None:
    assert float(to_bfloat16([number])[0]) == nearest


def drawn_as(values: np.ndarray, digest: str, kind: str = "bfloat16") -> Evidence:
    return Evidence(
        trainable={"a": Tensor(values.shape, "float32", digest)},
        frozen="f",
        frozen_sizes={kind: (1, 2)},
        before={"a": values},
    )


def test_a_draw_in_float32_is_the_one_in_bfloat16() -> None:
    drawn = np.random.default_rng(0).normal(size=64).astype("float32")
    whole, rounded = drawn_as(drawn, "1"), drawn_as(to_bfloat16(drawn), "2")
    found = initial_weights(whole, rounded, 0)
    assert found.verdict == "within"
    assert found.measured is not None
    assert 0 < found.measured < STEP
    # not where the base is float32, nor where a single number is another one
    both = [replace(each, frozen_sizes={"float32": (1, 4)}) for each in (whole, rounded)]
    assert initial_weights(*both, 0).verdict == "differs"
    other = to_bfloat16(drawn)
    other[3] *= 1.01
    assert initial_weights(whole, drawn_as(other, "3"), 0).verdict == "differs"
    # nor where neither is rounded
    assert not is_the_same_draw(drawn, drawn * np.float32(1 + 1e-6))
    assert not is_the_same_draw(drawn, drawn[:32])
    assert distance(drawn, drawn) == 0


@pytest.mark.parametrize(
    ("model", "verdict"), [("FSDPPeftModel", "within"), ("PeftModel", "differs")]
)
def test_losses_that_fsdp_rounds_lie_a_step_apart(model: str, verdict: str) -> None:
    setting = {"model": model, "autocast": "bfloat16"}
    ours, theirs = (
        evidence(setting=setting, steps=(Step(1, loss, 0.3, 0.0), Step(2, loss, 0.3, 0.0)))
        for loss in (6.96875, 6.953125)
    )
    found = verdicts(ours, theirs)
    assert found["first loss"] == found["trajectory"] == verdict
