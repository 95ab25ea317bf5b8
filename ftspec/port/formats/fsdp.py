"""FSDP's settings, under the names that accelerate, transformers and axolotl share: `fsdp_config`.

accelerate 1.11, commands/launch.py and utils/dataclasses.py; transformers 5.6, training_args.py,
_process_fsdp_args; axolotl 0.19, utils/schemas/fsdp.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ftspec.families.training.fsdp import PATH
from ftspec.port.fates import Setting
from ftspec.port.formats.switches import NO, YES, is_on
from ftspec.port.rules import Context, Outcome, Rule, inert, section, unknown

SECTION = "fsdp_config"
STRATEGIES: Mapping[str, str] = {
    "FULL_SHARD": "full_shard",
    "1": "full_shard",
    "SHARD_GRAD_OP": "shard_grad_op",
    "2": "shard_grad_op",
    "HYBRID_SHARD": "hybrid_shard",
    "4": "hybrid_shard",
}
"""By torch's names, and by the numbers that accelerate has for them."""
WHOLE = ("NO_SHARD", "3")
MOVED = "how the engine moves data, not what it computes"
END = "how the end result is saved: it is always whole here"


@dataclass(frozen=True)
class Tool:
    """How a tool takes the section."""

    on: Callable[[Context], bool]
    """Whether it shards at all."""
    off: str
    """Why a setting counts for nothing, where it does not."""
    strategy: Callable[[Context], str | None]
    """The strategy that holds; None where a spec has none like it."""
    efficient: bool = False
    """Whether one process alone loads the weights, where nothing is said."""


def said(context: Context, name: str, assumed: Any = None) -> Any:
    """A setting of the section, with or without `fsdp_` before its name."""
    found = section(context, SECTION)
    value = found.get(name, found.get(f"fsdp_{name}"))
    return assumed if value is None else value


def version(context: Context) -> int:
    """1 where nothing is said: accelerate's default, and transformers' up to 5.9."""
    above = context.get("fsdp_version")
    return 2 if str(above or said(context, "version", 1)) == "2" else 1


def resharded(context: Context) -> str:
    """The strategy of version 2."""
    again = said(context, "reshard_after_forward", True)
    return "full_shard" if is_on(again) else "shard_grad_op"


def assumed(context: Context, **more: Any) -> dict[str, Any]:
    """Spec values that hold where the section does not say them."""
    pieces = {"state_dict_type": "sharded"} if version(context) == 2 else {}
    values = {"sharding_strategy": "full_shard", "version": version(context), **pieces, **more}
    return {PATH + name: value for name, value in values.items()}


def section_rules(tool: Tool) -> dict[str, Rule]:
    """The rules of the section's keys."""
    rules: dict[str, Rule] = {
        "version": _says("version", lambda _value, context: version(context)),
        "sharding_strategy": _strategy(tool, 1),
        "reshard_after_forward": _strategy(tool, 2),
        "offload_params": _says("offload_parameters", lambda value, _context: is_on(value)),
        "cpu_offload": _unread("offload_params"),
        "auto_wrap_policy": _policy,
        "transformer_layer_cls_to_wrap": _says("transformer_layer_cls_to_wrap", _classes),
        "min_num_params": _least,
        "state_dict_type": _pieces,
        "final_state_dict_type": inert(END),
        "activation_checkpointing": _recomputed,
        "cpu_ram_efficient_loading": _says(
            "cpu_ram_efficient_loading", lambda value, _context: is_on(value)
        ),
        "use_orig_params": _original,
        "mixed_precision_policy": unknown("a policy beside the training's own precision"),
        "ignored_modules": unknown("modules that are left whole are not in a spec"),
        "sync_module_states": _synchronised(tool),
        **dict.fromkeys(
            (
                *("forward_prefetch", "backward_prefetch"),
                *("backward_prefetch_policy", "limit_all_gathers", "cpu_offload_pin_memory"),
            ),
            inert(MOVED),
        ),
        "xla": inert("for TPUs alone"),
    }
    return {
        f"{SECTION}.{start}{name}": _where(tool, rule)
        for start in ("", "fsdp_")
        for name, rule in rules.items()
    }


def _unread(instead: str) -> Rule:
    def rule(_setting: Setting, _context: Context) -> Outcome:
        return Outcome("inert", why=f"nothing reads it there: {instead} says it", loud=True)

    return rule


