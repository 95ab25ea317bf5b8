"""Settings of axolotl that say together what none of them says alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_unknown_keys import AXOLOTL


def values(read: Bring, text: str) -> dict[str, Any]:
    return dict(read(AXOLOTL + text).composed.values)


@pytest.mark.parametrize(
    ("said", "word", "dtype"),
    [
        ("", "bf16", "bfloat16"),
        ("bf16: auto\n", "bf16", "bfloat16"),
        ("bf16:\n", "fp32", "float32"),  # null is not what a missing key is
        ("bf16: 'false'\n", "fp32", "float32"),
        ("fp16: true\n", "fp16", "float16"),  # a missing bf16 is auto, which fp16 switches off
        ("bf16: auto\nfp16: true\n", "fp16", "float16"),
        ("bf16: true\nfp16: true\n", "bf16", "bfloat16"),
        ("bf16: false\nfp16: true\n", "fp16", "float16"),
    ],
)
def test_the_arithmetic(read: Bring, said: str, word: str, dtype: str) -> None:
    found = values(read, said)
    assert (found["precision.compute"], found["model.dtype"]) == (word, dtype)


def test_four_bits_are_for_qlora_and_eight_for_lora(read: Bring) -> None:
    kind, why = fate(read(AXOLOTL + "load_in_4bit: true\n"), "load_in_4bit")
    assert kind == "unknown"
    assert "qlora" in why
    text = AXOLOTL.replace("adapter: lora", "adapter: qlora")
    assert fate(read(text + "load_in_4bit: true\n"), "load_in_4bit")[0] == "derived"
    assert fate(read(text + "load_in_8bit: true\n"), "load_in_8bit")[0] == "unknown"
    assert fate(read(AXOLOTL + "load_in_8bit: true\n"), "load_in_8bit")[0] == "derived"


@pytest.mark.parametrize(
    ("said", "packing", "told"),
    [
        ("", "together", "one of ones"),
        ("flash_attention: false\n", "together", "see those before them"),
        ("attn_implementation: fp8\n", None, "is not known"),
        ("attn_implementation: kernels-community/vllm-flash-attn3\n", None, "full ones mostly not"),
        ("attn_implementation: kernels-community/flash-attn3@v1\n", "documents", "do not see"),
        ("attn_implementation: sdpa\n", "documents", "do not see each other"),
        ("flash_attention: true\n", "documents", "do not see each other"),
    ],
)
def test_which_packed_rows_see_each_other(
    read: Bring, said: str, packing: str | None, told: str
) -> None:
    imported = read(f"{AXOLOTL}{said}sample_packing: true\n")
    kind, why = fate(imported, "sample_packing")
    assert kind == ("derived" if packing else "unknown") and told in why
    assert imported.composed.spec.data.packing == packing


@pytest.mark.parametrize("name", ["google/gemma-3-4b-it", "Qwen/Qwen3.5-4B"])
def test_which_packed_rows_see_each_other_is_the_models_own(read: Bring, name: str) -> None:
    """core/trainers/base.py leaves the mask of some models out; layers of others carry a state on."""
    text = re.sub("base_model: .*", f"base_model: {name}", AXOLOTL)
    assert fate(read(f"{text}sample_packing: true\n"), "sample_packing")[0] == "unknown"


def test_the_first_of_the_older_switches_of_attention_holds(read: Bring) -> None:
    found = values(read, "flash_attention: true\nxformers_attention: true\n")
    assert found["model.attention"] == "sdpa"
    imported = read(AXOLOTL + "sage_attention: true\n")
    assert fate(imported, "sage_attention")[0] == "approximated"


@pytest.mark.parametrize(
    "said",
    [
        "warmup_steps: 3\nwarmup_ratio: 0.1\n",
        "gradient_accumulation_steps: 2\nbatch_size: 8\n",
        "num_epochs:\n",
        "save_steps: 3\nsave_strategy: epoch\n",
        "val_set_size: 0.1\ntest_datasets:\n  - path: x.jsonl\n    type: alpaca\n",
        "dpo_loss_type: [hinge]\n",
        "activation_offloading: true\n",
        "tokens: ['<a>']\n",
        "optimizer: galore_adamw\n",
        "model_quantization_config: Mxfp4Config\nload_in_8bit: true\n",
        "lora_mlp_kernel: true\nload_in_8bit: true\n",
        "lora_qkv_kernel: true\ntrust_remote_code: true\n",
        "peft_layers_pattern: [layers]\n",
        "unfrozen_parameters: [lm_head]\ngradient_checkpointing_kwargs: {use_reentrant: true}\n",
        "attn_implementation: sdpa\nflash_attention: true\n",
        "cut_cross_entropy: true\nliger_cross_entropy: true\n",
        "optimizer: adamw_bnb_8bit\nfsdp_version: 2\nfsdp_config: {state_dict_type: FULL_STATE_DICT}\n",
        "optimizer: adamw_bnb_8bit\nfsdp: [full_shard]\nfsdp_config: {fsdp_offload_params: true}\n",
        "deepspeed: deepspeed_configs/zero2.json\nfsdp: [full_shard]\n",
        "max_memory: {0: 1GiB}\ngpu_memory_limit: 10\n",
        "lr_groups: [{name: a, modules: [q_proj], lr: 0.1}]\nloraplus_lr_ratio: 4\n",
        "noisy_embedding_alpha: 5\nneftune_noise_alpha: 5\n",
        "dataset_exact_deduplication: true\nskip_prepare_dataset: true\n",
        "fp8_config: {recipe: rowwise}\n",
        "tokenizer_use_mistral_common: true\nchat_template: chatml\n",
        "eval_steps: 10\nval_set_size: 0\n",
        "eval_table_size: 5\nsample_packing: true\nflash_attention: true\n",
    ],
)
def test_what_axolotl_stops_at_is_a_question(read: Bring, said: str) -> None:
    assert not any("stops at" in one for one in read(AXOLOTL).composed.open)
    (asked,) = [one for one in read(AXOLOTL + said).composed.open if "axolotl stops at" in one]
    assert said.partition(":")[0].partition("_")[0] in asked or "new tokens" in asked


def test_a_gptq_base_is_none_of_qlora_s(read: Bring) -> None:
    """utils/schemas/peft.py, validate_qlora: it was read as both at once."""
    four = AXOLOTL.replace("adapter: lora", "adapter: qlora") + "load_in_4bit: true\n"
    assert not read(four).composed.open
    assert read(four + "gptq: true\n").composed.open == (
        "axolotl stops at adapter: qlora with gptq",
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("lr: 2e-4", "learning_rate"),
        ("train_batch_size: 1", "micro_batch_size"),
        ("lora_rank: 4", "lora_r"),
    ],
)
def test_a_key_of_another_tool_is_named_as_axolotl_has_it(
    read: Bring, said: str, meant: str
) -> None:
    assert any(f"did you mean `{meant}`" in note for note in read(AXOLOTL + said + "\n").notes)


def test_a_folder_below_another_is_no_data_set_of_the_hub(read: Bring) -> None:
    rows = AXOLOTL.partition("datasets:")[0]
    said = rows + "datasets:\n  - path: data/training/pairs\n    type: alpaca\n"
    assert any("a folder of files" in one for one in read(said).composed.open)


def test_what_older_releases_took_is_said(read: Bring) -> None:
    lines = AXOLOTL.splitlines(keepends=True)
    full = "".join(line for line in lines if not line.startswith(("adapter", "lora_")))
    imported = read(full + "bf16: full\nflash_attention: true\nflash_attn_rms_norm: true\n")
    assert imported.faithful  # not beside an adapter, whose weights are float32
    assert sum("as older releases did" in note for note in imported.notes) == 2
    watched = read(full + "wandb_watch: false\nwandb_log_model: false\n")
    assert sum("as older releases did" in note for note in watched.notes) == 2


def test_a_length_that_is_said_is_kept_where_it_is_the_default(read: Bring) -> None:
    """Left out, it is the model's own where its positions reach no further."""
    assert "max_length: 2048" in read(AXOLOTL + "sequence_len: 2048\n").composed.text


