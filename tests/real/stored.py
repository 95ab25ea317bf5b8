"""Checkpoints whose weights are stored in few bits, small and always the same, written number by number.

No package rounds them: the bytes are what the formats say (transformers 5.6.0, integrations/mxfp4.py and
finegrained_fp8.py; gptqmodel 5.8.0, nn_modules/qlinear), so that what a framework unpacks can be held
against arithmetic of our own. Each is written beside a copy with whole weights of the same values.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

BLOCK = 32
"""Weights that share a scale: the side of fp8's squares, and the length of the others' groups."""
FP4 = np.array((0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6), "float32")
"""What mxfp4's four bits stand for: a sign, two bits of exponent, one of fraction."""
HIDDEN, EXPERTS, LAYERS, HEADS, GROUPS, WIDTH, VOCABULARY = 64, 4, 2, 4, 2, 16, 1024
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""In which order AWQ's files put eight numbers into one."""
NAMES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "uint8": "U8", "int32": "I32"}
Tensors = dict[str, tuple[str, np.ndarray]]
"""Name -> its type, and its numbers; those of bfloat16 and fp8 as they lie in the file."""


def make_fp8(source: Path, folder: Path) -> None:
    """The tiny model with linear layers in e4m3, a scale for each square: as DeepSeek and Qwen3 come."""
    packed: Tensors = {}
    whole: Tensors = {}
    numbers = fp8_value(np.arange(256, dtype="uint8"))
    nearest = np.argsort(numbers[:127])  # the positive ones, up to 448
    for name, weight in load_file(source / "model.safetensors").items():
        if "proj" not in name:
            packed[name] = whole[name] = ("float32", weight)
            continue
        rows, columns = (side // BLOCK for side in weight.shape)
        squares = weight.reshape(rows, BLOCK, columns, BLOCK)
        scales = (np.abs(squares).max((1, 3)) / 448).astype("float32")
        scaled = squares / scales[:, None, :, None]
        places = np.searchsorted(numbers[nearest], np.abs(scaled)).clip(0, 126)
        bytes_ = (nearest[places] + np.where(scaled < 0, 128, 0)).astype("uint8")
        packed[name] = ("fp8", bytes_.reshape(weight.shape))
        packed[f"{name}_scale_inv"] = ("float32", scales)
        whole[name] = (
            "float32",
            (numbers[bytes_] * scales[:, None, :, None]).reshape(weight.shape),
        )
    kind = {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3"}
    kind |= {"weight_block_size": [BLOCK, BLOCK]}
    config = json.loads((source / "config.json").read_text("utf-8"))
    write(source, folder / "fp8", config | {"quantization_config": kind}, packed)
    write(source, folder / "fp8-whole", config, whole)


def fp8_value(byte: np.ndarray) -> np.ndarray:
    """The number of an e4m3 byte: a sign, four bits of exponent, three of fraction."""
    sign = np.where(byte & 0x80, -1.0, 1.0)
    exponent, fraction = ((byte >> 3) & 15).astype(int), (byte & 7) / 8
    whole = np.where(exponent == 0, fraction * 2.0**-6, (1 + fraction) * 2.0 ** (exponent - 7))
    return (sign * whole).astype("float32")


def make_mxfp4(source: Path, folder: Path) -> None:
    """Two layers of gpt-oss with four experts in mxfp4; the rest is bfloat16, as the original has it."""
    drawn = np.random.default_rng(0)

    def weights(*shape: int, spread: float = 0.02) -> tuple[str, np.ndarray]:
        return "bfloat16", bfloat16(drawn.standard_normal(shape) * spread)

    def ones(*shape: int) -> tuple[str, np.ndarray]:
        return "bfloat16", bfloat16(np.ones(shape))

    packed: Tensors = {
        "model.embed_tokens.weight": weights(VOCABULARY, HIDDEN),
        "lm_head.weight": weights(VOCABULARY, HIDDEN),
        "model.norm.weight": ones(HIDDEN),
    }
    whole: Tensors = {}
    for layer in (f"model.layers.{number}" for number in range(LAYERS)):
        for name, rows, columns in (
            ("q_proj", HEADS * WIDTH, HIDDEN),
            ("k_proj", GROUPS * WIDTH, HIDDEN),
            ("v_proj", GROUPS * WIDTH, HIDDEN),
            ("o_proj", HIDDEN, HEADS * WIDTH),
        ):
            packed[f"{layer}.self_attn.{name}.weight"] = weights(rows, columns)
            packed[f"{layer}.self_attn.{name}.bias"] = weights(rows)
        packed[f"{layer}.self_attn.sinks"] = weights(HEADS)
        for name in ("input_layernorm", "post_attention_layernorm"):
            packed[f"{layer}.{name}.weight"] = ones(HIDDEN)
        packed[f"{layer}.mlp.router.weight"] = weights(EXPERTS, HIDDEN, spread=0.5)
        packed[f"{layer}.mlp.router.bias"] = weights(EXPERTS)
        for name, rows in (("gate_up_proj", 2 * HIDDEN), ("down_proj", HIDDEN)):
            place = f"{layer}.mlp.experts.{name}"
            packed[f"{place}_bias"] = weights(EXPERTS, rows)
            blocks = drawn.integers(
                0, 256, (EXPERTS, rows, HIDDEN // BLOCK, BLOCK // 2), dtype="uint8"
            )
            exponents = drawn.integers(120, 123, blocks.shape[:3], dtype="uint8")
            packed[f"{place}_blocks"] = ("uint8", blocks)
            packed[f"{place}_scales"] = ("uint8", exponents)
            numbers = np.stack((FP4[blocks & 15], FP4[blocks >> 4]), -1).reshape(
                *exponents.shape, BLOCK
            )
            scaled = numbers * 2.0 ** (exponents.astype(int) - 127)[..., None]
            rows_first = scaled.reshape(EXPERTS, rows, HIDDEN)
            whole[place] = ("bfloat16", bfloat16(rows_first.transpose(0, 2, 1)))
    kept = {name: tensor for name, tensor in packed.items() if "experts" not in name}
    kept |= {name: tensor for name, tensor in packed.items() if name.endswith("proj_bias")}
    kind = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}
    kind["modules_to_not_convert"] += [
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ]
    write(source, folder / "mxfp4", GPT_OSS | {"quantization_config": kind}, packed)
    write(source, folder / "mxfp4-whole", GPT_OSS, kept | whole)


def make_groups(source: Path, folder: Path) -> None:
    """The tiny model with linear layers in four bits and a zero of each group: as GPTQ and AWQ come."""
    gptq: Tensors = {}
    awq: Tensors = {}
    whole: Tensors = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if "proj" not in name:
            gptq[name] = awq[name] = whole[name] = ("float32", weight)
            continue
        place = name.removesuffix("weight")
        groups = weight.T.reshape(weight.shape[1] // BLOCK, BLOCK, weight.shape[0])
        low, high = groups.min(1), groups.max(1)
        scales = ((high - low) / 15).astype("float16")
        steps = scales.astype("float32")
        zeros = np.clip(np.round(-low / steps), 1, 15)
        numbers = np.clip(np.round(groups / steps[:, None]) + zeros[:, None], 0, 15)
        values = (numbers - zeros[:, None]) * steps[:, None]
        whole[name] = ("float32", values.reshape(weight.T.shape).T)
        numbers = numbers.reshape(weight.T.shape)
        owners = np.arange(weight.shape[1], dtype="int32") // BLOCK
        gptq |= {
            f"{place}qweight": ("int32", nibbles(numbers.T).T),
            f"{place}qzeros": ("int32", nibbles(zeros - 1)),  # its first format leaves one out
            f"{place}scales": ("float16", scales),
            f"{place}g_idx": ("int32", owners),
        }
        awq |= {
            f"{place}qweight": ("int32", nibbles(numbers, AWQ_ORDER)),
            f"{place}qzeros": ("int32", nibbles(zeros, AWQ_ORDER)),
            f"{place}scales": ("float16", scales),
        }
    config = json.loads((source / "config.json").read_text("utf-8"))
    shared = {"bits": 4, "group_size": BLOCK}
    ours = {"quant_method": "gptq", "desc_act": False, "sym": False, "checkpoint_format": "gptq"}
    write(source, folder / "gptq", config | {"quantization_config": shared | ours}, gptq)
    ours = {"quant_method": "awq", "zero_point": True, "version": "gemm"}
    write(source, folder / "awq", config | {"quantization_config": shared | ours}, awq)
    write(source, folder / "groups-whole", config, whole)


def nibbles(numbers: np.ndarray, order: tuple[int, ...] = tuple(range(8))) -> np.ndarray:
    """Eight numbers of four bits in one of 32, along the last side."""
    eights = numbers.reshape(*numbers.shape[:-1], -1, 8).astype("uint32")
    shifts = np.arange(8, dtype="uint32") * 4
    return np.bitwise_or.reduce(eights[..., order] << shifts, -1).view("int32")


def bfloat16(numbers: np.ndarray) -> np.ndarray:
    """The nearest numbers in bfloat16, as they lie in a file; ties go to the even one."""
    bits = np.ascontiguousarray(numbers, "float32").view("uint32").astype("uint64")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("uint16")


def write(source: Path, target: Path, config: Mapping[str, Any], tensors: Tensors) -> None:
    """A model's folder; by hand, because numpy knows neither bfloat16 nor e4m3."""
    target.mkdir(parents=True)
    for file in (*source.glob("*token*"), source / "chat_template.jinja"):
        shutil.copy(file, target)
    (target / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, (kind, numbers) in sorted(tensors.items()):
        data = np.ascontiguousarray(numbers).tobytes()
        place = [len(content), len(content) + len(data)]
        dtype = "F8_E4M3" if kind == "fp8" else NAMES[kind]
        header[name] = {"dtype": dtype, "shape": list(numbers.shape), "data_offsets": place}
        content += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (target / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content)


GPT_OSS = {
    "architectures": ["GptOssForCausalLM"],
    "model_type": "gpt_oss",
    "dtype": "bfloat16",
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": HIDDEN,
    "num_local_experts": EXPERTS,
    "num_experts_per_tok": 2,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": GROUPS,
    "head_dim": WIDTH,
    "layer_types": ["sliding_attention", "full_attention"],
    "sliding_window": 128,
    "max_position_embeddings": 512,
    "initial_context_length": 512,
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "attention_bias": True,
    "tie_word_embeddings": False,
    "router_aux_loss_coef": 0.001,
    "output_router_logits": False,
    "eos_token_id": 2,
    "pad_token_id": 3,
    "bos_token_id": None,
}
