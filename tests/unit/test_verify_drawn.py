"""Completions that runs drew themselves: held token by token, or said not to be comparable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ftspec.verify.causes import likely
from ftspec.verify.checks import DRAWN, FOLLOWS, compare
from ftspec.verify.evidence import Evidence, Round
from ftspec.verify.samples import EACH, samples


def drawn(shift: int = 0, reward: float = 0.5, step: int = 1) -> Round:
    tokens = tuple((at + shift, 7) for at in range(4))
    return Round(step, 0, (3, 3, 8, 8), tokens, ("regex",), ((reward,), (0.0,), (1.0,), (0.0,)))


def outcomes(one: Evidence, two: Evidence) -> dict[str, str]:
    return {each.check.name: each.outcome.verdict for each in compare(one, two)}


def test_the_checks_stand_behind_the_order_and_only_where_there_is_drawing() -> None:
    names = [each.check.name for each in compare(Evidence(), Evidence())]
    assert not {check.name for check in DRAWN} & {*names}
    names = [
        each.check.name
        for each in compare(Evidence(rounds=(drawn(),)), Evidence(rounds=(drawn(),)))
    ]
    assert names[:5] == ["data order", "completions", "draws", "rewards", "text"]
    assert {*names} >= FOLLOWS


def test_the_same_draws_are_equal_in_all_that_is_random() -> None:
    run = Evidence(rounds=(drawn(), drawn(step=2)))
    found = outcomes(run, run)
    assert [found[name] for name in ("data order", "completions", "draws", "rewards")] == [
        "equal"
    ] * 4


def test_other_prompts_differ() -> None:
    other = replace(drawn(), indices=(3, 3, 9, 9))
    assert (
        outcomes(Evidence(rounds=(drawn(),)), Evidence(rounds=(other,)))["data order"] == "differs"
    )


def test_other_draws_are_no_difference_and_no_proof() -> None:
    one, two = Evidence(rounds=(drawn(),)), Evidence(rounds=(drawn(shift=2),))
    results = {each.check.name: each for each in compare(one, two)}
    assert results["completions"].outcome.verdict == "not-compared"
    assert results["draws"].outcome.passed
    # rows 3 and 8 are of other prompts: the same tokens there are other completions
    assert results["rewards"].outcome.verdict == "not-compared"
    assert {results[name].outcome.verdict for name in FOLLOWS} == {"not-compared"}
    cause = likely(one, two, results["text"])
    assert cause is not None and cause.anchor == "random-completions"


def test_the_same_completion_with_another_reward_is_named() -> None:
    one, two = Evidence(rounds=(drawn(),)), Evidence(rounds=(drawn(reward=0.25),))
    result = {each.check.name: each for each in compare(one, two)}["rewards"]
    assert result.outcome.verdict == "differs"
    assert result.outcome.where == "reward regex of the same completion, row 3 of the data"
    assert (result.outcome.reference, result.outcome.other) == ("0.5", "0.25")
    cause = likely(one, two, result)
    assert cause is not None and cause.anchor == "rewards"


def test_samples_that_are_far_apart_are_not_of_one_distribution() -> None:
    short = tuple((at,) * (5 + at % 3) for at in range(40))
    long = tuple((at,) * (9 + at % 3) for at in range(40))
    scores = ((0.0,),) * 40
    runs = [
        Evidence(rounds=(Round(1, 0, (1,) * 40, each, ("a",), scores),)) for each in (short, long)
    ]
    found = {each.check.name: each.outcome for each in compare(*runs)}
    assert found["draws"].verdict == "differs"
    assert found["draws"].where == "length"
    assert {each.outcome.verdict for each in compare(runs[0], runs[0])[1:4]} == {"equal"}


@pytest.mark.parametrize("missing", [0, 1])
def test_a_run_that_shows_no_completions_proves_nothing(missing: int) -> None:
    runs = [Evidence(rounds=(drawn(),)), Evidence()]
    found = outcomes(runs[missing], runs[1 - missing])
    assert {found[check.name] for check in DRAWN} == {"not-compared"}


def test_kept_samples_are_read_up_to_a_torn_line(tmp_path: Path) -> None:
    rows = [
        {
            "step": at,
            "prompt": [{"role": "user", "content": "Why?"}],
            "completion": f"<b>{at}",
            "rewards": {"regex": at / 2},
        }
        for at in range(20)
    ]
    folder = tmp_path / "model"
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "samples.jsonl").write_text(text + '{"step": 20, "pro')
    found = samples(tmp_path)
    assert [each.step for each in found] == [0, 1, 2, 3, 16, 17, 18, 19]
    assert len(found) == 2 * EACH
    assert (found[0].prompt, found[-1].completion) == ("Why?", "<b>19")
    assert samples(tmp_path / "elsewhere") == ()