def test_words_that_are_numbers(read: Bring) -> None:
    found = values(read, "gradient_accumulation_steps: '4'\n")
    assert found["train.batch_size"] == 8


@pytest.mark.parametrize(
    "said",
    [
        "lr_quadratic_warmup: true\n",
        "curriculum_sampling: true\n",
        "group_by_length: true\n",
        "neftune_noise_alpha: 5\n",
        "use_eaft: true\n",
    ],
)
def test_what_its_builder_of_pairs_does_not_read(read: Bring, said: str) -> None:
    """core/builders/rl.py hands none of these to the trainer."""
    key = said.partition(":")[0]
    imported = read(f"{AXOLOTL}rl: dpo\n{said}")
    assert fate(imported, key)[0] == "inert"
    assert imported.composed.values["data.shuffle"] is True
    assert imported.composed.values.get("train.warmup_shape", "linear") == "linear"
    assert fate(read(AXOLOTL + said), key)[0] != "inert"


def test_the_best_weights_are_not_kept_of_pairs(read: Bring) -> None:
    text = (
        AXOLOTL
        + "val_set_size: 0.1\nsave_steps: 20\neval_steps: 10\nload_best_model_at_end: true\n"
    )
    assert read(text).composed.values["train.keep"] == "best"
    assert read(text + "rl: dpo\n").composed.values["train.keep"] == "last"


