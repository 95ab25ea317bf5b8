"""What accelerate makes of the variables of a launch: `python plugin.py`, one line of JSON."""

import json
import sys

from accelerate.utils import FullyShardedDataParallelPlugin

plugin = FullyShardedDataParallelPlugin()
strategy = plugin.sharding_strategy or plugin.reshard_after_forward
offload = plugin.cpu_offload
found = {
    "version": plugin.fsdp_version,
    "strategy": getattr(strategy, "name", strategy),
    "offloads": getattr(offload, "offload_params", type(offload).__name__ == "CPUOffloadPolicy"),
    "policy": plugin.auto_wrap_policy.__name__,
    "layers": plugin.transformer_cls_names_to_wrap,
    "least": plugin.min_num_params,
    "saves": plugin.state_dict_type.name,
    "recomputes": plugin.activation_checkpointing,
    "one reads": plugin.cpu_ram_efficient_loading,
    "original": plugin.use_orig_params,
}
sys.stdout.write(f"\n{json.dumps(found)}\n")