def _synchronised(tool: Tool) -> Rule:
    """Where one process loads the weights, the others have to get them from it."""

    def rule(setting: Setting, context: Context) -> Outcome:
        if not is_on(setting.value) and is_on(
            said(context, "cpu_ram_efficient_loading", tool.efficient)
        ):
            return Outcome("unknown", why="off beside cpu_ram_efficient_loading: it stops at that")
        return Outcome("inert", why=MOVED)

    return rule


def _where(tool: Tool, rule: Rule) -> Rule:
    def chosen(setting: Setting, context: Context) -> Outcome:
        if not tool.on(context):
            return Outcome("inert", why=tool.off)
        if setting.value is None:
            return Outcome("inert", why="nothing is said: the default holds")
        return rule(setting, context)

    return chosen


def _says(name: str, make: Callable[[Any, Context], Any]) -> Rule:
    def rule(setting: Setting, context: Context) -> Outcome:
        return Outcome("renamed", spec={PATH + name: make(setting.value, context)})

    return rule


def _strategy(tool: Tool, of: int) -> Rule:
    """Version 1 has a strategy, version 2 says whether it cuts parameters after the forward pass."""

    def rule(setting: Setting, context: Context) -> Outcome:
        if version(context) != of:
            return Outcome("inert", why=f"it belongs to version {of}, and this is the other one")
        if of == 2 and str(setting.value).lower() not in (*YES, *NO):
            return Outcome(
                "unknown", why=f"version 2 takes yes or no here, and stops at {setting.value}"
            )
        found = tool.strategy(context)
        if found is None:
            return Outcome("unknown", why=f"{setting.value} is not in a spec")
        return Outcome("derived", spec={f"{PATH}sharding_strategy": found})

    return rule


def _classes(value: Any, _context: Context) -> tuple[str, ...]:
    names = value if isinstance(value, list | tuple) else str(value).split(",")
    return tuple(str(name).strip() for name in names)


def _policy(setting: Setting, context: Context) -> Outcome:
    word = str(setting.value).upper()
    if word == "SIZE_BASED_WRAP":
        return Outcome("derived", of=(f"{PATH}min_num_params",))
    if word in ("TRANSFORMER_BASED_WRAP", "NO_WRAP"):
        return Outcome("inert", why="how much is gathered at a time, not what it computes")
    return Outcome("unknown", why=f"{setting.value} is no policy that is known")


def _least(setting: Setting, context: Context) -> Outcome:
    if "SIZE" not in str(said(context, "auto_wrap_policy")).upper() or not setting.value:
        return Outcome("inert", why="layers are gathered by their classes")
    text = str(setting.value)
    if not text.isdigit():
        why = f"a whole number stands there, and accelerate stops at {text}"  # utils/dataclasses.py
        return Outcome("unknown", why=why)
    return Outcome("renamed", spec={f"{PATH}min_num_params": int(setting.value)})


def _pieces(setting: Setting, _context: Context) -> Outcome:
    word = str(setting.value).upper()
    kinds = {
        "FULL_STATE_DICT": "full",
        "1": "full",
        "SHARDED_STATE_DICT": "sharded",
        "3": "sharded",
    }
    if word not in kinds:
        return Outcome("unknown", why=f"{setting.value} is not in a spec")
    return Outcome("renamed", spec={f"{PATH}state_dict_type": kinds[word]})


def _recomputed(setting: Setting, _context: Context) -> Outcome:
    if not is_on(setting.value):
        return Outcome("inert", why="the trainer says whether the model recomputes")
    spec = {f"{PATH}activation_checkpointing": True, "train.gradient_checkpointing": True}
    return Outcome("derived", spec=spec)


def _original(setting: Setting, context: Context) -> Outcome:
    if version(context) == 2:
        return Outcome("inert", why="version 2 has the model's own parameters anyway")
    return Outcome("renamed", spec={f"{PATH}use_orig_params": is_on(setting.value)})


def named(context: Context) -> str | None:
    """The strategy of accelerate, which without one shards fully."""
    if version(context) == 2:
        return resharded(context)
    return STRATEGIES.get(str(said(context, "sharding_strategy", "FULL_SHARD")).upper())


def words(context: Context) -> list[str]:
    """What `fsdp` asks for, as TrainingArguments and axolotl take it: one text, a list, or yes."""
    given = context.get("fsdp")
    if isinstance(given, str):
        given = given.replace(",", " ").split()
    listed = given if isinstance(given, list | tuple) else ["full_shard"] if given is True else []
    return [str(word).lower() for word in listed]


