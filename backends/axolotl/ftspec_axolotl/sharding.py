"""FSDP as axolotl's config says it: `fsdp_version` and `fsdp_config`.

Names: axolotl 0.19.0, utils/schemas/fsdp.py. It hands them to accelerate by variables (utils/trainer.py,
setup_fsdp_envs) and to transformers as arguments (core/builders/base.py).
"""

from __future__ import annotations

from typing import Any

from ftspec.families.training.fsdp import KEY, PATH, STRATEGY, Case, fsdp_rows, sharded
from ftspec.mapping import Flat, Row

VERSION, SECTION = "fsdp_version", "fsdp_config"
NAMES = {
    "offload_parameters": "offload_params",
    "activation_checkpointing": "activation_checkpointing",
    "cpu_ram_efficient_loading": "cpu_ram_efficient_loading",
    "min_num_params": "min_num_params",
}
"""Fields that are called otherwise, or the same, and have the same values."""


def sharding_rows() -> tuple[Row, ...]:
    """As everywhere under accelerate, but for what its schema has no word for."""
    return fsdp_rows(
        Case(
            lambda v: v["model.quantization.type"] is not None,
            "a quantised base under FSDP is not compiled for it yet",
            hint="model.quantization: null",
        ),
        Case(
            lambda v: v[f"{PATH}activation_checkpointing"] and v["method.tuner.type"] == "lora",
            "it saves the adapter under the names that its recomputation wraps around layers "
            "(integrations/expert_parallel/shard.py), and peft finds none of them when it loads it",
            "notyet",
            "hardware.fsdp.activation_checkpointing: false",
        ),
        Case(
            lambda v: (
                v["method.tuner.modules_to_save"] or v["method.tuner.bias"] not in (None, "none")
            ),
            "of an adapter it saves what is called lora_ (integrations/expert_parallel/shard.py)",
            "notyet",
            "leave method.tuner.modules_to_save and bias out",
        ),
        Case(
            lambda v: v[f"{PATH}version"] == 1 and v[STRATEGY] != "full_shard",
            "with version 1 it shards fully: its schema has no strategy (utils/schemas/fsdp.py)",
            "notyet",
            "hardware.fsdp: full_shard, or version: 2",
        ),
    )


def write_sharding(native: Flat) -> dict[str, Any]:
    """The keys of the config; nothing where nothing is sharded."""
    if not sharded(native):
        return {}
    given = {key.removeprefix(KEY): value for key, value in native.items() if key.startswith(KEY)}
    section = {theirs: given[ours] for ours, theirs in NAMES.items() if ours in given}
    layers = given.get("transformer_layer_cls_to_wrap")
    section |= {
        "auto_wrap_policy": "SIZE_BASED_WRAP"
        if "min_num_params" in given
        else "TRANSFORMER_BASED_WRAP",
        **({"transformer_layer_cls_to_wrap": ",".join(layers)} if layers else {}),
        "state_dict_type": f"{given['state_dict_type'].upper()}_STATE_DICT",
        "final_state_dict_type": "FULL_STATE_DICT",
    }
    if given["version"] == 2:
        section["reshard_after_forward"] = given["sharding_strategy"] == "full_shard"
    else:
        section |= {"use_orig_params": given["use_orig_params"], "sync_module_states": True}
    return {VERSION: given["version"], SECTION: section}


def read_sharding(native: dict[str, Any]) -> dict[str, Any]:
    """Native values without these keys, and what they say."""
    version, section = native.pop(VERSION, None), native.pop(SECTION, None)
    if section is None:
        return native
    again = section.get("reshard_after_forward", True)
    found: dict[str, Any] = {
        "sharding_strategy": "full_shard" if again else "shard_grad_op",
        "version": version,
        "state_dict_type": section["state_dict_type"].partition("_")[0].lower(),
        "use_orig_params": section.get("use_orig_params", True),
        **{ours: section[theirs] for ours, theirs in NAMES.items() if theirs in section},
    }
    if layers := section.get("transformer_layer_cls_to_wrap"):
        found["transformer_layer_cls_to_wrap"] = tuple(layers.split(","))
    return native | {KEY + name: value for name, value in found.items()}
