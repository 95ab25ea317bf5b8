"""Each planted difference is found, at the first check that can see it, with its likely cause."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.verify.causes import likely
from ftspec.verify.checks import CHECKS, compare, first_failure
from ftspec.verify.evidence import Evidence, Group, Step
from tests.unit.verify_planted import FIRST, PLANTED, moved, other_template, unmasked_label
from tests.unit.verify_samples import (
    ADAPTED,
    SHAPES,
    evidence,
    named,
    settings,
    verdicts,
    with_batch,
    with_step,
)


@pytest.mark.parametrize("name", PLANTED)
def test_planted_difference_is_found_first_and_explained(name):
    plant, check, anchor = PLANTED[name]
    reference, other = evidence(), plant()
    results = compare(reference, other)
    failure = first_failure(results)
    assert failure is not None
    assert (failure.check.name, failure.outcome.verdict) == (check, "differs")
    cause = likely(reference, other, failure)
    assert cause is not None
    assert cause.anchor == anchor
    assert failure.outcome.where
    assert failure.outcome.reference != failure.outcome.other or "NaN" in name


def test_equal_runs_are_identical_in_every_check():
    assert set(verdicts(evidence(), evidence()).values()) == {"equal"}
    assert first_failure(compare(evidence(), evidence())) is None


def test_difference_in_text_is_shown_with_row_place_and_surroundings():
    failure = first_failure(compare(evidence(), other_template()))
    assert failure is not None
    outcome = failure.outcome
    assert outcome.where == "step 1, row 1 (row 4 of the data), character 13"
    assert outcome.context == (outcome.reference, outcome.other)
    assert "<|im_start|> word11" in outcome.reference
    assert "<|im_start|>  word11" in outcome.other


def test_difference_in_labels_shows_the_token_in_its_text():
    outcome = named(compare(evidence(), unmasked_label(2)), "label mask").outcome
    assert outcome.where.endswith("token 2")
    assert (outcome.reference, outcome.other) == ("not trained (-100)", "trained, label 3")
    assert outcome.context is not None
    assert " word11[⏎] word20" in outcome.context[0]
    assert outcome.note == "4 and 5 trained tokens in this row"


def test_later_rows_are_numbered_over_the_whole_step():
    other = with_batch(3, text=(FIRST.text[0], "changed"))
    outcome = named(compare(evidence(), other), "text").outcome
    assert outcome.where.startswith("step 2, row 3 ")


def test_layers_are_sorted_as_numbers():
    other = evidence(scaling=dict.fromkeys(ADAPTED, 1.0))
    assert named(compare(evidence(), other), "trainable parameters").outcome.where == (
        "adapter on layers.2.q_proj"
    )


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"batches": ()}, "data order"),
        ({"trainable": {}}, "trainable parameters"),
        ({"frozen": None}, "initial weights"),
        ({"groups": ()}, "optimizer groups"),
        ({"steps": ()}, "learning rates"),
        ({"after": {}}, "final update"),
        ({"finished": False}, "final update"),
    ],
)
def test_missing_evidence_is_no_pass(changed, check):
    reference, other = evidence(), evidence(**changed)
    result = named(compare(reference, other), check)
    assert result.outcome.verdict == "not-compared"
    assert "the other run does not show" in result.outcome.note
    assert not result.outcome.passed
    cause = likely(reference, other, result)
    assert cause is not None
    assert cause.anchor == "missing-evidence"
    both = named(compare(other, other), check).outcome
    assert both.note.startswith("neither run shows")


def test_gradients_by_parameter_stand_in_for_a_norm_that_is_not_logged():
    silent = with_step(0, grad_norm=None)
    outcome = named(compare(evidence(), silent), "first gradient norm").outcome
    assert outcome.verdict == "equal"
    assert "by parameter" in outcome.note
    mute = replace(silent, gradient={})
    result = named(compare(evidence(), mute), "first gradient norm")
    assert result.outcome.verdict == "not-compared"
    cause = likely(evidence(), mute, result)
    assert cause is not None
    assert cause.anchor == "gradient-norm-of-zero-0"


def test_a_run_of_one_step_has_no_trajectory():
    short = evidence(steps=evidence().steps[:1])
    assert named(compare(short, short), "trajectory").outcome.verdict == "not-compared"


def test_weights_that_did_not_move_prove_nothing():
    still = evidence(after=evidence().before)
    outcome = named(compare(still, still), "final update").outcome
    assert (outcome.verdict, outcome.passed) == ("not-compared", False)


def test_nan_in_both_runs_is_a_difference():
    broken = with_step(0, loss=math.nan)
    assert named(compare(broken, broken), "first loss").outcome.verdict == "differs"


def test_nan_in_the_weights_is_a_difference():
    name = next(iter(SHAPES))
    broken = evidence(after={**evidence().after, name: evidence().after[name] * math.nan})
    outcome = named(compare(evidence(), broken), "final update").outcome
    assert outcome.verdict == "differs"
    assert outcome.where == f"most in {name}"


@pytest.mark.parametrize(
    ("config", "anchor"), [("KTOConfig", "judged-answers"), ("GKDConfig", "teacher")]
)
def test_the_trainer_tells_what_else_a_loss_may_come_of(config, anchor):
    whole = evidence(setting={**evidence().setting, "config": config})
    other = replace(whole, steps=with_step(0, loss=2.6).steps)
    cause = likely(whole, other, named(compare(whole, other), "first loss"))
    assert cause is not None and cause.anchor == anchor


def test_flattened_groups_are_compared_by_size():
    flat = evidence(groups=(Group(settings(), 32, None),))
    outcome = named(compare(evidence(), flat), "optimizer groups").outcome
    assert outcome.verdict == "equal"
    assert "by group size" in outcome.note
    other = evidence(groups=(Group(settings(weight_decay=0.0), 32, None),))
    assert named(compare(evidence(), other), "optimizer groups").outcome.verdict == "differs"


def test_a_dropped_empty_group_and_another_kernel_are_no_difference():
    lean = evidence(groups=(Group(settings(fused=None, foreach=True), 32, tuple(SHAPES)),))
    assert verdicts(evidence(), lean)["optimizer groups"] == "equal"


def test_absent_masks_and_positions_mean_what_the_model_takes_them_for():
    given = with_batch(0, attention_mask=None, input_ids=((1,) * 8,) * 2)
    told = with_batch(
        0,
        attention_mask=((1,) * 8,) * 2,
        position_ids=(tuple(range(8)),) * 2,
        input_ids=((1,) * 8,) * 2,
    )
    assert verdicts(given, told)["batches"] == "equal"


def test_positions_that_rest_at_an_image_do_not_hide_its_pixels():
    placed = ((0, 1, 1, 1, 1, 2, 3, 4, *range(16)),) * 2
    one, two = (with_batch(0, position_ids=placed, images=pixels) for pixels in ("a", "b"))
    assert verdicts(one, two)["batches"] == "differs"
    wider = ((0, 1, 1, 1, 1, 2, 3, 4, *range(1, 17)),) * 2
    assert verdicts(one, with_batch(0, position_ids=wider, images="a"))["batches"] == "differs"
    assert verdicts(one, one)["batches"] == "equal"


def test_documents_that_share_a_row_are_compared_whatever_fills_it_up():
    restarting = ((0, 1, 2, 3, 0, 1, 0, 0), (0, 1, 0, 1, 2, 3, 4, 5))
    mask = ((1,) * 6 + (0, 0), (1,) * 8)
    one = with_batch(0, position_ids=restarting, attention_mask=mask)
    other = ((0, 1, 2, 3, 0, 1, 6, 7), restarting[1])
    assert (
        verdicts(one, with_batch(0, position_ids=other, attention_mask=mask))["batches"] == "equal"
    )
    moved_on = ((0, 1, 2, 0, 1, 2, 0, 0), restarting[1])
    assert (
        verdicts(one, with_batch(0, position_ids=moved_on, attention_mask=mask))["batches"]
        == "differs"
    )


def test_sixteen_bits_have_wider_tolerances_only_if_both_runs_have_them():
    args = {**evidence().args, "bf16": True}
    half, other = evidence(args=args), replace(with_step(0, loss=2.50001), args=args)
    assert verdicts(half, other)["first loss"] == "within"
    assert verdicts(evidence(), other)["first loss"] == "differs"


def test_sixteen_bits_are_what_was_seen_not_what_was_asked_for():
    asked = evidence(args={**evidence().args, "bf16": True})
    engine = evidence(setting={**evidence().setting, "autocast": "bfloat16"})
    assert (asked.lowered(), engine.lowered(), evidence().lowered()) == ("bfloat16",) * 2 + ("",)
    other = replace(engine, steps=with_step(0, loss=2.50001).steps)
    assert verdicts(asked, other)["first loss"] == "within"
    never = evidence(
        args={**evidence().args, "bf16": True}, setting={**evidence().setting, "autocast": ""}
    )
    assert never.lowered() == ""


losses = st.floats(1e-3, 1e3)


@given(st.lists(losses, min_size=2, max_size=6), st.lists(losses, min_size=2, max_size=6))
def test_verdicts_are_symmetric(ours, theirs):
    one, two = (
        evidence(steps=tuple(Step(i + 1, loss, loss / 10, 1e-3) for i, loss in enumerate(values)))
        for values in (ours, theirs)
    )
    assert verdicts(one, two) == verdicts(two, one)
    assert set(verdicts(one, one).values()) == {"equal"}


@given(
    st.sampled_from([check for check in CHECKS if check.tolerance]),
    st.floats(1.1, 1e3),
    st.floats(0.0, 0.9),
)
def test_beyond_the_tolerance_differs_and_below_it_does_not(check, beyond, below):
    def perturbed(share: float) -> Evidence:
        first, _, third = evidence().steps
        return {
            "learning rates": lambda: with_step(2, learning_rate=1e-3 * (1 + share)),
            "first loss": lambda: with_step(0, loss=first.loss * (1 + share)),
            "first gradient norm": lambda: with_step(0, grad_norm=0.3 * (1 + share)),
            "trajectory": lambda: with_step(2, loss=third.loss * (1 + share)),
            "final update": lambda: moved(share),
        }[check.name]()

    assert verdicts(evidence(), perturbed(check.tolerance * beyond * 1.01))[check.name] == "differs"
    assert verdicts(evidence(), perturbed(check.tolerance * below))[check.name] != "differs"
