"""How trl counts tokens where devices share layers.

trl 1.16, trainer/sft_trainer.py (`compute_loss`): the loss of a device is divided by the tokens that
transformers 5.6 has added up over all devices, and multiplied by the number of groups. Devices of one group
have the same rows, so that their tokens were added up as often as they are: loss and gradients were seen to
be half as large with two. Where each device counts by itself, and there is one group, the number is right.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.training.launch import TENSORS
from ftspec.families.training.tensors import PATH
from ftspec.mapping import Refuse, Row

ACROSS = "average_tokens_across_devices"
COUNTS = (
    "trl 1.16 counts the tokens of a group once for each of its devices (trainer/sft_trainer.py, "
    "compute_loss), which one group alone can do without"
)


def counted_row(config: str) -> Row:
    """Whether tokens are counted over all devices: unless they are one group that shares each layer."""
    return Row(
        (),
        (f"{config}{ACROSS}",),
        lambda size: size == 1,
        _lift,
        uses=(PATH,),
        reads=(TENSORS,),
        absent=(True,),
        reason="the loss is the mean over all trained tokens, whatever the number of devices",
    )


def _lift(across: bool, section: Any) -> tuple[()]:
    if across != (not isinstance(section, dict)):
        raise Refuse(
            "tokens are counted twice over devices that share layers, or apart over others"
        )
    return ()
