"""Label smoothing that the sigmoid loss of trl 1 does not read, whoever hands it on."""

from __future__ import annotations

from ftspec.port.rules import Outcome

PATH = "method.objective.label_smoothing"
IGNORED = (
    "the sigmoid loss of {} ignores label smoothing, and so none is here (trainer/dpo_trainer.py)"
)


def unsmoothed(trl: str, otherwise: str = "") -> Outcome:
    """None, for pairs that train by that loss.

    ``trl``: which trl it is. ``otherwise``: which one reads it, and how that is asked for.
    """
    return Outcome("approximated", spec={PATH: 0.0}, why=f"{IGNORED.format(trl)}{otherwise}")
