"""A mixture of experts, small and always the same: two layers of Qwen3-MoE with four experts each.

Made of numbers drawn here, so that the repository need not hold it; the tokenizer is the tiny model's.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

HIDDEN, INNER, EXPERTS, CHOSEN, LAYERS, HEADS, GROUPS, WIDTH = 64, 48, 4, 2, 2, 4, 2, 16
VOCABULARY = 1024
ROUTER_SPREAD = 0.5
"""Wide enough that routers choose by the token, and unevenly: a balance loss has something to do."""


def make_mixture(source: Path, target: Path) -> None:
    """Write the model into ``target``; its tokenizer is that in ``source``."""
    target.mkdir()
    for file in source.glob("*token*"):
        shutil.copy(file, target)
    shutil.copy(source / "chat_template.jinja", target)
    (target / "config.json").write_text(json.dumps(CONFIG, indent=2))
    drawn = np.random.default_rng(0)

    def weights(*shape: int, spread: float = 0.02) -> np.ndarray:
        return (drawn.standard_normal(shape) * spread).astype("float32")

    tensors = {
        "model.embed_tokens.weight": weights(VOCABULARY, HIDDEN),
        "lm_head.weight": weights(VOCABULARY, HIDDEN),
        "model.norm.weight": np.ones(HIDDEN, "float32"),
    }
    for layer in range(LAYERS):
        attention, block = (f"model.layers.{layer}.{part}" for part in ("self_attn", "mlp"))
        for name, rows, columns in (
            ("q_proj", HEADS * WIDTH, HIDDEN),
            ("k_proj", GROUPS * WIDTH, HIDDEN),
            ("v_proj", GROUPS * WIDTH, HIDDEN),
            ("o_proj", HIDDEN, HEADS * WIDTH),
        ):
            tensors[f"{attention}.{name}.weight"] = weights(rows, columns)
        for name in ("q_norm", "k_norm"):
            tensors[f"{attention}.{name}.weight"] = np.ones(WIDTH, "float32")
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{name}.weight"] = np.ones(HIDDEN, "float32")
        tensors[f"{block}.gate.weight"] = weights(EXPERTS, HIDDEN, spread=ROUTER_SPREAD)
        for expert in range(EXPERTS):
            place = f"{block}.experts.{expert}"
            tensors[f"{place}.gate_proj.weight"] = weights(INNER, HIDDEN)
            tensors[f"{place}.up_proj.weight"] = weights(INNER, HIDDEN)
            tensors[f"{place}.down_proj.weight"] = weights(HIDDEN, INNER)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})


CONFIG = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "dtype": "float32",
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 2 * INNER,
    "moe_intermediate_size": INNER,
    "num_experts": EXPERTS,
    "num_experts_per_tok": CHOSEN,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": GROUPS,
    "head_dim": WIDTH,
    "max_position_embeddings": 512,
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "attention_bias": False,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "router_aux_loss_coef": 0.5,
    "output_router_logits": False,
    "eos_token_id": 2,
    "pad_token_id": 3,
    "bos_token_id": None,
}
"""The coefficient is the model's own, and large: who took it would be seen."""
