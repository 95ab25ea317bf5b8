"""Settings of LLaMA-Factory's Megatron adapters, which stand in the same file as its own.

llamafactory 0.9.5, hparams/parser.py: with USE_MCA=1 the file is read by mcore_adapter's arguments; without
it, it stops at these names. What the adapter's trainer makes of the others is not known: one of the settings
that show it says so.
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule

SIZES = (
    "tensor_model_parallel_size", "pipeline_model_parallel_size", "virtual_pipeline_model_parallel_size",
    "context_parallel_size", "expert_model_parallel_size", "expert_tensor_parallel_size",
)  # fmt: skip
HOW = (
    "sequence_parallel", "use_distributed_optimizer", "overlap_param_gather", "overlap_grad_reduce",
    "bias_activation_fusion", "apply_rope_fusion", "masked_softmax_fusion", "cross_entropy_loss_fusion",
    "moe_grouped_gemm", "moe_token_dispatcher_type", "recompute_granularity", "recompute_method",
    "recompute_num_layers", "export_hf_on_finish",
)  # fmt: skip
"""Where it keeps what, how fast it computes, what it writes at the end
(https://docs.nvidia.com/megatron-core/developer-guide/latest/)."""
OTHERS = ("use_packed_sequences", "megatron_pretrained_checkpoint")
READ = (
    "it is read for the Megatron adapter alone (USE_MCA=1, hparams/parser.py), and LLaMA-Factory stops at it "
    "otherwise"
)
TRAINER = "a trainer of its own trains then, which was not compared with LLaMA-Factory's"


def _of_adapter(setting: Setting, context: Context) -> Outcome:
    idle = 1 if setting.key in SIZES else False
    if setting.key not in HOW and (setting.value is None or setting.value is idle):
        return Outcome("inert", why=f"nothing is split or packed; {READ}")
    if setting.key not in HOW:
        return Outcome("unknown", why=f"{READ}; Megatron is not in a spec")
    if setting.key == next(name for name in HOW if name in context.document.data):
        return Outcome("approximated", why=f"{READ}; {TRAINER}")
    return Outcome("inert", why=f"how Megatron computes, not what; {READ}")


def _in_bfloat16(setting: Setting, context: Context) -> Outcome:
    """Megatron Bridge's word for what `bf16: true` says."""
    if setting.value == "bf16_mixed" and context.get("bf16"):
        return Outcome("inert", why=f"bf16 says it; {READ}")
    return Outcome("unknown", why=f"{READ}; Megatron is not in a spec")


MEGATRON_RULES: dict[str, Rule] = {
    **dict.fromkeys((*SIZES, *HOW, *OTHERS), _of_adapter),
    "mixed_precision": _in_bfloat16,
}
