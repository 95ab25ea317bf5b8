"""FSDP in every place where people say it: one section of a spec comes of it, and nothing is nearly so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftspec.port.compare import compare
from ftspec.port.effective import meaning
from tests.port.conftest import Bring, fate

AXOLOTL = (
    "base_model: org/model\ndatasets: [{path: rows.jsonl, type: alpaca}]\nmicro_batch_size: 1\n"
    "learning_rate: 1.0e-4\n"
)
TRL = (
    "model_name_or_path: org/model\ndataset_name: org/rows\noutput_dir: o\nlearning_rate: 1.0e-4\n"
)
LLAMAFACTORY = (
    "model_name_or_path: org/model\nstage: sft\ndo_train: true\ndataset: alpaca_en_demo\n"
    "output_dir: o\n"
)
LAUNCH = "compute_environment: LOCAL_MACHINE\nnum_processes: 8\ndistributed_type: FSDP\n"
TUNE = (
    "model: {_component_: torchtune.models.llama3_1.llama3_1_8b}\n"
    "checkpointer: {checkpoint_dir: org/model}\nbatch_size: 2\ndtype: bf16\n"
    "dataset: {_component_: torchtune.datasets.alpaca_dataset}\n"
    "optimizer: {_component_: torch.optim.AdamW, lr: 2e-5}\nclip_grad_norm: 1.0\n"
    "max_steps_per_epoch: 5\nenable_activation_checkpointing: true\n"
)
SAID = {"transformer_layer_cls_to_wrap": ("LlamaDecoderLayer",)}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "accelerate, version 1": (
        "launch.yaml",
        LAUNCH + "fsdp_config: {fsdp_sharding_strategy: SHARD_GRAD_OP, fsdp_offload_params: true}\n",
        {"version": 1, "sharding_strategy": "shard_grad_op", "offload_parameters": True,
         "cpu_ram_efficient_loading": True},
    ),
    # version 1 takes its strategy from the other key, whatever this one says
    "accelerate, the other version's key": (
        "launch.yaml",
        LAUNCH + "fsdp_config: {fsdp_version: 1, fsdp_reshard_after_forward: SHARD_GRAD_OP}\n",
        {"version": 1, "cpu_ram_efficient_loading": True},
    ),
    "accelerate, version 2": (
        "launch.yaml",
        LAUNCH + "fsdp_config: {fsdp_version: 2, fsdp_reshard_after_forward: false, "
        "fsdp_cpu_ram_efficient_loading: false, fsdp_activation_checkpointing: true, "
        "fsdp_transformer_layer_cls_to_wrap: LlamaDecoderLayer}\n",
        {"sharding_strategy": "shard_grad_op", "state_dict_type": "sharded",
         "activation_checkpointing": True, **SAID},
    ),
    "accelerate, by size": (
        "launch.yaml",
        LAUNCH + "fsdp_config: {fsdp_auto_wrap_policy: SIZE_BASED_WRAP, fsdp_min_num_params: 2000, "
        "fsdp_use_orig_params: false}\n",
        {"version": 1, "min_num_params": 2000, "use_orig_params": False,
         "cpu_ram_efficient_loading": True},
    ),
    "axolotl, version 1": (
        "axolotl.yaml",
        AXOLOTL + "fsdp: [full_shard, auto_wrap]\nfsdp_config: {fsdp_offload_params: true, "
        "fsdp_use_orig_params: false, fsdp_sharding_strategy: SHARD_GRAD_OP, "
        "fsdp_state_dict_type: SHARDED_STATE_DICT, fsdp_transformer_layer_cls_to_wrap: "
        "LlamaDecoderLayer}\n",
        # its schema leaves the strategy out: all is sharded
        {"version": 1, "offload_parameters": True, "use_orig_params": False,
         "state_dict_type": "sharded", **SAID},
    ),
    "axolotl, version 2": (
        "axolotl.yaml",
        AXOLOTL + "fsdp_version: 2\nfsdp_config: {reshard_after_forward: false, "
        "cpu_ram_efficient_loading: true, activation_checkpointing: true}\n"
        "fsdp_final_state_dict_type: FULL_STATE_DICT\n",
        {"sharding_strategy": "shard_grad_op", "cpu_ram_efficient_loading": True,
         "activation_checkpointing": True},
    ),
    "trl": (
        "trl.yaml",
        TRL + "fsdp: shard_grad_op auto_wrap offload\n"
        "fsdp_config: {transformer_layer_cls_to_wrap: [LlamaDecoderLayer], backward_prefetch: "
        "backward_pre}\n",
        {"version": 1, "sharding_strategy": "shard_grad_op", "offload_parameters": True, **SAID},
    ),
    "llamafactory": (
        "llamafactory.yaml",
        LLAMAFACTORY + "fsdp_config: {fsdp_version: 2, cpu_ram_efficient_loading: true}\n"
        "fsdp: [full_shard, auto_wrap]\n",
        {"state_dict_type": "sharded", "cpu_ram_efficient_loading": True},
    ),
    "torchtune": (
        "tune.yaml",
        TUNE + "fsdp_cpu_offload: true\ncustom_sharded_layers: [output]\n",
        {"offload_parameters": True},
    ),
    "a command line": (
        "run.sh",
        "accelerate launch --use_fsdp --fsdp_sharding_strategy 2 --fsdp_offload_params true "
        "--num_processes 4 sft.py --model_name_or_path org/m --dataset_name org/d --output_dir o\n",
        {"version": 1, "sharding_strategy": "shard_grad_op", "offload_parameters": True,
         "cpu_ram_efficient_loading": True},
    ),
    "another command line": (
        "run.sh",
        "torchrun --nproc_per_node 4 sft.py --model_name_or_path org/m --dataset_name org/d "
        "--output_dir o --fsdp 'full_shard auto_wrap'\n",
        {"version": 1},
    ),
}  # fmt: skip
PLAIN = {
    "sharding_strategy": "full_shard",
    "version": 2,
    "offload_parameters": False,
    "transformer_layer_cls_to_wrap": None,
    "min_num_params": None,
    "state_dict_type": "full",
    "activation_checkpointing": False,
    "cpu_ram_efficient_loading": False,
    "use_orig_params": True,
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_fsdp_is_a_section_of_the_spec(read: Bring, name: str) -> None:
    file, text, wanted = CASES[name]
    imported = read(text, name=file)
    found = imported.composed.spec.hardware.fsdp
    assert found is not None
    assert found.model_dump() == {**PLAIN, **wanted}
    assert imported.composed.spec.hardware.zero is None
    recomputes = wanted.get("activation_checkpointing", False)
    assert not recomputes or imported.composed.spec.train.gradient_checkpointing
    odd = [one for one in imported.fates if "fsdp" in one.setting.key and not one.faithful]
    assert not odd


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (LAUNCH + "fsdp_config: {fsdp_sharding_strategy: NO_SHARD, fsdp_use_orig_params: true}\n",
         "fsdp_config.fsdp_sharding_strategy"),
        (LAUNCH.replace("FSDP", "MULTI_GPU") + "fsdp_config: {fsdp_offload_params: true}\n",
         "fsdp_config.fsdp_offload_params"),
        (TRL + "fsdp: ''\nfsdp_config: {min_num_params: 0}\n", "fsdp_config.min_num_params"),
        (AXOLOTL + "fsdp: []\nfsdp_version: 2\n", "fsdp_version"),
    ],
)  # fmt: skip
def test_where_nothing_is_sharded_the_spec_says_nothing(read: Bring, text: str, key: str) -> None:
    imported = read(text, name="config.yaml")
    assert imported.composed.spec.hardware.fsdp is None
    assert fate(imported, key)[0] == "inert"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (LAUNCH + "fsdp_config: {fsdp_sharding_strategy: HYBRID_SHARD_ZERO2}\n",
         "fsdp_config.fsdp_sharding_strategy"),
        (LAUNCH + "fsdp_config: {fsdp_state_dict_type: LOCAL_STATE_DICT}\n",
         "fsdp_config.fsdp_state_dict_type"),
        (LAUNCH + "fsdp_config: {fsdp_ignored_modules: head}\n", "fsdp_config.fsdp_ignored_modules"),
        (AXOLOTL + "fsdp_config: {mixed_precision_policy: fp16}\n",
         "fsdp_config.mixed_precision_policy"),
    ],
)  # fmt: skip
def test_what_a_spec_cannot_say_is_told(read: Bring, text: str, key: str) -> None:
    assert fate(read(text, name="config.yaml"), key)[0] == "unknown"


@pytest.mark.parametrize(
    ("copies", "devices", "kind", "found"),
    [(1, None, "derived", 4), (2, None, "derived", 8), (1, 4, "derived", 4), (1, 8, "unknown", 8)],
)
def test_the_sizes_of_a_grid_are_all_devices(
    read: Bring, copies: int, devices: int | None, kind: str, found: int
) -> None:
    sizes = f"dp_shard_size: 4\ndp_replicate_size: {copies}\n"
    text = f"{AXOLOTL}fsdp_version: 2\nfsdp_config: {{offload_params: false}}\n{sizes}"
    imported = read(text, name="config.yaml", devices=devices)
    assert fate(imported, "dp_shard_size")[0] == kind
    values = imported.composed.values
    strategy = "full_shard" if copies == 1 else "hybrid_shard"
    assert values["hardware.fsdp.sharding_strategy"] == strategy
    assert (values["hardware.devices"], values["train.batch_size"]) == (found, found)


def test_devices_that_share_a_row_have_no_rows_of_their_own(read: Bring) -> None:
    sizes = "dp_shard_size: 2\ncontext_parallel_size: 2\n"
    imported = read(f"{AXOLOTL}fsdp_config: {{version: 2}}\n{sizes}", name="config.yaml")
    assert fate(imported, "context_parallel_size")[0] == "unknown"
    assert fate(imported, "dp_shard_size")[0] == "derived"
    assert imported.composed.values["train.batch_size"] == 2


def test_recomputing_twice_is_recomputing(read: Bring) -> None:
    section = "fsdp_config: {version: 2, activation_checkpointing: true}\n"
    imported = read(f"{AXOLOTL}{section}gradient_checkpointing: true\n", name="config.yaml")
    assert fate(imported, "gradient_checkpointing")[0] == "derived"
    assert imported.composed.values["train.gradient_checkpointing"] is True


FLOAT8 = LAUNCH.replace("FSDP", "NO") + "mixed_precision: fp8\nfp8_config: "


@pytest.mark.parametrize(
    ("section", "key", "kind"),
    [
        ("{backend: AO}", "mixed_precision", "renamed"),
        ("{backend: AO}", "fp8_config.backend", "derived"),
        ("{backend: AO, margin: 0}", "fp8_config.margin", "inert"),
        ("{backend: TE, margin: 0}", "fp8_config.margin", "unknown"),
        ("{backend: TE, use_autocast_during_eval: false}", "fp8_config.use_autocast_during_eval",
         "inert"),
        ("{backend: MSAMP, opt_level: O2}", "fp8_config.opt_level", "unknown"),
        ("{backend: TE, opt_level: O2}", "fp8_config.opt_level", "inert"),
        ("{margin: 0}", "mixed_precision", "unknown"),  # whichever is installed
    ],
)  # fmt: skip
def test_float8_is_known_by_who_multiplies(read: Bring, section: str, key: str, kind: str) -> None:
    imported = read(FLOAT8 + section + "\n", name="launch.yaml")
    assert fate(imported, key)[0] == kind
    by_torchao = "AO" in section
    assert (imported.composed.spec.precision.compute == "fp8") == by_torchao


SPEC = "version: 1\nmodel: org/m\ndata: {train: {path: a.jsonl, format: messages}}\n"


@pytest.mark.parametrize(
    ("zero", "fsdp", "words"),
    [
        ("3", "full_shard", "ZeRO 3 shards the same way in another engine"),
        ("2", "shard_grad_op", "ZeRO 2 shards the same way in another engine"),
        ("3", "shard_grad_op", "the other side has ZeRO 3"),
        ("null", "full_shard", "the other side is whole on each device"),
    ],
)
def test_two_engines_are_one_difference(tmp_path: Path, zero: str, fsdp: str, words: str) -> None:
    paths = []
    for name, engine in (("one", f"zero: {zero}"), ("other", f"fsdp: {fsdp}")):
        paths.append(tmp_path / name / "spec.yaml")
        paths[-1].parent.mkdir()
        paths[-1].write_text(f"{SPEC}hardware: {{devices: 8, device: cuda, {engine}}}\n")
    left, right = (meaning([path]) for path in paths)
    for one, other in ((left, right), (right, left)):
        (found,) = [each for each in compare(one, other) if each.path.startswith("hardware.")]
        assert (found.path, found.words) == ("hardware.fsdp.sharding_strategy", words)
        assert found.weight == "around"


SHARDS = TRL + "fsdp: {words}\nfsdp_config: {{{section}}}\n"


@pytest.mark.parametrize(
    ("words", "section", "path", "value"),
    [  # what TrainingArguments take out of the section, and what they pass over
        ("full_shard", "offload_params: true", "offload_parameters", False),
        ("full_shard offload", "offload_params: false", "offload_parameters", True),
        ("full_shard", "state_dict_type: SHARDED_STATE_DICT", "state_dict_type", "full"),
        ("full_shard", "version: 2, state_dict_type: FULL_STATE_DICT", "state_dict_type", "sharded"),
        ("full_shard auto_wrap", "min_num_params: 1000", "min_num_params", 1000),
        ("full_shard", "auto_wrap_policy: SIZE_BASED_WRAP, min_num_params: 1000", "min_num_params", None),
        ("full_shard", "reshard_after_forward: SHARD_GRAD_OP", "sharding_strategy", "shard_grad_op"),
        ("full_shard", "sharding_strategy: SHARD_GRAD_OP", "sharding_strategy", "full_shard"),
    ],
)  # fmt: skip
def test_what_arguments_take_out_of_the_section(
    read: Bring, words: str, section: str, path: str, value: Any
) -> None:
    imported = read(SHARDS.format(words=words, section=section), name="trl.yaml")
    fsdp = imported.composed.spec.hardware.fsdp
    assert fsdp is not None
    assert getattr(fsdp, path) == value


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (SHARDS.format(words="full_shard", section="reshard_after_forward: false"),
         "fsdp_config.reshard_after_forward"),
        (LAUNCH + "fsdp_config: {fsdp_sync_module_states: false}\n",
         "fsdp_config.fsdp_sync_module_states"),
        (SHARDS.format(words="full_shard",
                       section="sync_module_states: false, cpu_ram_efficient_loading: true"),
         "fsdp_config.sync_module_states"),
    ],
)  # fmt: skip
def test_where_fsdp_stops(read: Bring, text: str, key: str) -> None:
    name = "launch.yaml" if text.startswith(LAUNCH) else "trl.yaml"
    assert fate(read(text, name=name), key)[0] == "unknown"


def test_a_word_for_offloading_that_nothing_reads(read: Bring) -> None:
    imported = read(LAUNCH + "fsdp_config: {fsdp_cpu_offload: true}\n", name="launch.yaml")
    fsdp = imported.composed.spec.hardware.fsdp
    assert fsdp is not None and not fsdp.offload_parameters
    assert any("offload_params says it" in line for line in imported.notes)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("fsdp_version: 2, fsdp_reshard_after_forward: FULL_SHARD", "fsdp_reshard_after_forward"),
        (
            "fsdp_auto_wrap_policy: SIZE_BASED_WRAP, fsdp_min_num_params: 1e8",  # YAML's text
            "fsdp_min_num_params",
        ),
        (
            "fsdp_auto_wrap_policy: SIZE_BASED_WRAP, fsdp_min_num_params: 1.0e+8",  # int("1e8") fails
            "fsdp_min_num_params",
        ),
    ],
)
def test_words_that_accelerate_stops_at(read: Bring, section: str, key: str) -> None:
    found, why = fate(
        read(f"{LAUNCH}fsdp_config: {{{section}}}\n", name="l.yaml"), f"fsdp_config.{key}"
    )
    assert (found, "stops at" in why) == ("unknown", True)


@pytest.mark.parametrize(
    ("more", "stops"),
    [
        ("fsdp_config: {activation_checkpointing: true}\n", True),
        ("fsdp_config: {activation_checkpointing: true}\ngradient_checkpointing: false\n", False),
        ("fsdp_config: {activation_checkpointing: false}\n", False),
    ],
)
def test_trl_makes_activations_again_by_itself(read: Bring, more: str, stops: bool) -> None:
    imported = read(f"{TRL}fsdp: full_shard auto_wrap\n{more}")
    assert any("stops at both" in line for line in imported.composed.open) == stops
