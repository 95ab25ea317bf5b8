"""PPO, really trained in TRL's environment for it: after a reward model of an earlier stage, and alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ftspec.env.install import ensure
from ftspec.env.own import own
from ftspec.errors import EnvironmentError_, RunError
from ftspec.families.scripts.ppo_script import FILE, TEMPLATES
from ftspec.plan.make import make_plan
from ftspec.plan.pipeline import make_pipeline
from ftspec.plan.stages import Plan
from ftspec.registry import load as load_backend
from ftspec.run.execute import execute
from ftspec.run.taken import results
from ftspec.spec.load import load
from ftspec.spec.pipeline import Pipeline, load_any
from ftspec.verify.prove import as_run
from tests.conftest import SPECS
from tests.real.conftest import Lab
from tests.real.test_stages import run

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
TRL = load_backend("trl")
SCORER = "ppo-scorer"
ENDING = ("ppo-ending", "ppo-ending-padded")
ALONE = (
    "data.train=data/prompts.jsonl",
    "method={objective: {type: ppo, rewards: [{by: model, name: ./ppo-scorer}], "
    "generation: {max_length: 8}, iterations: 3, mini_batches: 2}, tuner: full}",
    "train.steps=2",
    "train.batch_size=8",
    "train.micro_batch_size=4",
    "train.save_steps=2",
    "train.max_grad_norm=null",
)
BARE = {
    "import ppo\n": "",
    "from trl import PPOConfig\n": "from trl import PPOConfig, PPOTrainer\n",
    "prompts = ppo.tokenised(train, tokenizer)\n": """\
tokenizer.padding_side = "left"
prompts = train.map(
    lambda row: tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True),
    remove_columns=train.column_names,
)
""",
    "trainer = ppo.Trainer(": "trainer = PPOTrainer(",
}
"""What makes the script one around trl's own trainer, without the file that is copied beside it."""


def ending(lab: Lab) -> None:
    """The tiny model, made to end some completions; and again with one token for end and padding."""
    for name in ENDING:
        target = lab.specs / name
        shutil.copytree(lab.specs / "tiny-model", target, dirs_exist_ok=True)
        tensors = load_file(target / "model.safetensors")
        end = np.zeros_like(tensors["lm_head.weight"][2])
        end[0] = 5.5
        tensors["lm_head.weight"][2] = end  # likely where one number of the last state is large
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config = lab.specs / ENDING[1] / "tokenizer_config.json"
    given = json.loads(config.read_text("utf-8"))
    config.write_text(json.dumps(given | {"pad_token": given["eos_token"]}), "utf-8")


def scorer(lab: Lab) -> None:
    """A reward model over the tiny model, whose head is drawn once and saved."""
    target = lab.specs / SCORER
    shutil.copytree(lab.specs / "tiny-model", target, dirs_exist_ok=True)
    tensors = load_file(target / "model.safetensors")
    size = tensors.pop("lm_head.weight").shape[1]
    tensors["score.weight"] = np.random.default_rng(0).standard_normal((1, size), "float32")
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((target / "config.json").read_text("utf-8"))
    one = {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "score"}}
    (target / "config.json").write_text(json.dumps(config | one), "utf-8")


