"""axolotl's section `trl`: completions that are drawn, and what rewards them (core/trainers/grpo of 0.19.0).

It hands the values to trl's GRPOConfig. What is missing there is trl's default, and a spec's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.energy import of_trl
from ftspec.port.formats.axolotl.energy_rows import WHOLE
from ftspec.port.formats.axolotl.entries import objective
from ftspec.port.formats.axolotl.words import FAST, KERNEL, SHOWN, said
from ftspec.port.rules import Context, Outcome, Rule, section

OBJECTIVE = "method.objective."
DRAWN = f"{OBJECTIVE}generation."
REWARDS = f"{OBJECTIVE}rewards"
LOSSES = {"grpo": "grpo", "bnpo": "bnpo", "dapo": "dapo", "dr_grpo": "dr-grpo", "cispo": "cispo"}
SCALES = {"True": "group", "False": "none", "group": "group", "batch": "batch", "none": "none"}
AGGREGATION = f"{OBJECTIVE}aggregation"
APART = "normalize_then_sum"
KEPT = "prompts that are longer are left out here, and stay there"


def of_grpo(rule: Rule) -> Rule:
    """For completions that GRPO draws alone: other trainers read the section otherwise."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if objective(context) not in ("grpo", WHOLE):
            why = f"what `rl: {context.get('rl')}` makes of it is not in a spec"
            return Outcome("unknown", why=why)
        return rule(setting, context)

    return said(chosen)


def _path(
    path: str, words: dict[str, str] | None = None, make: Callable[..., Any] | None = None
) -> Rule:
    def rule(setting: Setting, _context: Context) -> Outcome:
        value = setting.value if make is None else make(setting.value)
        if words is not None and str(value) not in words:
            return Outcome("unknown", why=f"{value!r} is not in a spec")
        return Outcome("renamed", spec={path: words[str(value)] if words else value})

    return of_grpo(rule)


def _inert(why: str) -> Rule:
    return of_grpo(lambda _setting, _context: Outcome("inert", why=why))


def rewards(context: Context) -> tuple[dict[str, Any], ...]:
    """What rewards, each with its weight: functions of modules beside the config, or models."""
    section_ = section(context, "trl")
    names = [str(name) for name in section_.get("reward_funcs") or ()]
    weights = section_.get("reward_weights") or [1.0] * len(names)
    if len(weights) != len(names):
        return ()
    return tuple({**_reward(name), "weight": w} for name, w in zip(names, weights, strict=True))


def _reward(name: str) -> dict[str, Any]:
    module, _, function = name.rpartition(".")
    if module and all(part.isidentifier() for part in name.split(".")):
        return {"by": "python", "file": f"./{module.replace('.', '/')}.py", "function": function}
    return {"by": "model", "name": name}


def _rewarded(setting: Setting, context: Context) -> Outcome:
    found = rewards(context)
    if not found:
        return Outcome("unknown", why="the rewards and their weights are not as many")
    if setting.key.startswith("trl.reward_weights"):
        return Outcome("derived", why="the weight of each reward", of=(REWARDS,))
    return Outcome("derived", spec={REWARDS: found}, why="files of modules that it imports")


def _engine(setting: Setting, _context: Context) -> Outcome:
    word = "vllm" if setting.value else "transformers"
    why = "beside the model that trains, whatever its mode" if setting.value else ""
    return Outcome("derived", spec={f"{DRAWN}engine": word}, why=why)


def _drawing_type(setting: Setting, _context: Context) -> Outcome:
    if setting.value == "auto":
        return Outcome("inert", why="the type of the stored weights, as vLLM assumes anyway")
    return Outcome("unknown", why="completions that are drawn in another type are not in a spec")


SERVER = "axolotl.scripts.vllm_serve_lora"
"""The server that it starts where none is named (cli/vllm_serve.py)."""


def _server(setting: Setting, _context: Context) -> Outcome:
    if setting.value == SERVER:
        return Outcome("inert", why="the server that axolotl starts anyway")
    return Outcome("unknown", why="another server that completions come from is not in a spec")


def _memory(setting: Setting, context: Context) -> Outcome:
    drawn = section(context, "trl")
    if not drawn.get("use_vllm") or drawn.get("vllm_mode") != "colocate":
        return Outcome("inert", why="of a server of its own")
    return Outcome("renamed", spec={f"{DRAWN}memory": setting.value})


def _added(setting: Setting, context: Context) -> Outcome:
    """How rewards become one; `rl: gdpo` with the sum is refused (utils/schemas/validation.py)."""
    if setting.value not in (APART, "sum_then_normalize"):
        return Outcome("unknown", why=f"{setting.value!r} is not in a spec")
    if context.get("rl") == "gdpo" and setting.value != APART:
        return Outcome("unknown", why="axolotl stops: that is GRPO, and rl says gdpo")
    return Outcome("renamed", spec={AGGREGATION: str(setting.value).replace("_", "-")})


def scales_apart(context: Context) -> bool:
    """Whether each reward is scaled by itself: said, or what `rl: gdpo` assumes (core/builders/rl.py)."""
    said_ = section(context, "trl").get("multi_objective_aggregation")
    return said_ == APART or (said_ is None and context.get("rl") == "gdpo")


def _scaled(setting: Setting, context: Context) -> Outcome:
    if scales_apart(context):
        return Outcome("inert", why="not read where each reward is scaled by itself")
    return _path(f"{OBJECTIVE}scale", SCALES)(setting, context)


_SAID: dict[str, Rule] = {
    "num_generations": _path(f"{DRAWN}completions"),
    "max_completion_length": _path(f"{DRAWN}max_length"),
    **{
        name: _path(DRAWN + name)
        for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
    },
    "num_iterations": _path(f"{OBJECTIVE}iterations"),
    "epsilon": _path(f"{OBJECTIVE}clip"),
    "epsilon_high": _path(f"{OBJECTIVE}clip_high"),
    "mask_truncated_completions": _path(f"{OBJECTIVE}mask_truncated"),
    "loss_type": _path(f"{OBJECTIVE}loss", LOSSES),
    "scale_rewards": of_grpo(_scaled),
    "importance_sampling_level": _path(
        f"{OBJECTIVE}importance", {"token": "token", "sequence": "sequence"}
    ),
    "use_vllm": of_grpo(_engine),
    "reward_funcs": of_grpo(_rewarded),
    "reward_funcs[]": of_grpo(_rewarded),
    "reward_weights": of_grpo(_rewarded),
    "reward_weights[]": of_grpo(_rewarded),
    "multi_objective_aggregation": of_grpo(_added),
    "use_liger_loss": _inert(KERNEL),
    **dict.fromkeys(("log_completions", "num_completions_to_print"), _inert(SHOWN)),
    **dict.fromkeys(
        (
            "vllm_mode",
            "vllm_server_host",
            "vllm_server_port",
            "vllm_server_timeout",
            "vllm_enable_sleep_mode",
        ),
        _inert(FAST),
    ),
}
_RULES: dict[str, Rule] = {
    **{f"trl.{name}": rule for name, rule in _SAID.items()},
    "vllm.gpu_memory_utilization": of_grpo(_memory),
    "vllm.dtype": of_grpo(_drawing_type),
    "vllm.serve_module": of_grpo(_server),
    **{
        f"vllm.{name}": _inert(FAST)
        for name in (
            *("host", "port", "tensor_parallel_size", "data_parallel_size", "max_model_len"),
            *("enforce_eager", "enable_prefix_caching"),
        )
    },
}
GRPO_RULES: dict[str, Rule] = {name: of_trl(name, rule) for name, rule in _RULES.items()}
