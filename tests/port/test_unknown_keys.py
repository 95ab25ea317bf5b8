"""Keys that a framework has not: what each of them makes of one, and how an import tells it."""

from __future__ import annotations

import json

import pytest

from tests.port.conftest import Bring, fate

AXOLOTL = """\
base_model: org/model
datasets:
  - path: org/rows
    type: alpaca
adapter: lora
lora_r: 16
lora_alpha: 32
lora_target_linear: true
micro_batch_size: 2
learning_rate: 2e-5
"""


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("warmup_ration", "`warmup_ratio`"),
        ("adam_eps", ""),
        ("gradient_acumulation_steps", "`gradient_accumulation_steps`"),
        ("quite_another_thing", ""),
    ],
)
def test_axolotl_ignores_a_slip_and_the_import_says_so(read: Bring, key: str, meant: str) -> None:
    imported = read(f"{AXOLOTL}{key}: 0.1\n")
    kind, why = fate(imported, key)
    assert kind == "inert"
    assert why.startswith("axolotl ignores it: no release has") and meant in why
    (told,) = [note for note in imported.notes if key in note]
    assert why in told and "config.yaml:11" in told, "nobody has to ask for it"
    assert imported.faithful


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("random_init_weights", "until 0.12.2"),
        ("relora_warmup_steps", "until 0.11.0"),
        ("data_seed", "from 0.21.0 on"),
        ("gptq_groupsize", "before 0.5"),
    ],
)
def test_what_another_release_of_axolotl_has_may_have_meant_something(
    read: Bring, key: str, told: str
) -> None:
    kind, why = fate(read(f"{AXOLOTL}{key}: 7\n"), key)
    assert kind == "unknown"
    assert told in why


def test_a_slip_in_an_entry_of_the_data_sets(read: Bring) -> None:
    text = AXOLOTL.replace("alpaca\n", "alpaca\n    fields_system: x\n    train_on_split: test\n")
    imported = read(text)
    kind, why = fate(imported, "datasets[0].fields_system")
    assert (kind, "`field_system`" in why) == ("inert", True)
    kind, why = fate(imported, "datasets[0].train_on_split")
    assert (kind, "until 0.8.0" in why) == ("unknown", True)


def test_llamafactory_stops_at_one(read: Bring) -> None:
    text = (
        "model_name_or_path: m\nstage: sft\ndataset: a\nfinetuning_type: lora\nlearning_rat: 1e-4\n"
    )
    kind, why = fate(read(text), "learning_rat")
    assert kind == "unknown"
    assert "ALLOW_EXTRA_ARGS" in why


def test_trl_stops_at_one(read: Bring) -> None:
    text = "model_name_or_path: m\ndataset_name: a\nlearning_rat: 1e-4\nuse_peft: true\n"
    kind, why = fate(read(text, wanted="trl"), "learning_rat")
    assert kind == "unknown"
    assert "its parser stops at it" in why


def test_accelerate_stops_at_one(read: Bring) -> None:
    config = "compute_environment: LOCAL_MACHINE\nnum_processes: 2\nnum_proceses: 4\n"
    kind, why = fate(read(config), "num_proceses")
    assert kind == "unknown"
    assert "stops at it" in why


def test_deepspeed_passes_over_one_and_stops_inside_of_zero(read: Bring) -> None:
    engine = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_cliping": 0.5,
        "zero_optimization": {"stge": 3, "overlap_comm": True},
    }
    imported = read(json.dumps(engine), "ds.json")
    kind, why = fate(imported, "gradient_cliping")
    assert kind == "unknown"
    assert "passes over it" in why
    kind, why = fate(imported, "zero_optimization.stge")
    assert kind == "unknown"
    assert "stops at it" in why
    assert fate(imported, "zero_optimization.overlap_comm")[0] == "inert"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("use_peft", "adapter"),
        ("use_qlora", "adapter"),
        ("val_datasets", "test_datasets"),
        ("bnb_4bit_quant_type", "bnb_config_kwargs"),
        ("run_name", "wandb_name"),
        ("attention", "attn_implementation"),
    ],
)
def test_what_people_write_for_a_key_of_axolotl(read: Bring, key: str, meant: str) -> None:
    assert f"did you mean `{meant}`?" in fate(read(f"{AXOLOTL}{key}: 1\n"), key)[1]


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("model_name_or_path: org/m\nuse_peft: true\n", "learning_rat", "learning_rate"),
        ("model_name_or_path: org/m\nuse_peft: true\n", "quite_another", ""),
        ("model_name_or_path: org/m\nuse_peft: true\n", "per_device_batch_size", ""),
        ("model_name_or_path: org/m\nstage: sft\ndo_train: true\n", "lora_rnak", "lora_rank"),
        ("model_name_or_path: org/m\nstage: sft\ndo_train: true\n", "new_special_tokens", ""),
        ("model_name_or_path: org/m\ntrainer: dpo\nuse_peft: true\n", "packing", ""),
        ("model_name_or_path: org/m\ntrainer: dpo\nuse_peft: true\n", "max_completion_lenght", ""),
        (
            "model_name_or_path: org/m\ntrainer: dpo\nuse_peft: true\n",
            "precompute_ref_log_prob",
            "precompute_ref_log_probs",
        ),
    ],
)
def test_a_slip_is_told_with_what_it_was_probably_meant_to_be(
    read: Bring, text: str, key: str, meant: str
) -> None:
    kind, why = fate(read(f"{text}{key}: 1\n"), key)
    assert kind == "unknown"
    assert why.endswith(f"did you mean `{meant}`?") if meant else "did you mean" not in why
