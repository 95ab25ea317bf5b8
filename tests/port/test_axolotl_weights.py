"""Weights of axolotl's configs: which train, and in how many bits they are held."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_axolotl import LORA

FULL = "".join(line for line in LORA.splitlines(True) if "lora" not in line)


@pytest.mark.parametrize(
    ("base", "names", "kind", "patterns"),
    [
        (FULL, "[model.layers.1., lm_head]", "derived", (r"model\.layers\.1\.", "lm_head")),
        (FULL, "['a.+b']", "derived", ("a.+b",)),  # in front of a plus a dot is any sign
        (FULL, "['lm_head.weight$[32000:]']", "unknown", None),
        (FULL, "['layers.[12]']", "unknown", None),  # row 12
        (LORA, "[model.layers.1.]", "unknown", None),
    ],
)
def test_weights_that_train_by_name(
    read: Bring, base: str, names: str, kind: str, patterns: tuple[str, ...] | None
) -> None:
    imported = read(f"{base}unfrozen_parameters: {names}\n")
    assert fate(imported, "unfrozen_parameters")[0] == kind
    assert imported.composed.values.get("method.tuner.patterns") == patterns


NAMED = LORA.replace("lora_target_linear: true", "lora_target_modules: [q_proj]")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("load_in_4bit: true\nadapter: qlora\n", "renamed"),
        ("load_in_4bit: true\n", "unknown"),  # beside whole weights
        (
            "adapter: qlora\nload_in_4bit: true\nbnb_config_kwargs: {bnb_4bit_use_double_quant: false}\n",
            "unknown",
        ),
        ("load_in_8bit: true\n", "unknown"),
        ("adapter: qlora\nload_in_4bit: true\nlora_target_linear: true\n", "unknown"),
    ],
)
def test_experts_are_packed_in_one_way(read: Bring, said: str, kind: str) -> None:
    imported = read(f"{NAMED}{said}quantize_moe_experts: true\n")
    assert fate(imported, "quantize_moe_experts")[0] == kind
    assert bool(imported.composed.values["model.quantization.experts"]) == (kind == "renamed")


@pytest.mark.parametrize(
    ("said", "key", "kind", "why"),
    [
        ("qat: {weight_dtype: nvfp4, group_size: 16}", "qat.weight_dtype", "unknown", "stops"),
        ("qat: {weight_dtype: int4, fake_quant_after_n_steps: 9}", "qat.fake_quant_after_n_steps",
         "unknown", "from the first step"),
        ("relora_prune_ratio: 0.9", "relora_prune_ratio", "inert", "relora is off"),
        ("relora: true\njagged_restart_steps: 9", "relora", "unknown", "begins anew"),
        ("jagged_restart_warmup_steps: 9", "jagged_restart_warmup_steps", "inert", "not set"),
        ("lisa_n_layers: 4", "lisa_n_layers", "inert", "not set"),
        ("lisa_n_layers: 4\nlisa_step_interval: 5", "lisa_n_layers", "unknown", "drawn anew"),
        ("fp8: true\nbf16: true", "bf16", "derived", ""),
        ("fp8: true\nfp8_config: {recipe: rowwise}", "fp8_config.recipe", "renamed", ""),
        ("bf16: full", "bf16", "unknown", "without autocast"),
        ("fp16: full", "fp16", "unknown", "true or false"),
        ("plugins: [axolotl.integrations.mora.MoraPlugin]", "plugins", "unknown", "MoRA"),
    ],
)  # fmt: skip
def test_what_axolotl_alone_does_is_told(
    read: Bring, said: str, key: str, kind: str, why: str
) -> None:
    imported = read(f"{LORA}{said}\n")
    found = fate(imported, key)
    assert found[0] == kind and why in found[1]
    eight = imported.composed.values["precision.compute"] == "fp8"
    assert eight == ("fp8: true" in said)


@pytest.mark.parametrize(
    ("base", "more", "mixed"),
    [
        (FULL, "", True),
        (FULL, "attn_implementation: sdpa\n", True),
        (FULL, "attn_implementation: flash_attention_2\n", False),
        (FULL, "flash_attention: true\n", False),
        (FULL, "plugins: [axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin]\n", False),
        (FULL, "fsdp_config: {fsdp_version: 2}\n", False),
        (LORA, "", False),
    ],
)
def test_norms_and_embeddings_in_float32_beside_weights_in_16_bits(
    read: Bring, base: str, more: str, mixed: bool
) -> None:
    plain = "".join(line for line in base.splitlines(True) if not line.startswith(("bf16", "fp16")))
    kind, why = fate(read(f"{plain}bf16: true\n{more}"), "bf16")
    assert (kind == "approximated") is ("norms and embeddings" in why) is mixed
    untold = read(f"{plain}{more}").notes
    assert any("norms and embeddings" in note for note in untold) is mixed


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("[q_proj, self_attn.o_proj]", "derived"),
        ("[q_proj, lm_head]", "unknown"),
        ("[embed_tokens]", "unknown"),
        ("lm_head", "unknown"),
    ],
)
def test_an_adapter_of_the_head_beside_all_linear_layers(
    read: Bring, names: str, kind: str
) -> None:
    """loaders/adapter.py joins both lists, and all linear layers are none of the head."""
    found, why = fate(read(f"{LORA}lora_target_modules: {names}\n"), "lora_target_modules")
    assert found == kind
    assert (names.strip("[]").rpartition(" ")[2] in why) == (kind == "unknown")


def test_a_class_that_axolotl_does_not_read(read: Bring) -> None:
    """loaders/model.py, _build_model: code from a model's folder has classes of its own."""
    said = f"{LORA}model_type: phi3\n"
    assert fate(read(said), "model_type")[0] == "unknown"
    assert fate(read(f"{said}trust_remote_code: true\n"), "model_type")[0] == "inert"


@pytest.mark.parametrize("half", ["fp16", "bf16", "neither"])
def test_four_bits_calculate_as_the_others_do(read: Bring, half: str) -> None:
    """loaders/model.py: both are of one type, so nothing is told of them."""
    said = "".join(f"{one}: {str(one == half).lower()}\n" for one in ("fp16", "bf16"))
    base = LORA.replace("adapter: lora", "adapter: qlora\nload_in_4bit: true")
    assert not [note for note in read(base + said).notes if "4-bit" in note]


@pytest.mark.parametrize("said", ["optimizer: muon", "lr_scheduler: rex"])
def test_what_is_not_understood_is_told_once(read: Bring, said: str) -> None:
    imported = read(f"{LORA}{said}\n")
    assert fate(imported, said.partition(":")[0])[0] == "unknown"
    assert not [note for note in imported.notes if "nothing is said" in note]


def test_a_saved_adapter_says_what_it_is_itself(read: Bring) -> None:
    """loaders/adapter.py, load_lora: PeftModel.from_pretrained reads its own configuration."""
    imported = read(f"{LORA}lora_model_dir: ./before\nlora_dropout: 0.05\npeft_use_dora: true\n")
    assert imported.composed.values["method.tuner.adapter"] == "./before"
    for key in ("lora_r", "lora_alpha", "lora_dropout", "lora_target_linear", "peft_use_dora"):
        assert fate(imported, key)[0] == "inert", key
