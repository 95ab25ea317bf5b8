"""Runs that draw other completions: exact under each seed where nothing is random, else as distributions."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftspec.report.html import drawn as said
from ftspec.report.html import page, summary
from ftspec.verify import prove as module
from ftspec.verify.causes import likely
from ftspec.verify.certificate import Certificate, from_json, to_json
from ftspec.verify.checks import FOLLOWS, compare_over_seeds
from ftspec.verify.evidence import Evidence, Round, Step
from ftspec.verify.seeds import FEWEST, LEVEL, by_signs, distributions, quantities
from ftspec.verify.verify import Ended, certified
from tests.conftest import SPECS
from tests.unit.test_verify_certificate import certificate
from tests.unit.test_verify_runs import run
from tests.unit.verify_samples import evidence

SEEDS = range(42, 42 + FEWEST)


def sampled(seed: int, side: int, better: float = 0.0, **changed: object) -> Evidence:
    """A run with completions and rewards of its own, drawn from a distribution that seeds share."""
    draw = np.random.default_rng((seed, side))
    tokens = tuple((seed, side, at, *range(draw.integers(1, 9))) for at in range(8))
    rewards = tuple((float(draw.random()) + better,) for _ in tokens)
    rounds = (Round(1, 0, (3,) * 4 + (8,) * 4, tokens, ("regex",), rewards),)
    losses = tuple(
        Step(step, *draw.normal(0.3, 1e-2, 2).tolist(), 1e-3, float(draw.random()))
        for step in (1, 2, 3)
    )
    return evidence(rounds=rounds, steps=losses, batches=(), **changed)


def pairs(better: float = 0.0, **changed: object) -> dict[int, tuple[Evidence, Evidence]]:
    return {s: (sampled(s, 0), sampled(s, 1, better, **changed)) for s in SEEDS}


def test_p_is_the_share_of_signs_that_reach_as_far() -> None:
    found = by_signs([[1.0] * 8])
    assert found.p == 2 / 2**8  # all plus, and all minus
    assert found.statistic == pytest.approx(math.sqrt(8))
    assert found.critical < found.statistic
    assert by_signs([[0.0] * 8]).p == 1
    # 3 of one sign and 1 of the other: |sum| 2 or more in 2 + 8 of 16 choices
    assert by_signs([[1.0, 1.0, 1.0, -1.0]]).p == 10 / 16


def test_the_level_holds_for_all_quantities_together() -> None:
    """Where both sides are of one distribution, hardly more than one test in a hundred finds a difference."""
    draw, found, times = np.random.default_rng(5), 0, 600
    for _ in range(times):
        shared = draw.exponential(size=FEWEST)  # quantities of one run belong together
        rows = shared + draw.exponential(size=(4, FEWEST)) - draw.exponential(size=(4, FEWEST))
        signs = by_signs((rows * draw.choice((-1, 1), size=FEWEST)).tolist())
        found += signs.p <= LEVEL
        assert (signs.p <= LEVEL) == (signs.statistic > signs.critical * (1 + 1e-9))
    assert found / times < 3 * LEVEL


def test_what_is_not_random_is_exact_and_the_rest_is_alike() -> None:
    found = {each.check.name: each.outcome for each in compare_over_seeds(pairs())}
    assert found["distributions"].verdict == "within"
    assert "draws" not in found
    assert {found[name].verdict for name in (*FOLLOWS, "completions", "rewards")} == {"random"}
    exact = ("data order", "trainable parameters", "initial weights", "optimizer groups")
    assert {found[name].verdict for name in exact} == {"equal"}
    names = [each.name for each in quantities([*pairs().values()])]
    assert names == [
        *("mean length", "mean reward regex", "mean divergence (KL)", "mean loss"),
        *("mean gradient norm", "norm of the final update"),
    ]


def test_another_distribution_is_found_and_named() -> None:
    results = compare_over_seeds(pairs(better=0.5))
    (found,) = (each for each in results if each.check.name == "distributions")
    assert found.outcome.verdict == "differs"
    assert found.outcome.where == "mean reward regex over 8 seeds"
    assert found.outcome.measured is not None and found.outcome.measured > found.tolerance
    assert float(found.outcome.other) - float(found.outcome.reference) > 0.3
    cause = likely(*pairs()[42], found)
    assert cause is not None and cause.anchor == "random-completions"


def test_an_exact_difference_under_a_later_seed_is_one() -> None:
    held = pairs()
    one, two = held[44]
    rounds = (replace(two.rounds[0], indices=(3,) * 4 + (9,) * 4),)
    held[44] = one, replace(two, rounds=rounds)
    found = {each.check.name: each.outcome for each in compare_over_seeds(held)}
    assert found["data order"].verdict == "differs"
    assert found["data order"].where.startswith("seed 44: step 1, row 5")


def test_a_reward_of_the_same_completion_is_held_where_both_drew_it() -> None:
    held = pairs()
    one, two = held[43]
    shared = (one.rounds[0].completions[0], *two.rounds[0].completions[1:])
    held[43] = one, replace(two, rounds=(replace(two.rounds[0], completions=shared),))
    found = {each.check.name: each.outcome for each in compare_over_seeds(held)}
    assert found["rewards"].verdict == "differs"
    assert found["rewards"].where.startswith("seed 43: reward regex")


def test_what_is_not_rewarded_is_no_reward_that_was_compared() -> None:
    """Distillation: answers are written, and nothing scores them."""

    def bare(run: Evidence) -> Evidence:
        (only,) = run.rounds
        return replace(run, rounds=(replace(only, names=(), rewards=((),) * 8),))

    held = {seed: (bare(one), bare(two)) for seed, (one, two) in pairs().items()}
    results = compare_over_seeds(held)
    (found,) = (each for each in results if each.check.name == "rewards")
    assert (found.outcome.verdict, found.outcome.measured) == ("equal", None)
    names = [each.name for each in quantities([*held.values()])]
    assert "mean length" in names and not any("reward" in name for name in names)
    assert bare(pairs()[42][0]).rounds[0].names == ()


def test_a_ruin_and_too_few_seeds_show_nothing() -> None:
    broken = [(one, replace(two, steps=(Step(1, math.nan),))) for one, two in pairs().values()]
    assert distributions(broken)[0].verdict == "differs"
    few = [*pairs().values()][:7]
    assert distributions(few)[0].verdict == "not-compared"


def test_the_certificate_says_what_was_compared(tmp_path) -> None:
    held = {s: (Ended(evidence=one), Ended(evidence=two)) for s, (one, two) in pairs().items()}
    ours, theirs = held[42]
    made = [run(tmp_path / name) for name in ("trl", "deepspeed")]
    records = {
        "trl": certified(made[0], ours, ours, True),
        "deepspeed": certified(made[1], theirs, ours, False, held),
    }
    whole = replace(certificate(), reference="trl", runs=records)
    assert whole.verdict == "alike" and whole.exit_code == 0
    assert from_json(to_json(whole)) == whole
    (sentence,) = said(whole)
    for part in ("8 seeds 42 to 49", "data order", "mean reward regex", "level 0.01", "p = "):
        assert part in sentence
    assert "under each of 8 seeds" in summary(whole)
    assert "over seeds 42, 43, 44" in page(whole)
    failed = {**held, 45: (ours, Ended(error="no memory"))}
    record = certified(made[1], theirs, ours, False, failed)
    assert (record.conclusion, record.error) == ("failed", "seed 45: no memory")


def test_other_seeds_are_compiled_into_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `prove` hands on to be run: under each seed the same spec, but for the seed."""
    given: dict[str, Any] = {}

    def kept(runs: Any, *_: Any, **more: Any) -> Certificate:
        given.update(more, runs=runs)
        return certificate()

    monkeypatch.setattr(module, "verify", kept)
    monkeypatch.setattr(module, "ensure_all", lambda backends, *_: [None] * len(backends))
    monkeypatch.setattr(module, "as_run", lambda plan, _place: plan)
    for part in ("tiny-model", "data"):
        shutil.copytree(SPECS / part, tmp_path / part)
    shutil.copy(SPECS / "grpo-tiny.yaml", tmp_path)
    loaded, folder = module.effective(tmp_path / "grpo-tiny.yaml", (), 2, tmp_path / "proof")
    module.prove(loaded, ["trl", "deepspeed"], folder, reference="trl", seeds=8)
    assert list(given["seeds"]) == list(range(42, 50))
    first, other = given["runs"]["trl"], given["reseeded"](43, ["trl"])["trl"]
    assert (first.folder, other.folder) == (folder / "trl", folder / "seeds" / "43" / "trl")
    apart = {key for key in first.native if first.native[key] != other.native[key]}
    assert apart == {"GRPOConfig.seed", "GRPOConfig.data_seed", "model.name",
                     "data.train"}  # fmt: skip
    assert other.native["GRPOConfig.seed"] == other.native["GRPOConfig.data_seed"] == 43
    assert (other.folder / "train.py").is_file()
    places = [(run.folder / run.results()).resolve() for run in (first, other)]
    assert len({*places}) == 2
