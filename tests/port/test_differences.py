"""What `ftspec diff` calls a difference of training, in which words, and what it calls none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, ftspec, somewhere

__all__ = ["ftspec", "somewhere"]

TRL = "model_name_or_path: org/m\ndataset_name: org/r\nlearning_rate: 1e-4\nuse_peft: true\n"
LAUNCH = "distributed_type: MULTI_GPU\nnum_machines: 1\nnum_processes: 8\n"
ENGINE = (
    '{"train_micro_batch_size_per_gpu": 1, "optimizer": {"type": "AdamW", "params": {"lr": LR}}}'
)
SCORED = "load_best_model_at_end: true\neval_strategy: steps\neval_steps: {0}\nsave_steps: {0}\n"


def differences(ftspec: Command, one: str, other: str) -> tuple[int, dict[str, Any]]:
    Path("one.yaml").write_text(one)
    Path("other.yaml").write_text(other)
    done = ftspec("diff", "one.yaml", "other.yaml", "--json")
    return done.code, json.loads(done.out)


@pytest.mark.parametrize(
    ("one", "other", "path", "words"),
    [
        ("", "resume_from_checkpoint: out/c\n", "train.resume", "this very training"),
        ("warmup_ratio: 0.03\n", "warmup_steps: 9\n", "train.warmup_ratio", "another warm-up"),
        ("", "max_length: 512\n", "data.max_length", "between 512 and 1024 tokens are cut in one"),
        ("", "max_length: 512\npacking: true\n", "data.max_length", "packs of another size"),
        ("", "max_length: null\n", "data.max_length", "rows beyond 1024 tokens are cut in one"),
        (
            "optim: adamw_torch\nadam_beta2: 0.95\n",
            "optim: adamw_bnb_8bit\n",
            "train.optimizer.beta2",
            "",
        ),
        (SCORED.format(10), SCORED.format(20), "train.eval_steps", "which weights are kept"),
    ],
)
def test_what_is_trained_otherwise(
    ftspec: Command, somewhere: Path, one: str, other: str, path: str, words: str
) -> None:
    code, found = differences(ftspec, TRL + one, TRL + other)
    (line,) = [line for line in found["differences"] if line["path"] == path]
    assert (code, line["weight"], words in line["words"]) == (1, "training", True)


FACTORY = (
    "model_name_or_path: org/m\nstage: sft\ndo_train: true\nfinetuning_type: lora\n"
    "dataset: alpaca_en_demo\ntemplate: qwen\nlora_target: q_proj,v_proj\n"
)


def test_rows_that_are_held_out_do_not_train(ftspec: Command, somewhere: Path) -> None:
    code, found = differences(ftspec, FACTORY, f"{FACTORY}val_size: 0.1\n")
    (line,) = found["differences"]
    assert (code, line["path"], line["weight"]) == (1, "data.eval_size", "training")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (FACTORY, FACTORY.replace("q_proj,v_proj", "v_proj,q_proj")),
        (TRL, f"{TRL}warmup_ratio: 0.0\n"),
        (TRL, f"{TRL}logging_steps: 3\nsave_strategy: 'no'\neval_steps: 5\n"),
        (f"{TRL}max_steps: 9\n", f"{TRL}max_steps: 9\nnum_train_epochs: 7\n"),
    ],
)
def test_what_is_trained_alike(ftspec: Command, somewhere: Path, one: str, other: str) -> None:
    code, found = differences(ftspec, one, other)
    assert (code, found["same"]) == (0, True), found


@pytest.mark.parametrize(
    ("other", "path", "words"),
    [
        ("num_machines: 2\nnum_processes: 4\n", "hardware.devices", "1/2 of the rows per step"),
        ("num_machines: 1\nnum_processes: 16\n", "hardware.devices", "2 times the rows per step"),
    ],
)
def test_a_launch_alone_shares_a_batch_that_its_trainer_says(
    ftspec: Command, somewhere: Path, other: str, path: str, words: str
) -> None:
    code, found = differences(ftspec, LAUNCH, f"distributed_type: MULTI_GPU\n{other}")
    line = next(line for line in found["differences"] if line["path"] == path)
    assert (code, line["weight"], words in line["words"]) == (1, "training", True)
    assert (found["partial"], found["open"]) == (["one.yaml", "other.yaml"], [])
    _, found = differences(ftspec, LAUNCH, f"{TRL}lora_target_modules: [q_proj, v_proj]\n")
    assert not [line for line in found["open"] if line.startswith("one.yaml")]


def test_of_two_engines_nothing_is_compared_that_neither_says(
    ftspec: Command, somewhere: Path
) -> None:
    zero = '{"bf16": {"enabled": %s}, "zero_optimization": {"stage": %d}}'
    Path("two.json").write_text(zero % ('"auto"', 2))
    Path("three.json").write_text(zero % ("true", 3))
    found = json.loads(ftspec("diff", "two.json", "three.json", "--json").out)["differences"]
    assert [(line["path"], line["one"]) for line in found] == [
        ("precision.compute", None),
        ("hardware.zero.stage", 2),
    ]
    assert found[0]["words"] == "the other leaves it to the trainer"
    shown = ftspec("explain", "two.json").out
    assert "hardware.zero.stage" in shown and "train.learning_rate" not in shown


def test_steps_that_a_launcher_counts_are_told(ftspec: Command, somewhere: Path) -> None:
    engine = (
        "distributed_type: DEEPSPEED\nnum_processes: 8\ndeepspeed_config: {zero_stage: 2, %s: %d}\n"
    )
    steps = "gradient_accumulation_steps"
    code, found = differences(ftspec, engine % (steps, 4), engine % (steps, 8))
    assert (code, len(found["not_compared"])) == (1, 2)


def test_a_part_of_a_training_is_compared_as_far_as_it_tells(
    ftspec: Command, somewhere: Path
) -> None:
    Path("card.yaml").write_text(TRL)
    Path("README.md").write_text("---\nbase_model: org/m\n---\n# A model\n")
    done = ftspec("diff", "README.md", "card.yaml")
    assert done.code == 0
    first = done.out.splitlines()[0]
    assert first == "README.md and card.yaml train the same, as far as README.md tells (model.name)"


def test_passes_of_a_trainers_state_are_whole_ones(ftspec: Command, somewhere: Path) -> None:
    Path("half.yaml").write_text(
        f"{TRL}num_train_epochs: 0.5\nlora_target_modules: [q_proj, v_proj]\n"
    )
    Path("trainer_state.json").write_text(json.dumps({"num_train_epochs": 1, "max_steps": 9}))
    assert ftspec("diff", "trainer_state.json", "half.yaml").code == 0


def test_what_one_side_leaves_open_or_says_nearly_is_told(ftspec: Command, somewhere: Path) -> None:
    _, found = differences(ftspec, TRL, f"{TRL}lora_target_modules: [q_proj, v_proj]\n")
    assert [line.partition(":")[0] for line in found["open"]] == ["one.yaml"]
    shown = ftspec("diff", "one.yaml", "other.yaml").out
    assert "left open:" in shown


def test_both_of_two_files_that_are_gone_are_named(ftspec: Command, somewhere: Path) -> None:
    done = ftspec("diff", "gone.yaml", "away.yaml")
    assert done.code == 2
    assert "gone.yaml" in done.err and "away.yaml" in done.err


@pytest.mark.parametrize(
    ("names", "one", "other", "path", "key"),
    [
        (
            ("one.yaml", "other.yaml"),
            TRL.replace("1e-4", "[1.0e-5]"),
            TRL,
            "train.learning_rate",
            "learning_rate",
        ),
        (
            ("one.yaml", "other.yaml"),
            f"{TRL}lora_r: [8]\n",
            f"{TRL}lora_r: 8\n",
            "method.tuner.rank",
            "lora_r",
        ),
        (
            ("one.json", "other.json"),
            ENGINE.replace("LR", '"abc"'),
            ENGINE.replace("LR", "1e-5"),
            "train.learning_rate",
            "optimizer.params.lr",
        ),
    ],
)
def test_a_value_of_no_kind_that_a_setting_takes_is_none(
    ftspec: Command,
    somewhere: Path,
    names: tuple[str, str],
    one: str,
    other: str,
    path: str,
    key: str,
) -> None:
    for name, text in zip(names, (one, other), strict=True):
        Path(name).write_text(text)
    done = ftspec("diff", *names)
    assert (done.code, f"{path}: null against" in done.out, f" {key}: " in done.out) == (
        1,
        True,
        True,
    )
    assert f"  {path} " not in ftspec("explain", names[0]).out
