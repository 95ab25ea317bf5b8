"""GRPO and RLOO, really trained: the same prompts, the same completions, the same rewards and weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ftspec.errors import RunError
from ftspec.plan.pipeline import make_pipeline
from ftspec.run.taken import results
from ftspec.spec.pipeline import Pipeline, load_any
from tests.conftest import SPECS
from tests.real.conftest import Lab, Proven
from tests.real.test_options import assert_equal, refusal
from tests.real.test_stages import run

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
BACKENDS = ("trl", "deepspeed")
REWARDS = (
    "[{by: length, maximum: 60, unit: characters}, {by: regex, pattern: '[aeiou]{2}', weight: 0.5},"
    " {by: python, file: data/own_rewards.py, function: few_repetitions}]"
)
SHARED = (
    "data.train=data/prompts.jsonl",
    "train.steps=2",
    "train.batch_size=8",
    "train.micro_batch_size=4",
    "train.learning_rate=1e-3",
)
METHODS = {
    "grpo": "{type: grpo, beta: 0.04, rewards: REWARDS, generation: {completions: 4, max_length: 16}}",
    "rloo": "{type: rloo, rewards: REWARDS, iterations: 2, generation: {completions: 2, max_length: 16}}",
    "online-dpo": "{type: online-dpo, rewards: REWARDS, generation: {max_length: 16}}",
}
TUNERS = {"grpo": "lora", "rloo": "full", "online-dpo": "lora"}
GROUPS = {"grpo": 4, "rloo": 2}


def proven(lab: Lab, method: str, *more: str) -> Proven:
    sets = (
        f"method.objective={METHODS[method].replace('REWARDS', REWARDS)}",
        f"method.tuner={{type: {TUNERS[method]}}}",
        *SHARED,
        *more,
    )
    assert "draws completions in groups" in refusal(lab, "llamafactory", *sets)
    assert "a trainer of its own" in refusal(lab, "unsloth", *sets)
    proof = lab.prove(*sets, backends=BACKENDS)
    assert_equal(proof)
    checks = {check.name: check for check in proof.certificate.runs["deepspeed"].checks}
    assert checks["completions"].note.endswith("drawn with the same random numbers")
    return proof


@pytest.mark.parametrize("method", GROUPS)
def test_groups_are_drawn_and_rewarded_alike(lab: Lab, method: str) -> None:
    proof = proven(lab, method)
    rounds = proof.evidence("trl").rounds
    assert len(rounds) == (2 if method == "grpo" else 1)  # two steps with the same completions
    assert [len(each.completions) for each in rounds] == [8] * len(rounds)
    group, indices = GROUPS[method], rounds[0].indices or ()
    assert [len({*indices[at : at + group]}) for at in range(0, 8, group)] == [1] * (8 // group)
    assert rounds[0].names == ("length", "regex", "python")
    scores = {row for each in rounds for row in each.rewards}
    assert len(scores) > 2, "rewards that are all alike teach nothing"
    kept = (proof.model("trl") / "samples.jsonl").read_text().splitlines()
    first = json.loads(kept[0])
    assert len(kept) == 8 * len(rounds)
    assert list(first["rewards"]) == ["length", "regex", "python"]
    assert first["tokens"] == len(rounds[0].completions[0])
    record = proof.certificate.runs["trl"]
    assert record.samples[0].completion == first["completion"][-1]["content"]


def test_rewards_that_are_scaled_apart_train_otherwise(lab: Lab) -> None:
    apart = proven(lab, "grpo", "method.objective.aggregation=normalize-then-sum")
    together = proven(lab, "grpo")
    one, other = apart.evidence("trl").rounds[0], together.evidence("trl").rounds[0]
    assert one.completions == other.completions  # before the first step nothing is otherwise
    assert one.rewards == other.rewards
    weights = apart.weights("trl"), together.weights("trl")
    assert any((weights[0][name] != weights[1][name]).any() for name in weights[0])


def test_pairs_are_drawn_and_compared_alike(lab: Lab) -> None:
    assert "does not divide a loss" in refusal(
        lab, "trl", f"method.objective={METHODS['online-dpo'].replace('REWARDS', REWARDS)}", *SHARED
    )
    proof = proven(lab, "online-dpo", "train.batch_size=4")
    rounds = proof.evidence("deepspeed").rounds
    assert [len(each.completions) for each in rounds] == [8, 8]  # each prompt twice
    for each in rounds:
        assert each.indices is not None
        assert each.indices[:4] == each.indices[4:]
        assert each.completions[:4] != each.completions[4:]
    losses = [step.loss for step in proof.certificate.runs["trl"].steps]
    assert losses[0] == 0.6931  # the model is its own reference before the first step
    kept = (proof.model("trl") / "samples.jsonl").read_text().splitlines()
    assert [list(json.loads(row)["rewards"]) for row in kept] == [["total"]] * 16


def test_a_stage_scores_what_a_later_one_draws(lab: Lab) -> None:
    shutil.copy(SPECS / "rl-stages-tiny.yaml", lab.specs)
    pipeline = load_any(lab.specs / "rl-stages-tiny.yaml")
    assert isinstance(pipeline, Pipeline)
    links = make_pipeline(pipeline)
    assert run(links) == ["answers", "reward", "answers-merged", "rl"]
    assert run(links) == []
    reward, last = results(links[1].plan), results(links[3].plan)
    rows = [json.loads(line) for line in (last / "samples.jsonl").read_text().splitlines()]
    scores = [row["rewards"]["model"] for row in rows]
    assert len(rows) == 8 and len({*scores}) == 8, "a new head scores every completion otherwise"
    config = json.loads((last / "adapter_config.json").read_text("utf-8"))
    assert Path(links[3].plan.folder, config["base_model_name_or_path"]).resolve() == results(
        links[2].plan
    )
    # the reward model that was taken is held: of a changed one nothing stands
    file = reward / "adapter_model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-4] + bytes(4))
    with pytest.raises(RunError, match="the result of stage reward was changed"):
        run(links)
