"""What a token of a demonstration counts: train/trainer_utils.py, dft_loss_func and eaft_loss_func."""

from __future__ import annotations

from typing import Any

from ftspec.families.objectives.supervised import LOSSES
from ftspec.mapping import MISSING, Refuse, Row

KEYS = ("use_dft_loss", "use_eaft_loss", "eaft_alpha")
EAFT_TOKENS, EAFT_SCALE = 20, 3.0
"""Numbers of its code, for which it has no keys."""


def loss_row() -> Row:
    """The loss; of entropies it has a key for the exponent alone."""
    return Row(LOSSES, KEYS, _lower, _lift, absent=(False, False, 1.0))


def _lower(loss: str, power: float, tokens: int, scale: float) -> tuple[Any, ...]:
    if loss != "eaft":
        return loss == "dft", False, MISSING
    if (tokens, scale) != (EAFT_TOKENS, EAFT_SCALE):
        raise Refuse(
            f"its code takes the entropy of {EAFT_TOKENS} tokens and divides it by {EAFT_SCALE:g}",
            "notyet",
            f"entropy_tokens: {EAFT_TOKENS}, entropy_scale: {EAFT_SCALE:g}",
        )
    return False, True, power


def _lift(dft: bool, eaft: bool, power: float) -> tuple[Any, ...]:
    if dft or not eaft:  # the first that it asks for
        return "dft" if dft else "nll", 1.0, EAFT_TOKENS, EAFT_SCALE
    return "eaft", power, EAFT_TOKENS, EAFT_SCALE
