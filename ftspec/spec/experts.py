"""spec.model.experts: what a mixture of experts needs beside what every model needs."""

from __future__ import annotations

from pydantic import Field

from ftspec.spec.base import Node


class Experts(Node):
    """How the router of a mixture of experts is treated. Of no effect on other models."""

    balance_loss: float = Field(0.0, ge=0)
    """Weight of the loss that spreads tokens evenly over the experts (the router's auxiliary loss,
    https://arxiv.org/abs/2101.03961). 0: none, whatever the model's own files say."""
    freeze_router: bool = False
    """In full tuning, leave the router's weights as they are. Adapters leave them alone anyway."""