def asked(context: Context) -> str | None:
    """The strategy of transformers' TrainingArguments."""
    named_ = next((word for word in words(context) if word.upper() in STRATEGIES), "full_shard")
    if version(context) == 2 and said(context, "reshard_after_forward") is not None:
        return resharded(context)
    if version(context) == 1 and (again := said(context, "reshard_after_forward")) is not None:
        return STRATEGIES.get(str(again).upper())
    if version(context) == 2 and named_ == "hybrid_shard":
        return "full_shard"  # it asks only whether the word is shard_grad_op
    return STRATEGIES[named_.upper()]


def _by_arguments(context: Context) -> bool:
    return bool(words(context)) and "no_shard" not in words(context)


def doubly(context: Context) -> tuple[str, ...]:
    """Of trl's arguments: its trainers recompute by themselves; transformers stops at both (trainer.py)."""
    name = "activation_checkpointing"
    twice = is_on(said(context, name)) and context.get("gradient_checkpointing") is not False
    if not (twice and _by_arguments(context)):
        return ()
    return (
        f"fsdp_config.{name}: on, and gradient_checkpointing as well, where trl has it on without a word: "
        "transformers stops at both: gradient_checkpointing: false",
    )


ARGUMENTS = Tool(_by_arguments, "fsdp is not set", asked)
"""transformers' TrainingArguments."""


def _by_name(setting: Setting, context: Context) -> Outcome:
    """In version 1 TrainingArguments hand it on as the name of a strategy."""
    if version(context) == 1 and asked(context) is None:
        why = f"version 1 takes a strategy here that a spec has: {setting.value} is none"
        return Outcome("unknown", why=why)
    return Outcome("derived", spec={f"{PATH}sharding_strategy": asked(context)})


def _counted(setting: Setting, context: Context) -> Outcome:
    """In TrainingArguments a number is the policy, where `fsdp` says auto_wrap."""
    if not setting.value or "auto_wrap" not in words(context):
        return Outcome("inert", why="nothing is wrapped by its size")
    return Outcome("renamed", spec={f"{PATH}min_num_params": int(setting.value)})


OF_ARGUMENTS: Mapping[str, Rule] = {
    **dict.fromkeys(("offload_params", "cpu_offload"), _unread("`fsdp: offload`")),
    **dict.fromkeys(("sharding_strategy", "auto_wrap_policy"), _unread("`fsdp`")),
    "state_dict_type": _unread("the version"),
    "min_num_params": _counted,
    "reshard_after_forward": _by_name,
}
"""What TrainingArguments take otherwise (transformers 5.6, _process_fsdp_args and trainer.py)."""


def argument_rules() -> dict[str, Rule]:
    """`fsdp` and `fsdp_config` of TrainingArguments."""

    def switch(setting: Setting, context: Context) -> Outcome:
        if not _by_arguments(context):
            return Outcome("inert", why="nothing is sharded by it")
        if "hybrid_shard_zero2" in words(context):
            return Outcome("unknown", why="hybrid_shard_zero2 is not in a spec")
        values: dict[str, Any] = {"sharding_strategy": asked(context)}
        if "offload" in words(context):
            values["offload_parameters"] = True
        return Outcome("derived", spec=assumed(context, **values))

    def older(setting: Setting, context: Context) -> Outcome:
        """An argument of transformers 4, which 5 has in its section alone."""
        if not _by_arguments(context) or setting.value is None:
            return Outcome("inert", why="nothing is sharded by it")
        if said(context, "transformer_layer_cls_to_wrap") is not None:
            return Outcome("inert", why="fsdp_config says it as well, and that holds")
        layers = {f"{PATH}transformer_layer_cls_to_wrap": _classes(setting.value, context)}
        return Outcome("renamed", spec=layers, why="transformers 5 reads it in fsdp_config alone")

    return {
        "fsdp": switch,
        "fsdp_transformer_layer_cls_to_wrap": older,
        SECTION: inert("empty"),
        **section_rules(ARGUMENTS),
        **{
            f"{SECTION}.{start}{name}": _where(ARGUMENTS, rule)
            for start in ("", "fsdp_")
            for name, rule in OF_ARGUMENTS.items()
        },
        f"{SECTION}.": inert(MOVED),
    }
