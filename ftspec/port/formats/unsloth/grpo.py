"""What Unsloth's config classes make of GRPO's and RLOO's arguments: models/rl.py of 2026.10.9.

A batch that holds no whole groups becomes one of a group, and a loss that is named brings settings of its
paper with it. What a script says beside them stays.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats import trl
from ftspec.port.formats.trl.plain import CONFIG, plain
from ftspec.port.formats.trl.trainers import config_class, trainer
from ftspec.port.rules import Context, Outcome, Rule, inert, section

COMPLETIONS = 8
"""What both classes assume for `num_generations`."""
MICRO, ACCUMULATED = 4, 2
"""What they assume for the batch of one device, and for how many of them make a step."""
WITHOUT_KL = ("dapo", "dr_grpo")
"""Losses beside which a missing `beta` is 0; beside any other one that is named it is 0.001."""
GROUPS = "the batch holds no whole groups, so that Unsloth takes one of num_generations"
UNSCALED = "beside dr_grpo Unsloth divides by no deviation, unless it is given None"
SAMPLED = ("top_p", "top_k", "min_p", "repetition_penalty")
"""What trl's class has of vLLM's SamplingParams, which holds before trl's own."""
KEPT = ("seed", "n", "temperature", "max_tokens", "logprobs")
"""What Unsloth does not take over from them: models/rl_replacements.py, grpo_update_SamplingParams."""
NOT_VLLM = "vLLM does not draw: fast_inference is off"
PARAMS = "vllm_sampling_params"


def in_groups(context: Context) -> bool:
    """Whether completions are drawn in groups."""
    return trainer(context)[0] in ("grpo", "rloo")


def micro_batch(context: Context) -> int | None:
    """The batch of one device that Unsloth takes in the place of the one that is said; None if it stays."""
    drawn = (context.get("steps_per_generation"), context.get("generation_batch_size"))
    if not in_groups(context) or drawn != (None, None):
        return None
    count = context.get("num_generations", COMPLETIONS)
    micro = context.get("per_device_train_batch_size", MICRO)
    steps = context.get("gradient_accumulation_steps", ACCUMULATED)
    if not all(type(one) is int and one > 0 for one in (count, micro, steps)):
        return None
    return count if micro * steps * context.devices * context.nodes % count else None


def assumed(context: Context) -> dict[str, Any]:
    """What its classes assume otherwise than trl's."""
    if not in_groups(context):
        return {}
    config = config_class(context)
    native: dict[str, Any] = {}
    if context.get("num_generations") is None:
        native[f"{config}.num_generations"] = COMPLETIONS
    if (micro := micro_batch(context)) is not None:
        native[f"{CONFIG}per_device_train_batch_size"] = micro
    loss = str(context.get("loss_type") or "").lower()
    if config != "GRPOConfig" or not loss:
        return native
    own: dict[str, Any] = {"beta": 0.0 if loss in WITHOUT_KL else 0.001}
    if loss == "dapo":
        own |= {"mask_truncated_completions": True, "epsilon_high": 0.28}
    if loss == "cispo":
        own["epsilon_high"] = 5.0
    native |= {f"{config}.{key}": value for key, value in own.items() if context.get(key) is None}
    if loss == "dr_grpo" and "scale_rewards" not in context.document.data:
        native[f"{config}.scale_rewards"] = "none"
    return native


def _of_trl(setting: Setting, context: Context) -> Outcome:
    return trl.format.rules.get(setting.key, plain)(setting, context)


def _batch(setting: Setting, context: Context) -> Outcome:
    if (whole := micro_batch(context)) is None:
        return _of_trl(setting, context)
    return Outcome("derived", {f"{CONFIG}{setting.key}": whole}, why=GROUPS)


def _loss(setting: Setting, context: Context) -> Outcome:
    """Its case does not matter there, of these."""
    word = str(setting.value)
    if config_class(context) == "GRPOConfig" and word.lower() in (*WITHOUT_KL, "cispo"):
        return Outcome("exact", {"GRPOConfig.loss_type": word.lower()})
    return _of_trl(setting, context)


def _scale(setting: Setting, context: Context) -> Outcome:
    if str(context.get("loss_type")).lower() != "dr_grpo":
        return _of_trl(setting, context)
    if setting.value is None:
        return Outcome("derived", {"GRPOConfig.scale_rewards": "group"}, why=UNSCALED)
    if setting.value in (True, "group"):
        return Outcome("derived", {"GRPOConfig.scale_rewards": "none"}, why=UNSCALED)
    return _of_trl(setting, context)


def _sampled(setting: Setting, context: Context) -> Outcome:
    """An argument of vLLM's SamplingParams, as Unsloth hands it on."""
    name = setting.key.rpartition(".")[2]
    if not section(context, "from_pretrained").get("fast_inference"):
        return Outcome("inert", why=NOT_VLLM)
    if name in KEPT:
        return Outcome("inert", why="Unsloth takes it from the trainer's own arguments")
    if name == "include_stop_str_in_output":
        return Outcome(
            "inert", why="of a completion that ends by the end of text nothing is left off"
        )
    if name not in SAMPLED:
        return Outcome("unknown", why="vLLM's further settings are not in a spec")
    value = 0 if name == "top_k" and setting.value == -1 else setting.value
    return Outcome("renamed", {f"{config_class(context)}.{name}": value})


def _own(setting: Setting, context: Context) -> Outcome:
    """An argument of trl's class that vLLM's SamplingParams may take the place of."""
    drawn = section(context, "from_pretrained").get("fast_inference")
    if drawn and setting.key in section(context, PARAMS):
        return Outcome("inert", why=f"{PARAMS} holds")
    return _of_trl(setting, context)


GROUP_RULES: dict[str, Rule] = {
    "per_device_train_batch_size": _batch,
    "loss_type": _loss,
    "scale_rewards": _scale,
    **dict.fromkeys(SAMPLED, _own),
    PARAMS: inert("all of it is vLLM's default"),
    f"{PARAMS}.": _sampled,
    **dict.fromkeys(
        ("unsloth_num_chunks", "unsloth_logit_chunk_multiplier", "unsloth_grpo_mini_batch"),
        inert("in how many parts a batch goes through the model: memory, not what is trained"),
    ),
}
