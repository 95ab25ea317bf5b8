"""How far a training is, read from what it prints; the artefact is left as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

# transformers prints a dict: numbers bare up to version 4, quoted since version 5, nan and inf too.
_PAIR = re.compile(
    r"""['"]([\w/]+)['"]\s*:\s*['"]?([-+]?(?:\d[\d.]*(?:[eE][-+]?\d+)?|\.\d+|nan|inf))"""
)
_LOG = re.compile(r"""\{.*['"](?:eval_)?loss['"]\s*:.*\}""")
# tqdm: " 50%|█████     | 3/6 [00:01<00:01,  2.0it/s]".
_BAR = re.compile(r"(?:^|\s)\d+%\|[^|]*\| *(\d+)/(\d+) \[\d+:[\d:]*<")
_RANK = re.compile(r"^\[(?:rank|default)(\d+)\]: ?")


@dataclass(frozen=True)
class Progress:
    """One look at a running training. None: it has not said."""

    step: int
    total: int | None = None
    loss: float | None = None
    grad_norm: float | None = None
    learning_rate: float | None = None
    epoch: float | None = None
    eval_loss: float | None = None
    margin: float | None = None
    """By how much chosen answers are rewarded above rejected ones."""
    accuracy: float | None = None
    """Share of pairs in which the chosen answer is rewarded more."""
    reward: float | None = None
    """The mean reward of completions that the model drew, weighted."""
    kl: float | None = None
    """How far the model has gone from what it was."""
    tokens: float | None = None
    """The mean length of completions."""


def numbers(line: str) -> dict[str, float]:
    """The numbers of a Trainer's log line; nothing if it is another kind of line."""
    found = _LOG.search(line)
    return {name: float(value) for name, value in _PAIR.findall(found[0])} if found else {}


def bar(line: str) -> tuple[int, int] | None:
    """Step and total of a Trainer's progress bar.

    Bars with a name (`Loading weights: 50%|...`) count other things and give nothing.
    """
    found = _BAR.search(_RANK.sub("", line))
    if not found or _RANK.sub("", line)[: found.start()].strip():
        return None
    return int(found[1]), int(found[2])


class Tracker:
    """Turns lines into progress.

    Log lines do not say which step they belong to. With a progress bar the bar does; without one,
    the step follows from ``every`` (train.logging_steps) or from the epoch.
    """

    def __init__(self, total: int | None = None, every: int = 1) -> None:
        self._every = every
        self._logged = 0
        self.now = Progress(0, total)

    def read(self, line: str) -> Progress | None:
        """The progress after this line, or None if it says nothing new."""
        rank = _RANK.match(line)
        if rank and rank[1] != "0":
            return None
        said = numbers(line)
        if "loss" in said:
            return self._log(said)
        if "eval_loss" in said:
            self.now = replace(self.now, eval_loss=said["eval_loss"], epoch=said.get("epoch"))
            return self.now
        return self.glance(line)

    def glance(self, state: str) -> Progress | None:
        """The same for the present state of a progress bar; log lines pass through it too."""
        seen = bar(state)
        # Evaluation has a bar too, over batches; with a known total only the training's counts.
        if seen and seen[1] == (self.now.total or seen[1]) and seen[0] > self.now.step:
            self.now = replace(self.now, step=seen[0], total=seen[1])
            return self.now
        return None

    def _log(self, said: dict[str, float]) -> Progress:
        self._logged += 1
        step = self._logged * self._every
        if self.now.total is not None:
            step = min(step, self.now.total)
        self.now = Progress(
            # A log line comes before or after the bar's next state: both count whole steps.
            step=max(step, self.now.step),
            total=self.now.total,
            loss=said["loss"],
            grad_norm=said.get("grad_norm"),
            learning_rate=said.get("learning_rate"),
            epoch=said.get("epoch"),
            eval_loss=self.now.eval_loss,
            margin=said.get("rewards/margins"),
            accuracy=said.get("rewards/accuracies"),
            reward=said.get("reward", said.get("objective/scores")),
            kl=said.get("kl", said.get("objective/kl")),
            tokens=said.get("completions/mean_length"),
        )
        return self.now


def follow(lines: Iterable[str], total: int | None = None, every: int = 1) -> Iterator[Progress]:
    """All progress in a log."""
    tracker = Tracker(total, every)
    for line in lines:
        if now := tracker.read(line):
            yield now
