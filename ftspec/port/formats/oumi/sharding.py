"""Oumi's section `fsdp`: torch's first FSDP, where it is switched on (core/configs/params/fsdp_params.py)."""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.fsdp import STRATEGIES
from ftspec.port.rules import Context, Outcome, Rule, inert, says, section, unknown, unless


def member(value: Any) -> str:
    """The name of an enumeration's member, which OmegaConf takes with its class and without."""
    return str(value).rpartition(".")[2]


def enabled(name: str, rule: Rule) -> Rule:
    """Settings of an engine, which counts where it is switched on."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if section(context, name).get(f"enable_{name}") is not True:
            return Outcome("inert", why=f"enable_{name} is not set")
        return rule(setting, context)

    return chosen


SHARDED = "hardware.fsdp."


def _sharding(setting: Setting, _context: Context) -> Outcome:
    strategy = STRATEGIES.get(member(setting.value))
    if strategy is None:
        return Outcome("unknown", why=f"{setting.value} is not in a spec")
    return Outcome("renamed", spec={f"{SHARDED}sharding_strategy": strategy})


def _pieces(setting: Setting, _context: Context) -> Outcome:
    word = member(setting.value)
    if word not in ("FULL_STATE_DICT", "SHARDED_STATE_DICT"):
        return Outcome("unknown", why=f"{setting.value} is not in a spec")
    kind = word.partition("_")[0].lower()
    return Outcome("renamed", spec={f"{SHARDED}state_dict_type": kind})


def _by_size(context: Context) -> bool:
    return "SIZE" in member(section(context, "fsdp").get("auto_wrap_policy"))


def _least(setting: Setting, context: Context) -> Outcome:
    if not _by_size(context):
        return Outcome("inert", why="layers are not gathered by their size")
    return Outcome("renamed", spec={f"{SHARDED}min_num_params": setting.value})


def _layers(setting: Setting, context: Context) -> Outcome:
    if _by_size(context):
        return Outcome("inert", why="layers are gathered by their size")
    names = tuple(name.strip() for name in str(setting.value).split(","))
    # only the class counts: Oumi takes the module's name before it as well
    classes = tuple(name.rpartition(".")[2] for name in names)
    return Outcome("renamed", spec={f"{SHARDED}transformer_layer_cls_to_wrap": classes})


def sharded(context: Context) -> dict[str, Any]:
    """What holds where the section is on and says nothing."""
    if section(context, "fsdp").get("enable_fsdp") is not True:
        return {}
    return {f"{SHARDED}sharding_strategy": "full_shard", f"{SHARDED}version": 1}


SHARDING_RULES: dict[str, Rule] = {
        "fsdp.enable_fsdp": enabled("fsdp", lambda _s, _c: Outcome(
            "derived", of=(f"{SHARDED}sharding_strategy",))),
        "fsdp.sharding_strategy": enabled("fsdp", _sharding),
        "fsdp.cpu_offload": enabled("fsdp", says(f"{SHARDED}offload_parameters")),
        "fsdp.use_orig_params": enabled("fsdp", unless(
            (None,), "torch's default", says(f"{SHARDED}use_orig_params"))),
        "fsdp.state_dict_type": enabled("fsdp", _pieces),
        "fsdp.min_num_params": enabled("fsdp", _least),
        "fsdp.transformer_layer_cls": enabled("fsdp", unless((None,), "the model's own", _layers)),
        "fsdp.mixed_precision": enabled(
            "fsdp", unless((None,), "the trainer says it", unknown("the engine's own mixed precision"))
        ),
        **{f"fsdp.{key}": enabled("fsdp", inert("how the engine moves data, not what it computes"))
           for key in ("backward_prefetch", "forward_prefetch", "auto_wrap_policy",
                       "sync_module_states")},
        "fsdp.": unknown("Oumi has no such setting"),
}  # fmt: skip
