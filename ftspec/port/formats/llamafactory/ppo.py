"""LLaMA-Factory's stage `ppo`: what of it a spec has, and what is another PPO there.

0.9.5, train/ppo/trainer.py, which hands these to trl 0.9's PPOConfig and leaves the rest to its defaults
(trl 0.9.6, trainer/ppo_config.py); completions by hparams/generating_args.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule, inert, unknown, unless

OBJECTIVE = "method.objective."
NEARLY = (
    "its values come from a head on the model itself, not from a model of their own, and its weight of the "
    "divergence begins at 0.2 and adapts to ppo_target"
)
HEAD = (
    "its reward models keep a head of another form in a file of their own: the model that is named here has "
    "to be trained anew (spec.md#reward)"
)
OTHER_KIND = "LLaMA-Factory 0.9.5 knows reward models of the types lora, full and api"
GENERATED = "for generation, not for training"
GENERATION: Mapping[str, tuple[str, Any]] = {
    "max_new_tokens": ("max_length", 1024),
    "temperature": ("temperature", 0.95),
    "top_p": ("top_p", 0.7),
    "top_k": ("top_k", 50),
    "repetition_penalty": ("repetition_penalty", 1.0),
}
"""How completions are drawn, and what it takes where nothing is said."""


def is_ppo(context: Context) -> bool:
    """Whether the config is of this stage."""
    return bool(context.get("stage") == "ppo")


def drawn(context: Context) -> dict[str, Any]:
    """What its PPO takes where the config says nothing, and who rewards."""
    kept = {
        f"{OBJECTIVE}generation.{ours}": default
        for key, (ours, default) in GENERATION.items()
        if key not in context.document.data
    }
    kept |= {f"{OBJECTIVE}beta": 0.2, f"{OBJECTIVE}iterations": 4}
    if not _named(context):
        kept[f"{OBJECTIVE}rewards"] = ({"by": "model", "name": "TODO"},)
    return kept


def asked(context: Context) -> list[str]:
    """What a person has to answer before it can run."""
    rows = "PPO learns from prompts: which rows have a column `prompt`?"
    return [rows] if _named(context) else [rows, "which reward model? the source names no folder"]


def _named(context: Context) -> bool:
    kind = context.get("reward_model_type", "lora")
    return context.get("reward_model") is not None and not _no_model(kind)


def _no_model(kind: Any) -> str:
    """Why a `reward_model_type` is of no reward model that a spec names; empty where it is."""
    if kind == "api":
        return "scores from a server are not in a spec"
    return "" if kind in ("lora", "full") else OTHER_KIND


def ppo_rules() -> dict[str, Rule]:
    """The settings of the stage, which are idle in others."""
    return {
        "reward_model": _only(_rewarded),
        "reward_model_type": _only(_kind),
        "ppo_epochs": _only(_says("iterations")),
        "ppo_whiten_rewards": _only(_says("whiten_rewards")),
        "ppo_buffer_size": _only(
            unless((1,), "one mini-batch", unknown("a batch of several steps is not taken over"))
        ),
        "ppo_score_norm": _only(
            unless((False,), "no", unknown("scores that are brought to deviation 1 in a run"))
        ),
        "ppo_target": _only(unknown("the weight of the divergence does not adapt in a spec")),
        **{key: _generated(f"generation.{ours}") for key, (ours, _) in GENERATION.items()},
    }


def _only(rule: Rule) -> Rule:
    """A rule of this stage; the parser reads the key in others too, and nothing comes of it."""

    def of_stage(setting: Setting, context: Context) -> Outcome:
        if is_ppo(context):
            return rule(setting, context)
        return Outcome("inert", why="only the stage ppo reads it")

    return of_stage


def _says(name: str) -> Rule:
    return lambda setting, _context: Outcome("renamed", spec={OBJECTIVE + name: setting.value})


def _generated(name: str) -> Rule:
    """Of other stages nothing is drawn while they train."""
    says, idle = _says(name), inert(GENERATED)
    return lambda setting, context: (says if is_ppo(context) else idle)(setting, context)


def _kind(setting: Setting, _context: Context) -> Outcome:
    if why := _no_model(setting.value):
        return Outcome("unknown", why=why)
    return Outcome("derived", why="how reward_model is named", of=(f"{OBJECTIVE}rewards",))


def _rewarded(setting: Setting, context: Context) -> Outcome:
    kind = context.get("reward_model_type", "lora")
    if why := _no_model(kind):
        return Outcome("unknown", why=why)
    named = {"name": setting.value}
    if kind == "lora":
        named = {"name": context.get("model_name_or_path"), "adapter": setting.value}
    return Outcome(
        "approximated", spec={f"{OBJECTIVE}rewards": ({"by": "model", **named},)}, why=HEAD
    )
