"""Names of chat templates: LLaMA-Factory's, where a chat template gives the same tokens."""

from __future__ import annotations

NAMED = (
    "chatml", "chatml_de", "cohere", "cpm4", "dbrx", "deepseek3", "deepseekr1", "ernie", "exaone",
    "falcon_h1", "gemma", "gemma3", "gemma3n", "gemma4", "gemma4n", "granite3", "granite3_vision",
    "granite4", "hunyuan", "hunyuan_small", "hy3", "intern2", "intern_s1", "intern_vl", "keye_vl",
    "kimi_vl", "lfm2", "lfm2_vl", "llama3", "llama4", "llava_next_llama3", "llava_next_qwen",
    "llava_next_video_yi", "llava_next_yi", "mimo", "mimo_v2", "mimo_vl", "minicpm_o", "minicpm_v",
    "minicpm_v_4_6", "minimax1", "minimax2", "ministral", "ministral3", "mistral_small", "mllama",
    "moonlight", "openchat-3.6", "opencoder", "paligemma", "paligemma_chat", "phi", "phi4", "phi4_mini",
    "phi_small", "pixtral", "qwen", "qwen2_audio", "qwen2_omni", "qwen2_vl", "qwen3", "qwen3_5",
    "qwen3_5_nothink", "qwen3_6", "qwen3_nothink", "qwen3_omni", "qwen3_omni_nothink", "qwen3_vl",
    "qwen3_vl_nothink", "sailor", "seed_coder", "seed_oss", "smollm", "smollm2", "starchat", "telechat2",
    "yi", "youtu", "youtu_vl",
)  # fmt: skip
"""Those of LLaMA-Factory 0.9.5 whose slots meet at a special token or at the end of a line (data/named.py),
so that the text as a whole has the same tokens."""
THINKING = (
    "deepseekr1", "gemma4", "gemma4n", "hy3", "keye_vl", "kimi_vl", "mimo", "mimo_v2", "mimo_vl",
    "minimax2", "qwen3", "qwen3_5", "qwen3_6", "qwen3_omni", "qwen3_vl", "seed_oss", "youtu",
)  # fmt: skip
"""Those with thoughts: they put an empty one before an answer that has none, and read `enable_thinking`."""
SWITCH = "enable_thinking"
