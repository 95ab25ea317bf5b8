"""spec.hardware: what the run may use."""

from typing import Annotated, ClassVar, Literal, Self

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
    offload_folder: Annotated[str, Field(pattern=r"^/.*[^/]$")] | None = None
    """A folder on a local disk (NVMe), by its whole path: what is offloaded lies there, not in CPU memory
    (ZeRO-Infinity, stage 3). Needs libaio."""
    leaf_modules: Items[ClassName] | None = None
    """Classes of modules whose parameters are fetched all at once (stage 3): blocks of experts, of
    which a device may use some only. null: those of Mixtral, Qwen2-MoE and Qwen3-MoE."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.offload_parameters and self.stage != 3:
            raise ValueError(
                "`offload_parameters` needs stage 3: earlier stages do not shard parameters"
            )
        if self.offload_folder is not None and self.stage != 3:
            raise ValueError("`offload_folder` needs stage 3: earlier stages offload to CPU memory")
        if self.offload_folder is not None and not (
            self.offload_optimizer or self.offload_parameters
        ):
            raise ValueError("`offload_folder` needs `offload_optimizer` or `offload_parameters`")
        if self.leaf_modules is not None and self.stage != 3:
            raise ValueError("`leaf_modules` needs stage 3: earlier stages fetch nothing")
        if self.offload_optimizer and self.stage == 0:
            raise ValueError("`offload_optimizer` needs stage 1 or more")
        return self


class FSDP(Node):
    """PyTorch's fully sharded data parallelism (https://arxiv.org/abs/2304.11277).

    `fsdp: full_shard` means `{sharding_strategy: full_shard}`.
    """

    short: ClassVar[str | None] = "sharding_strategy"

    sharding_strategy: Literal["full_shard", "shard_grad_op", "hybrid_shard"] = "full_shard"
    """full_shard: parameters, gradients and optimizer states are sharded over the devices. shard_grad_op:
    parameters stay whole from the forward to the backward pass (version 2: `reshard_after_forward:
    false`). hybrid_shard: sharded within a machine, the same on each."""
    version: Annotated[Literal[1, 2], Whole] = 2
    """1 shards flat rows of numbers (FullyShardedDataParallel), 2 each parameter (`fully_shard`)."""
    offload_parameters: bool = False
    """Keep parameters, gradients and optimizer states in CPU memory."""
    transformer_layer_cls_to_wrap: Items[ClassName] | None = None
    """Classes of layers that are gathered one at a time. null: those that the model itself names."""
    min_num_params: int | None = Field(None, ge=1)
    """Gather one at a time all modules of more parameters than this, in the place of classes of layers."""
    state_dict_type: Literal["full", "sharded"] = "full"
    """How checkpoints are saved: as one model, or in the pieces of each device, which is faster. The end
    result is whole either way."""
    activation_checkpointing: bool = False
    """Let the engine recompute activations, not the model: a layer is then gathered once less often. Needs
    `train.gradient_checkpointing`."""
    cpu_ram_efficient_loading: bool = False
    """Read the weights in one process alone, and hand them to the others."""
    use_orig_params: bool = True
    """false, with version 1: the optimizer sees flat rows of numbers, and weight decay falls on biases and
    norm weights as well."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.use_orig_params and self.version != 1:
            raise ValueError("`use_orig_params: false` needs version 1: version 2 has no flat rows")
        if self.min_num_params is not None and self.transformer_layer_cls_to_wrap is not None:
            raise ValueError(
                "`min_num_params` and `transformer_layer_cls_to_wrap` exclude each other: keep one"
            )
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
    tensor_parallel: Annotated[Literal[1, 2, 4, 8], Whole] = 1
    """Devices that share each layer, whose weights are cut over them, for layers too large for one: they
    count as one in the batch."""
    zero: Zero | None = None
    """ZeRO sharding. null: the backend's choice, which does not change the mathematics."""
    fsdp: FSDP | None = None
    """FSDP sharding. null: none. Exclusive with `zero`."""

    @model_validator(mode="after")
    def _one_engine(self) -> Self:
        if self.fsdp is not None and self.zero is not None:
            raise ValueError("`zero` and `fsdp` exclude each other: two engines shard one model")
        return self
