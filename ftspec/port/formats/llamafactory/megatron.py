"""Settings of LLaMA-Factory's Megatron adapters, which stand in the same file as its own.

llamafactory 0.9.5, hparams/parser.py: with USE_MCA=1 the file is read by mcore_adapter's arguments; without
it, it stops at these names. What the adapter makes of the others is not known.
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule

SIZES = (
    "tensor_model_parallel_size", "pipeline_model_parallel_size", "virtual_pipeline_model_parallel_size",
    "context_parallel_size", "expert_model_parallel_size", "expert_tensor_parallel_size",
)  # fmt: skip
OTHERS = (
    "sequence_parallel", "use_distributed_optimizer", "overlap_param_gather", "overlap_grad_reduce",
    "bias_activation_fusion", "apply_rope_fusion", "moe_grouped_gemm", "moe_token_dispatcher_type",
    "recompute_granularity", "recompute_method", "recompute_num_layers", "use_packed_sequences",
    "masked_softmax_fusion", "cross_entropy_loss_fusion", "export_hf_on_finish",
    "megatron_pretrained_checkpoint",
)  # fmt: skip
READ = (
    "it is read for the Megatron adapter alone (USE_MCA=1, hparams/parser.py), and LLaMA-Factory stops at it "
    "otherwise"
)


def _of_adapter(setting: Setting, _context: Context) -> Outcome:
    if setting.value is None or (setting.key in SIZES and setting.value == 1):
        return Outcome("inert", why=f"nothing is split; {READ}")
    if setting.key == "sequence_parallel" and setting.value is False:
        return Outcome("inert", why=f"nothing is split; {READ}")
    return Outcome("unknown", why=f"{READ}; Megatron is not in a spec")


MEGATRON_RULES: dict[str, Rule] = dict.fromkeys((*SIZES, *OTHERS), _of_adapter)
