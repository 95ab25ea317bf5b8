"""Engines that LLaMA-Factory's file has settings for: Megatron's adapters, KTransformers."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate

TRAINS = (
    "model_name_or_path: org/model\nstage: sft\ndo_train: true\nfinetuning_type: lora\n"
    "dataset: alpaca_en_demo\noutput_dir: o\nbf16: true\n"
)
SECTION = "use_kt: true\nkt_config:\n  "


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("tensor_model_parallel_size: 1", "inert"),
        ("tensor_model_parallel_size: 2", "unknown"),
        ("use_packed_sequences: false", "inert"),
        ("use_packed_sequences: true", "unknown"),
        ("mixed_precision: bf16_mixed", "inert"),
        ("mixed_precision: fp16_mixed", "unknown"),
        ("use_distributed_optimizer: true", "approximated"),
    ],
)
def test_megatron(read: Bring, line: str, kind: str) -> None:
    found, why = fate(read(TRAINS + line), line.partition(":")[0])
    assert (found, "USE_MCA=1" in why) == (kind, True)


def test_another_trainer_is_said_once(read: Bring) -> None:
    """How it computes is no part of a spec; that a trainer of its own computes is."""
    keys = ("sequence_parallel", "overlap_grad_reduce", "apply_rope_fusion")
    imported = read(TRAINS + "".join(f"{key}: true\n" for key in reversed(keys)))
    assert [fate(imported, key)[0] for key in keys] == ["approximated", "inert", "inert"]
    assert "a trainer of its own" in fate(imported, keys[0])[1]


@pytest.mark.parametrize(
    ("lines", "key", "kind"),
    [
        ("use_kt: true", "use_kt", "kept"),
        ("use_kt: true\nkt_cpu_activation: retain", "kt_cpu_activation", "inert"),
        ("use_kt: true\nkt_non_expert_weight_path: c", "kt_non_expert_weight_path", "inert"),
        ("use_kt: true\nkt_weight_path: int8", "kt_weight_path", "kept"),
        (f"{SECTION}kt_num_threads: 96", "kt_config.kt_num_threads", "inert"),
        (f"{SECTION}kt_backend: AMXBF16", "kt_config.kt_backend", "inert"),
        (f"{SECTION}kt_backend: AMXINT8", "kt_config.kt_backend", "unknown"),
        (f"{SECTION}kt_expert_weight_format: bf16", "kt_config.kt_expert_weight_format", "inert"),
        (f"{SECTION}kt_expert_weight_format: int8", "kt_config.kt_expert_weight_format", "unknown"),
        (f"{SECTION}kt_num_gpu_experts: 2", "kt_config.kt_num_gpu_experts", "unknown"),
        ("kt_config:\n  kt_backend: AMXINT8", "kt_config.kt_backend", "inert"),
    ],
)
def test_ktransformers(read: Bring, lines: str, key: str, kind: str) -> None:
    found, why = fate(read(TRAINS + lines), key)
    named = key in ("use_kt", "kt_weight_path")
    assert (found, "0.9.5 stops at it" in why) == (kind, not named)
