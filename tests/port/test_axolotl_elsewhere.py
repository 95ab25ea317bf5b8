"""What of axolotl a missing key, another key, or the model's own kind decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_unknown_keys import AXOLOTL

FULL = "".join(
    line for line in AXOLOTL.splitlines(True) if not line.startswith(("adapter", "lora_"))
)
SHARDS = "fsdp: [{}, auto_wrap]\nfsdp_version: {}\nfsdp_config: {}\n"


@pytest.mark.parametrize(
    ("said", "split"),
    [
        ("test_datasets:\n  - {path: org/rows, type: alpaca}\n", "test"),
        ("test_datasets:\n  - {path: org/rows, type: alpaca, split: dev}\n", "dev"),
        ("test_datasets:\n  - {path: rows.jsonl, type: alpaca}\n", "train"),
        ("rl: dpo\ntest_datasets:\n  - {path: org/rows, type: chatml.intel}\n", "train"),
    ],
)
def test_which_part_is_evaluated_on_where_none_is_named(read: Bring, said: str, split: str) -> None:
    """utils/data/sft.py takes `test`; utils/data/rl.py `train`, which a file alone has anyway."""
    text = FULL.replace("alpaca", "chatml.intel") if "rl:" in said else FULL
    (source,) = read(text + said).composed.spec.data.eval
    assert source.split == split


@pytest.mark.parametrize(
    ("entry", "other", "name"),
    [
        ("{path: evals, ds_type: json, type: alpaca}", "evals/a.jsonl", ""),
        ("{path: some/evals, type: alpaca}", "some/evals/a.jsonl", ""),
        ("{path: evals, type: alpaca}", "evals", ""),
        ("{path: evals, data_files: x.jsonl, type: alpaca}", "evals", ""),
        ("{path: evals, data_files: x.jsonl, type: alpaca}", "evals/a.jsonl", "x.jsonl"),
        ("{path: evals, ds_type: json, type: alpaca}", "other/a.jsonl", ""),
    ],
)
def test_what_lies_here_goes_before_a_data_set_of_the_hub(
    read: Bring, tmp_path: Path, entry: str, other: str, name: str
) -> None:
    (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / other).write_text("")
    imported = read(f"{FULL}test_datasets:\n  - {entry}\n")
    assert (fate(imported, "test_datasets[0].path")[0] == "derived") == bool(name)
    if name:
        (source,) = imported.composed.spec.data.eval
        assert source.path == name


@pytest.mark.parametrize(
    ("word", "version", "section", "strategy", "offloads"),
    [
        ("full_shard", 2, "{}", "full_shard", False),
        ("shard_grad_op", 2, "{}", "shard_grad_op", False),
        ("shard_grad_op", 2, "{reshard_after_forward: true}", "full_shard", False),
        ("full_shard", 2, "{reshard_after_forward: false}", "shard_grad_op", False),
        (
            "shard_grad_op",
            1,
            "{}",
            "full_shard",
            False,
        ),  # accelerate has it of its own variable alone
        ("hybrid_shard", 1, "{}", "full_shard", False),
        ("full_shard, offload", 1, "{}", "full_shard", True),
        ("full_shard, offload", 2, "{offload_params: false}", "full_shard", True),
        ("full_shard", 1, "{fsdp_offload_params: true}", "full_shard", True),
    ],
)
def test_the_words_of_fsdp(
    read: Bring, word: str, version: int, section: str, strategy: str, offloads: bool
) -> None:
    """transformers 5.16, training_args.py, puts them into the section, where that does not say it."""
    imported = read(FULL + SHARDS.format(word, version, section))
    found = imported.composed.values
    assert found["hardware.fsdp.sharding_strategy"] == strategy
    assert bool(found.get("hardware.fsdp.offload_parameters")) is offloads
    assert fate(imported, "fsdp")[0] == "derived"
    told = any("shards fully" in note for note in imported.notes)
    assert told is (version == 1 and word in ("shard_grad_op", "hybrid_shard"))


@pytest.mark.parametrize("word", ["hybrid_shard", "no_shard", "whole"])
def test_words_of_fsdp_that_version_2_has_not(read: Bring, word: str) -> None:
    kind, why = fate(read(FULL + SHARDS.format(word, 2, "{}")), "fsdp")
    assert kind == "unknown"
    assert word in why


def test_fsdp_without_its_section(read: Bring) -> None:
    """utils/trainer.py, setup_fsdp_envs, asks it without looking."""
    question = "axolotl stops at fsdp without fsdp_config"
    assert question in read(f"{FULL}fsdp: [full_shard]\n").composed.open
    assert question not in read(f"{FULL}fsdp: [full_shard]\nfsdp_config: {{}}\n").composed.open


@pytest.mark.parametrize(
    ("said", "batch", "kind"),
    [
        ("batch_size: 8\n", 2, "approximated"),
        ("batch_size: 8\nwarmup_steps: 4\n", 2, "inert"),
        ("batch_size: 8\nlr_scheduler: constant\n", 2, "inert"),
        ("batch_size: 8\ngradient_accumulation_steps:\n", 8, "derived"),
    ],
)
def test_a_batch_size_is_asked_for_where_the_passes_are_null(
    read: Bring, said: str, batch: int, kind: str
) -> None:
    """A missing number of passes is 1 (utils/schemas/training.py)."""
    imported = read(AXOLOTL + said)
    assert imported.composed.values["train.batch_size"] == batch
    assert fate(imported, "batch_size")[0] == kind


def test_an_adapter_of_parameters_alone(read: Bring) -> None:
    """loaders/adapter.py hands peft an empty list of modules, and a spec has some."""
    text = AXOLOTL.replace("lora_target_linear: true", "lora_target_parameters: [mlp.experts.up]")
    assert any("no module gets an adapter there" in one for one in read(text).composed.open)


@pytest.mark.parametrize(
    ("model", "bits", "part"),
    [
        ("tiiuae/Falcon-H1-1B-Base", "load_in_4bit", "out_proj"),
        ("tiiuae/Falcon-H1-1B-Base", "load_in_8bit", "out_proj"),
        ("ai21labs/Jamba-v0.1", "load_in_8bit", "mamba"),
        ("ai21labs/Jamba-v0.1", "load_in_4bit", ""),
        ("org/model", "load_in_4bit", ""),
    ],
)
def test_modules_that_stay_in_16_bits(read: Bring, model: str, bits: str, part: str) -> None:
    """loaders/model.py, _set_quantization_config."""
    text = AXOLOTL.replace("org/model", model)
    if bits == "load_in_4bit":
        text = text.replace("adapter: lora", "adapter: qlora")
    kind, why = fate(read(f"{text}{bits}: true\n"), bits)
    assert kind == ("approximated" if part else "derived")
    assert f"leaves {part} in" in why or not part


@pytest.mark.parametrize(
    ("schedule", "kind", "told"),
    [
        ("rex", "unknown", "the lowest rate of rex"),
        ("one_cycle", "inert", "`lr_scheduler: cosine` alone"),
        ("linear", "inert", "`lr_scheduler: cosine` alone"),
        ("cosine", "renamed", ""),
    ],
)
def test_a_lowest_rate_of_other_schedules(read: Bring, schedule: str, kind: str, told: str) -> None:
    """core/trainers/mixins/scheduler.py: rex has one as well."""
    found = fate(
        read(f"{AXOLOTL}lr_scheduler: {schedule}\ncosine_min_lr_ratio: 0.1\n"),
        "cosine_min_lr_ratio",
    )
    assert found[0] == kind
    assert told in found[1]


def test_a_folder_by_its_last_stroke_is_no_data_set_of_the_hub(read: Bring) -> None:
    """utils/data/shared.py looks for a folder first, and the hub has no such name."""
    text = FULL.replace("path: org/rows", "path: data/")
    assert "a folder of files" in fate(read(text), "datasets[0].path")[1]
    named = read(text.replace("type:", "data_files: [rows.jsonl]\n    type:"))
    (source,) = named.composed.spec.data.train
    assert (source.path, source.hub) == ("rows.jsonl", None)


def test_another_reference_is_no_slip_of_a_reward_model(read: Bring) -> None:
    why = fate(read(f"{FULL}ref_model: org/other\n"), "ref_model")[1]
    assert "did you mean" not in why


def test_a_share_that_no_float_holds_is_told(read: Bring) -> None:
    kind, why = fate(read(f"{FULL}warmup_ratio: 1{'0' * 400}\n"), "warmup_ratio")
    assert (kind, "64 bits" in why) == ("unknown", True)