def rounds(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What a run has logged, and the completions that it has kept."""
    state = json.loads((folder / "trainer_state.json").read_text("utf-8"))
    lines = (folder / "samples.jsonl").read_text("utf-8").splitlines()
    return state["log_history"], [json.loads(line) for line in lines]


def test_ppo_learns_from_the_reward_model_of_a_stage(lab: Lab) -> None:
    shutil.copy(SPECS / "ppo-stages-tiny.yaml", lab.specs)
    pipeline = load_any(lab.specs / "ppo-stages-tiny.yaml")
    assert isinstance(pipeline, Pipeline)
    links = make_pipeline(pipeline)
    assert [link.plan.lock() for link in links] == ["aligned", "aligned", "aligned", "ppo"]
    assert run(links) == ["answers", "reward", "answers-merged", "ppo"]
    assert run(links) == []
    last = results(links[-1].plan)
    logged, kept = rounds(last)
    assert [each["step"] for each in logged] == [1, 2]
    assert [each["step"] for each in kept] == [1] * 8 + [2] * 8
    scores = np.array([each["rewards"]["model"] for each in kept]).reshape(2, 8)
    assert len({*scores.flat}) == 16, "the head scores every completion otherwise"
    assert {each["tokens"] for each in kept} == {16}, "no end is drawn by chance: all are cut off"
    for at, each in enumerate(logged):  # the score, less the penalty of what was cut off
        assert each["reward"] == pytest.approx(scores[at].mean() - 1.0, abs=1e-5)
        assert each["completions/mean_length"] == 16
        assert each["grad_norm"] > 0
        assert each["loss"] == pytest.approx(
            each["loss/policy_avg"] + 0.1 * each["loss/value_avg"], abs=1e-6
        )
    assert abs(logged[0]["kl"]) < 1e-4, "completions are drawn before the first step"
    assert all(each["prompt"].endswith("<|im_start|>assistant\n") for each in kept)
    trained = load_file(last / "adapter_model.safetensors")
    assert any(value.any() for name, value in trained.items() if "lora_B" in name)


@pytest.fixture(scope="module")
def twice(lab: Lab) -> list[Plan]:
    """One run under two tokenizers, every weight trained; the other one recomputes its activations."""
    scorer(lab)
    ending(lab)
    plans = []
    for name in ENDING:
        sets = (*ALONE, f"model=./{name}", f"output.folder=runs/{name}")
        sets += (f"train.gradient_checkpointing={str(name == ENDING[1]).lower()}",)
        plan = make_plan(load(lab.spec, sets), "trl")
        execute(plan, ensure(TRL, plan.lock()))
        plans.append(plan)
    return plans


def test_the_seed_decides_what_is_drawn_whatever_pads_or_is_recomputed(
    lab: Lab, twice: list[Plan]
) -> None:
    one, other = map(results, twice)
    logged, kept = rounds(one)
    assert rounds(other)[1] == kept
    lengths = {each["tokens"] for each in kept}
    assert len(lengths) > 2, "some end by themselves, and some are cut off"
    assert max(lengths) == 8
    begun = load_file(lab.specs / ENDING[0] / "model.safetensors")
    weights, again = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert weights.keys() == begun.keys()
    assert sum(not np.array_equal(weights[name], begun[name]) for name in begun) > 15
    assert all(np.array_equal(weights[name], again[name]) for name in begun)
    assert logged[-1]["completions/mean_length"] < 8
    for folder, name in ((one, ENDING[0]), (other, ENDING[1])):
        for file, key in (
            ("generation_config.json", "eos_token_id"),
            ("tokenizer_config.json", "pad_token"),
        ):
            saved, own = (
                json.loads((at / file).read_text("utf-8")) for at in (folder, lab.specs / name)
            )
            assert saved[key] == own[key], "what is saved is not what training needs"
            assert saved.get("repetition_penalty") == own.get("repetition_penalty")
        assert "ppo_pad" not in (folder / "tokenizer.json").read_text("utf-8")


def test_trls_own_trainer_trains_the_same(twice: list[Plan]) -> None:
    plan = twice[0]
    bare = plan.folder.with_name("bare")
    shutil.copytree(plan.folder, bare, ignore=shutil.ignore_patterns("model", "run", "ppo.py"))
    text = (bare / "train.py").read_text("utf-8")
    for ours, theirs in BARE.items():
        assert text.count(ours) == 1, ours
        text = text.replace(ours, theirs)
    (bare / "train.py").write_text(text, "utf-8")
    place = as_run(plan, ensure(TRL, plan.lock()))
    command = [str(place.python), "train.py"]
    environ = dict(place.environ)
    done = subprocess.run(command, cwd=bare, env=environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    weights, again = (
        load_file(folder / "model.safetensors") for folder in (results(plan), bare / "model")
    )
    assert weights.keys() == again.keys()
    assert all(np.array_equal(weights[name], again[name]) for name in weights)


def test_steps_are_counted_and_prompts_rendered_as_said(lab: Lab, twice: list[Plan]) -> None:
    script = Path(__file__).with_name("ppo_checks.py")
    model, checkpoint = lab.specs / "tiny-model", results(twice[0]) / "checkpoint-2"
    command = [ensure(TRL, "ppo").python, script, TEMPLATES / FILE, model, checkpoint]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=True)
    found = json.loads(done.stdout.decode().splitlines()[-1])
    assert found["steps"] == [2 * 3 * 2], "batches x iterations x mini-batches"
    text, chat = found["texts"]
    assert text == "What is 3 + 4?"
    assert chat == "<|im_start|>user\nWhat is 3 + 4?<|im_end|>\n<|im_start|>assistant\n"
    assert found["norms"] == pytest.approx([5.0, 0.5])
    assert found["side"] == ["left", "right"]
    assert found["new"][0] == found["new"][1], "its number is one that the model has no row for"
    assert "a prompt holds it" in found["refused"]


def test_a_model_without_a_head_scores_nothing(lab: Lab) -> None:
    sets = (ALONE[0], ALONE[1].replace(SCORER, "tiny-model"), *ALONE[2:])
    plan = make_plan(load(lab.spec, (*sets, "output.folder=runs/ppo-headless")), "trl")
    with pytest.raises(RunError, match=r"tiny-model is no reward model: it has no score\.weight"):
        execute(plan, ensure(TRL, plan.lock()))


def test_an_interpreter_of_ones_own_is_held_to_the_versions_of_its_lock() -> None:
    python = ensure(TRL, "ppo").python
    assert own(python, TRL, "ppo").notes == ()
    with pytest.raises(
        EnvironmentError_, match=r"has trl 0\.24\.0; this ftspec knows >=1\.16,<1\.17"
    ):
        own(python, TRL, "aligned")
    with pytest.raises(
        EnvironmentError_, match=r"has trl 1\.16\.0; this ftspec knows >=0\.24,<0\.25"
    ):
        own(ensure(TRL).python, TRL, "ppo")


def test_too_few_prompts_end_the_run_at_once(lab: Lab) -> None:
    scorer(lab)
    rows = (lab.specs / "data" / "prompts.jsonl").read_text("utf-8").splitlines(keepends=True)
    (lab.specs / "few.jsonl").write_text("".join(rows[:3]), "utf-8")
    loaded = load(lab.spec, (*ALONE, "data.train=few.jsonl", "output.folder=runs/ppo-few"))
    plan = make_plan(loaded, "trl")
    with pytest.raises(RunError, match="3 prompts are less than a batch of 8"):
        execute(plan, ensure(TRL, plan.lock()))