def test_the_random_order_of_kto_is_kept(read: Bring) -> None:
    """trl 1.9 with transformers 5.16 draws its rows like any others (trainer/kto_trainer.py)."""
    found = read(AXOLOTL + "rl: kto\nremove_unused_columns: false\n").composed
    assert found.values["data.shuffle"] is True
    assert "shuffle: true" in found.text


def test_rows_that_are_held_out_twice_take_no_other_setting_with_them(read: Bring) -> None:
    """The length and the training rows were lost with them, and each was told in a dump of a source."""
    imported = read(
        AXOLOTL + "val_set_size: 0.1\ntest_datasets:\n  - path: x.jsonl\n    type: alpaca\n"
    )
    lost = {one.setting.key for one in imported.fates if not one.faithful}
    assert lost == {"val_set_size"}
    assert imported.composed.values["data.eval"]


WHOLE = "lora_modules_to_save: [embed_tokens, lm_head]\n"


@pytest.mark.parametrize(
    ("said", "kind", "rate"),
    [
        (f"embedding_lr: 1e-5\n{WHOLE}", "renamed", 1e-5),
        (f"learning_rate: 2e-4\nembedding_lr_scale: 0.5\n{WHOLE}", "renamed", 1e-4),
        (f"embedding_lr: 1e-5\nweight_decay: 0.1\n{WHOLE}", "approximated", 1e-5),
        (f"embedding_lr: 1e-5\nloraplus_lr_ratio: 4\n{WHOLE}", "inert", None),
        (f"embedding_lr: 0\nweight_decay: 0.1\n{WHOLE}", "approximated", None),
        (f"embedding_lr: 0\n{WHOLE}", "inert", None),
        ("embedding_lr: 1e-5\n", "unknown", None),
    ],
)
def test_a_rate_of_embeddings(read: Bring, said: str, kind: str, rate: float | None) -> None:
    lines = [line for line in AXOLOTL.splitlines() if "learning_rate" not in line]
    rated = said if "learning_rate" in said else f"learning_rate: 2e-4\n{said}"
    found = read("\n".join((*lines, rated)))
    key = "embedding_lr_scale" if "scale" in said else "embedding_lr"
    assert fate(found, key)[0] == kind
    assert found.composed.values.get("train.embedding_learning_rate") == rate


@pytest.mark.parametrize("word", ["'true'", "'Yes'", "y", "1", "'on'"])
def test_a_switch_in_words(read: Bring, word: str) -> None:
    imported = read(f"{AXOLOTL}gradient_checkpointing: {word}\n")
    assert fate(imported, "gradient_checkpointing")[0] == "exact"
    assert imported.composed.values["train.gradient_checkpointing"] is True


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("evaluation_strategy: no\nval_set_size: 0.1\n", "put it in quotes"),
        ("save_strategy: no\n", "put it in quotes"),
        ("plugins: axolotl.integrations.liger.LigerPlugin\n", "plugins that is no list"),
        ("fsdp: full_shard auto_wrap\nfsdp_config: {}\n", "fsdp that is no list"),
        (
            "plugins: [axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin]\n"
            "cut_cross_entropy: true\n",
            "neither bf16 nor fp16",
        ),
    ],
)
def test_what_axolotl_stops_at_in_files_that_people_write(
    read: Bring, said: str, told: str
) -> None:
    assert any(told in one for one in read(AXOLOTL + said).composed.open)
    quoted = said.replace(": no\n", ": 'no'\n").replace("plugins: axolotl.", "plugins:\n- axolotl.")
    quoted = quoted.replace("fsdp: full_shard auto_wrap", "fsdp: [full_shard, auto_wrap]")
    assert not read(f"{AXOLOTL}{quoted}bf16: true\n").composed.open


def test_a_rate_of_nothing_is_not_called_missing(read: Bring) -> None:
    imported = read(AXOLOTL.replace("learning_rate: 2e-5", "learning_rate: 0"))
    assert fate(imported, "learning_rate")[0] == "unknown"
    assert not [one for one in imported.composed.open if "missing" in one]
