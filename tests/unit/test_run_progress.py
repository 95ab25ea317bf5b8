"""Progress from lines that the four frameworks printed."""

from __future__ import annotations

import math

import pytest

from ftspec.run.progress import Progress, Tracker, bar, follow, numbers

# TRL 1.16, with and without tqdm; Unsloth prints the same without entropy.
TRL = """\
Loading weights: 100%|██████████| 21/21 [00:00<00:00, 42043.14it/s]
Tokenizing train dataset: 100%|██████████| 64/64 [00:00<00:00, 1091.02 examples/s]
{'loss': '6.808', 'grad_norm': '0.3345', 'learning_rate': '0', 'entropy': '6.919', 'mean_token_accuracy': '0', 'num_tokens': '170', 'epoch': '0.0625'}
{'loss': '6.861', 'grad_norm': '0.3131', 'learning_rate': '0.0005', 'entropy': '6.919', 'num_tokens': '444', 'epoch': '0.125'}
{'loss': '6.722', 'grad_norm': '0.5521', 'learning_rate': '1.254e-05', 'entropy': '6.918', 'num_tokens': '4208', 'epoch': '1'}
{'train_runtime': '0.855', 'train_samples_per_second': '74.85', 'train_steps_per_second': '18.71', 'train_loss': '6.8', 'epoch': '1'}
"""  # noqa: E501
# LLaMA-Factory 0.9.5
LLAMAFACTORY = """\
[INFO|trainer.py:2519] 2026-11-21 21:08:34,700 >> ***** Running training *****
{'loss': '6.84', 'grad_norm': '0.2935', 'learning_rate': '0', 'epoch': '0.125'}
{'loss': '6.851', 'grad_norm': '0.2861', 'learning_rate': '0.0005', 'epoch': '0.25'}
***** train metrics *****
  train_loss               =        6.8
"""


def test_trl() -> None:
    seen = list(follow(TRL.splitlines(), total=3))
    assert [look.step for look in seen] == [1, 2, 3]
    assert seen[0] == Progress(1, 3, 6.808, 0.3345, 0.0, 0.0625)
    assert seen[2].learning_rate == 1.254e-05


def test_pairs() -> None:
    """As TRL and LLaMA-Factory both log them."""
    line = (
        "{'loss': '0.6914', 'grad_norm': '0.4498', 'rewards/chosen': '0.001', 'rewards/accuracies': '0.75', "
        "'rewards/margins': '-0.0035', 'logps/chosen': '-210.5', 'epoch': '0.1'}"
    )
    (seen,) = follow([line])
    assert (seen.loss, seen.margin, seen.accuracy) == (0.6914, -0.0035, 0.75)


def test_llamafactory() -> None:
    assert [look.loss for look in follow(LLAMAFACTORY.splitlines())] == [6.84, 6.851]


def test_deepspeed_without_a_gradient_norm() -> None:
    # ZeRO 0 in fp32 has none
    (seen,) = follow(["{'loss': '6.956', 'learning_rate': '0', 'epoch': '0.0625'}"])
    assert seen.grad_norm is None


@pytest.mark.parametrize(
    ("line", "loss"),
    [
        ("{'loss': 1.25, 'epoch': 0.5}", 1.25),
        ('{"loss": 1.25, "epoch": 0.5}', 1.25),
        ("{'loss': '1e-07', 'epoch': '2'}", 1e-07),
        ("[rank0]: {'loss': '2.5', 'epoch': 1.0}", 2.5),
        (" 50%|█████     | 3/6 [00:01<00:01]{'loss': '2.5', 'epoch': 1.0}", 2.5),
    ],
)
def test_any_quoting(line: str, loss: float) -> None:
    assert numbers(line)["loss"] == loss


def test_a_loss_that_is_no_number_is_seen_as_such() -> None:
    (seen,) = follow(["{'loss': nan, 'grad_norm': 'inf', 'epoch': 1.0}"])
    assert seen.loss is not None
    assert math.isnan(seen.loss)
    assert seen.grad_norm == math.inf


@pytest.mark.parametrize(
    "line",
    [
        "",
        "loss",
        "{'train_loss': '6.8', 'epoch': '1'}",
        "{'loss_type': 'nll'}",
        "{'loss': 'nll'}",
        "[rank1]: {'loss': '2.5'}",
        "Loading weights: 100%|██████████| 21/21 [00:00<00:00, 42043.14it/s]",
        "Generating train split: 64 examples [00:00, 15974.50 examples/s]",
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert list(follow([line])) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (" 50%|█████     | 3/6 [00:01<00:01,  2.00it/s]", (3, 6)),
        ("100%|██████████| 6/6 [1:00:01<00:00, 600.1s/it]", (6, 6)),
        ("[rank0]:  17%|█▋        | 1/6 [00:00<00:00, 16.89it/s]", (1, 6)),
        ("  0%|          | 0/6 [00:00<?, ?it/s]", (0, 6)),
        ("Map: 50%|█████     | 3/6 [00:01<00:01]", None),
    ],
)
def test_bars(line: str, found: tuple[int, int] | None) -> None:
    assert bar(line) == found


def test_bar_and_log_lines_agree_on_the_step() -> None:
    tracker = Tracker(total=6)
    assert tracker.glance("  0%|          | 0/6 [00:00<?, ?it/s]") is None
    first = tracker.read("{'loss': '6.8', 'epoch': '0.1'}")
    assert first is not None
    assert first.step == 1
    second = tracker.glance(" 33%|███▎      | 2/6 [00:00<00:00, 17.55it/s]")
    assert second is not None
    assert (second.step, second.loss) == (2, 6.8)
    third = tracker.read("{'loss': '6.7', 'epoch': '0.2'}")
    assert third is not None
    assert third.step == 2
    # Evaluation's bar counts batches
    assert tracker.glance(" 50%|█████     | 4/8 [00:00<00:00, 17.55it/s]") is None


def test_logging_every_few_steps() -> None:
    lines = ["{'loss': '1.0'}", "{'loss': '0.9'}", "{'eval_loss': '0.8', 'epoch': '1'}"]
    seen = list(follow(lines, total=15, every=10))
    assert [look.step for look in seen] == [10, 15, 15]
    assert seen[-1].eval_loss == 0.8
