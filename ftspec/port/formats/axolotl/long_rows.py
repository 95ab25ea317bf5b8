"""What becomes of rows that are too long, where answers are compared, scored or drawn.

utils/data/rl.py of axolotl 0.19.0; rows of reward models are cut by their own function.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.formats.axolotl.energy_rows import STRIDED, WHOLE
from ftspec.port.formats.axolotl.entries import objective
from ftspec.port.formats.axolotl.grpo import KEPT
from ftspec.port.rules import Context, Outcome

COMPARED = ("dpo", "kto", "orpo", "simpo")
MEASURED = (
    "it measures a prompt and its answers each by itself, without what is added to them (utils/data/rl.py): "
    "rows that are longer by a token or two stay there, and are cut"
)
SCORED = "a longer answer is cut, and scored at the cut (prompt_strategies/bradley_terry)"
FEATURED = "features are read of the first 2048 tokens, whatever it says, and nothing is left out"
OTHERWISE = {"grpo": KEPT}
"""By the objective, what becomes of a long row there, and here."""
LEFT_OUT = "rows whose prompt alone is too long are left out there, and cut here (utils/data/rl.py)"
ANYWAY = {
    **dict.fromkeys((WHOLE, STRIDED), "with `rl: ebft` no row is too long"),
    "reward": "of reward models no row is measured",  # utils/data/utils.py, _should_skip_processing
}
"""Where nothing reads what to do with a long row."""


def length(value: Any, context: Context) -> Outcome | None:
    """What `sequence_len` is there; None of demonstrations and texts."""
    learns = objective(context)
    if learns == WHOLE:
        return Outcome("inert", why=FEATURED)
    if learns == STRIDED:
        return Outcome("renamed", spec={"data.max_length": value})
    if learns == "reward":
        return Outcome("renamed", spec={"data.max_length": value}, why=SCORED)
    if why := OTHERWISE.get(learns):
        return Outcome("approximated", spec={"data.max_length": value}, why=why)
    if learns in COMPARED:
        return Outcome("approximated", {"SFTConfig.max_length": value}, why=MEASURED)
    return None


def overflow(word: str, context: Context) -> Outcome | None:
    """What `excess_length_strategy` is there; ``word``: a spec's for it."""
    learns = objective(context)
    if learns in ANYWAY:
        return Outcome("inert", why=ANYWAY[learns])
    if word == "truncate" and learns in COMPARED:
        return Outcome("approximated", spec={"data.overflow": word}, why=LEFT_OUT)
    return None
