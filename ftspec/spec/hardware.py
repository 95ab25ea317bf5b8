"""spec.hardware: what the run may use."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ftspec.spec.base import Items, Node, Whole

ClassName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")]
"""A class's name, with or without its module's."""


class Zero(Node):
    """ZeRO sharding (https://arxiv.org/abs/1910.02054). `zero: 3` means `{stage: 3}`."""

    short: ClassVar[str | None] = "stage"

    stage: Annotated[Literal[0, 1, 2, 3], Whole] = 2
    """1 shards optimizer states over the devices, 2 gradients too, 3 parameters too. 0: nothing."""
    offload_optimizer: bool = False
    """Keep optimizer states in CPU memory."""
    offload_parameters: bool = False
    """Keep parameters in CPU memory (stage 3)."""
    leaf_modules: Items[ClassName] | None = None
    """Classes of modules whose parameters are fetched all at once (stage 3): blocks of experts, of
    which a device may use some only. null: those of Mixtral, Qwen2-MoE and Qwen3-MoE."""

    @model_validator(mode="after")
    def _possible(self) -> Zero:
        if self.offload_parameters and self.stage != 3:
            raise ValueError(
                "`offload_parameters` needs stage 3: earlier stages do not shard parameters"
            )
        if self.leaf_modules is not None and self.stage != 3:
            raise ValueError("`leaf_modules` needs stage 3: earlier stages fetch nothing")
        if self.offload_optimizer and self.stage == 0:
            raise ValueError("`offload_optimizer` needs stage 1 or more")
        return self


class Hardware(Node):
    """Devices and how a model is spread over them."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: cuda where an NVIDIA driver is found, else cpu."""
    devices: int = Field(1, ge=1)
    """Devices (processes) per node."""
    nodes: int = Field(1, ge=1)
    """Machines."""
    sequence_parallel: Annotated[Literal[1, 2, 4, 8], Whole] = 1
    """Devices that share each row, for rows too long for one: they count as one in the batch."""
    zero: Zero | None = None
    """ZeRO sharding. null: the backend's choice, which does not change the mathematics."""
