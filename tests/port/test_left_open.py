"""What a verdict of `ftspec diff` says where a side leaves something open, or both tell nothing alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, ftspec, somewhere

__all__ = ["ftspec", "somewhere"]

TRL = "trl sft --model_name_or_path org/model --dataset_name org/rows "
CARD = "---\nbase_model: org/model\n---\n# A model\n"
WRITTEN = """\
cat > c.yaml <<EOF
model_name_or_path: org/model
dataset_name: org/rows
learning_rate: $A
EOF
trl sft --config c.yaml
"""
TRAINER = "model_name_or_path: org/model\ndataset_name: org/rows\nlearning_rate: 1.0e-4\n"
LAUNCH = "distributed_type: MULTI_GPU\nnum_processes: {}\n"
ZERO = '{"zero_optimization": {"stage": 2}}'
UNLESS = " train the same, unless what is left open differs"


@pytest.mark.parametrize(
    ("files", "verdict", "code"),
    [
        (("a.sh", f"{TRL}--learning_rate $A", "b.sh", f"{TRL}--learning_rate $B"), UNLESS, 1),
        (("a.sh", f"{TRL}--learning_rate $A", "b.sh", f"{TRL}--learning_rate $A"), UNLESS, 1),
        (("a.sh", f"{TRL}--learning_rate $A", "b.sh", f"{TRL}--learning_rate 1e-5"), UNLESS, 1),
        (("a.sh", WRITTEN, "b.sh", f"{TRL}--learning_rate 1e-5"), UNLESS, 1),
        (("a.sh", f"{TRL}--seed 1 $@", "b.sh", f"{TRL}--seed 1"), UNLESS, 1),
        (
            (
                "a.sh",
                f"{TRL}--per_device_train_batch_size $N --use_peft --lora_r $R --lora_target_modules q_proj",
                "b.sh",
                f"{TRL}--per_device_train_batch_size 2 --use_peft --lora_r 4 --lora_target_modules q_proj",
            ),
            UNLESS,
            1,
        ),
        (("a.sh", f"{TRL}--output_dir $OUT", "b.sh", TRL), " train the same", 0),
        (("a.sh", f"{TRL}--seed $S", "b.sh", f"{TRL}--max_steps 7"), " do not train the same", 1),
        (
            ("README.md", CARD, "b.sh", f"{TRL}--learning_rate $B"),
            " train the same, as far as README.md tells (model.name)",
            0,
        ),
        (
            ("a.json", ZERO, "acc.yaml", LAUNCH.format(2)),
            ": nothing that both tell can be compared",
            1,
        ),
        (("acc.yaml", LAUNCH.format(8), "b.yaml", TRAINER), " do not train the same", 1),
        (("a.yaml", TRAINER, "acc.yaml", LAUNCH.format(1)),
         " train the same, as far as acc.yaml tells (hardware.devices, hardware.nodes)", 0),
    ],
)  # fmt: skip
def test_a_verdict_says_how_far_it_holds(
    ftspec: Command, somewhere: Path, files: tuple[str, ...], verdict: str, code: int
) -> None:
    one, first, other, second = files
    Path(one).write_text(first)
    Path(other).write_text(second)
    done = ftspec("diff", one, other)
    assert (done.out.splitlines()[0], done.code) == (f"{one} and {other}{verdict}", code), done.out
    assert json.loads(ftspec("diff", one, other, "--json").out)["same"] is (code == 0)
    assert f"{one} and {one} train the same" in ftspec("diff", one, one).out


def test_no_option_answers_for_the_shell_and_port_says_what_does(
    ftspec: Command, somewhere: Path
) -> None:
    Path("a.sh").write_text(f"{TRL}--learning_rate $A\n")
    done = ftspec("port", "a.sh", "--to", "trl", "-o", "b", "--set", "train.learning_rate=3e-5")
    assert "a.sh:1: error[spec]: --learning_rate $A: only the shell knows it\n" in done.err
    assert "help: write its value into the script; or `ftspec import` writes the spec" in done.err


def test_nobody_asks_a_launcher_for_the_model_or_the_data(ftspec: Command, somewhere: Path) -> None:
    Path("acc.yaml").write_text(LAUNCH.format(8))
    shown = ftspec("explain", "acc.yaml").out
    assert "the rest is said by the trainer" in shown and "to decide" not in shown
    assert json.loads(ftspec("explain", "acc.yaml", "--json").out)["open"] == []
    assert "which model?" in ftspec("import", "acc.yaml").out


def test_no_default_is_told_where_only_the_shell_knows_the_value(
    ftspec: Command, somewhere: Path
) -> None:
    Path("a.sh").write_text(f"{TRL}--learning_rate $A\n")
    shown = ftspec("explain", "a.sh").out
    assert "  train.learning_rate " not in shown
    assert "to decide: line 1: --learning_rate $A: only the shell knows it\n" in shown
