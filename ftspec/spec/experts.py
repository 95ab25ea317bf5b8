"""spec.model.experts: what a mixture of experts needs beside what every model needs."""

from typing import Annotated, Literal

from pydantic import Field

from ftspec.spec.base import Node

Weight = Annotated[float, Field(ge=0)]


class Experts(Node):
    """How the router of a mixture of experts is treated. Of no effect on other models."""

    balance_loss: Weight | Literal["model"] = 0.0
    """Weight of the loss that spreads tokens evenly over the experts (the router's auxiliary loss,
    https://arxiv.org/abs/2101.03961). 0: none, whatever the model's own files say. `model`: the weight that
    they say, `router_aux_loss_coef` of its config.json."""
    freeze_router: bool = False
    """In full tuning, leave the router's weights as they are. Adapters leave them alone anyway."""
