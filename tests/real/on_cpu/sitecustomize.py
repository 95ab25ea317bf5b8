"""Has accelerate shard on a CPU, where there is no GPU: found by PYTHONPATH, in every process of a training.

accelerate hands a model to FSDP only where its processes are on accelerators (state.py, the end of
AcceleratorState.__init__), and trains unsharded elsewhere. PyTorch's own `fully_shard` does not ask. Here
that one condition is lifted; the training is the framework's.
"""

import os

if os.environ.get("ACCELERATE_USE_FSDP") == "true":
    from accelerate.state import AcceleratorState, DistributedType, PartialState

    made = AcceleratorState.__init__

    def on_a_cpu(self, *given, fsdp_plugin=None, **named):
        """As it is made for accelerators."""
        made(self, *given, fsdp_plugin=fsdp_plugin, **named)
        if fsdp_plugin is None or self.distributed_type != DistributedType.MULTI_CPU:
            return
        self.distributed_type = DistributedType.FSDP
        PartialState._shared_state["distributed_type"] = self.distributed_type
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin

    AcceleratorState.__init__ = on_a_cpu
