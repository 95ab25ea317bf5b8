"""axolotl's settings of preferences: what its builder hands to trl (core/builders/rl.py of 0.19.0).

Some keys are only warned about (utils/schemas/deprecated.py) and read by nothing.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.entries import objective
from ftspec.port.formats.axolotl.words import KERNEL, off_or, said
from ftspec.port.formats.smoothing import unsmoothed
from ftspec.port.rules import Context, Outcome, Rule, inert, section, unknown

OBJECTIVE = "method.objective."
COMPARED = ("dpo", "kto", "orpo", "simpo")
UNREAD = "axolotl 0.19.0 reads it nowhere: what trl assumes holds"
CUT_ONCE = "axolotl 0.19.0 reads it nowhere; 0.8.0 cut longer prompts of these objectives to so many tokens"
STOPS = "axolotl 0.19.0 stops at it, and what it meant in older releases is not in a spec"
NOT_OF_IT = "`rl` names an objective that has no such setting: nothing reads it"


def _prompts(_setting: Setting, context: Context) -> Outcome:
    once = context.get("rl") in ("orpo", "kto")  # core/trainer_builder.py of 0.8.0
    return Outcome("inert", why=CUT_ONCE if once else UNREAD, loud=once)


def _of(*objectives: str, rule: Rule) -> Rule:
    """Read for these objectives alone."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if objective(context) not in objectives:
            return Outcome("inert", why=NOT_OF_IT)
        return rule(setting, context)

    return said(chosen)


def _path(name: str) -> Rule:
    return lambda setting, _context: Outcome("renamed", spec={OBJECTIVE + name: setting.value})


def _key(name: str) -> Rule:
    return lambda setting, _context: Outcome("renamed", {name: setting.value})


def _beta(setting: Setting, context: Context) -> Outcome:
    """The first of these that is said: of DPO's old name nought counts as not said (check_rl_beta)."""
    said_first = (
        ("trl.beta", section(context, "trl").get("beta")),
        ("rl_beta", context.get("rl_beta")),
        ("dpo_beta", context.get("dpo_beta") or None),
        ("orpo_alpha", context.get("orpo_alpha")),
    )
    first = next((name for name, value in said_first if value is not None), "")
    if first != setting.key:
        return Outcome("inert", why=f"{first or 'nothing'} holds")
    return Outcome("renamed", spec={f"{OBJECTIVE}beta": setting.value}, why="trl's beta")


def _slip(_setting: Setting, context: Context) -> Outcome:
    """No release reads it but to forbid it beside `trl.beta` (utils/schemas/config.py)."""
    meant = (
        "did you mean `rl_beta`? What trl assumes holds" if context.get("rl") else "nothing has one"
    )
    return Outcome("inert", why=f"axolotl ignores it: {meant}", loud=True)


def _of_dpo_itself(rule: Rule) -> Rule:
    """Not of `rl: ipo`, which has a loss of its own."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if context.get("rl") != "dpo":
            return Outcome("inert", why=NOT_OF_IT)
        return rule(setting, context)

    return said(chosen)


def _losses(setting: Setting, _context: Context) -> Outcome:
    names = setting.value if isinstance(setting.value, list) else [setting.value]
    return Outcome("renamed", {"DPOConfig.loss_type": names})


def _smoothing(setting: Setting, context: Context) -> Outcome:
    """trl's loss `sigmoid`, which holds where none is named, does not read it."""
    losses = context.get("dpo_loss_type") or ["sigmoid"]
    if setting.value and losses[:1] == ["sigmoid"]:
        return unsmoothed("its trl (1.9)")
    return Outcome("renamed", {"DPOConfig.label_smoothing": setting.value})


def _weight(name: str) -> Rule:
    """Nought is what a missing one is: `kto_desirable_weight or 1.0`."""

    def rule(setting: Setting, _context: Context) -> Outcome:
        why = "" if setting.value else "axolotl takes 1 in the place of 0"
        return Outcome("renamed", spec={OBJECTIVE + name: setting.value or 1.0}, why=why)

    return _of("kto", rule=rule)


def defaults(context: Context) -> tuple[dict[str, Any], list[str]]:
    """What trl 1.9 assumes where axolotl hands nothing over, and what is left open."""
    word = objective(context)
    if word == "dpo" and context.get("dpo_loss_type") is None and context.get("rl") != "ipo":
        return {f"{OBJECTIVE}loss": "sigmoid"}, []
    if word == "simpo" and context.get("simpo_gamma") is None:
        return {}, [
            "simpo_gamma is missing: axolotl hands trl a null, which it cannot calculate with"
        ]
    return {}, []


PREFERENCE_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("trl.beta", "rl_beta", "dpo_beta", "orpo_alpha"),
        _of(*COMPARED, "grpo", "ebft", rule=_beta),
    ),
    "beta": said(_slip),
    "dpo_label_smoothing": _of_dpo_itself(_smoothing),
    "dpo_loss_type": _of_dpo_itself(_losses),
    "dpo_loss_type[]": _of_dpo_itself(_losses),
    "dpo_loss_weights": _of_dpo_itself(_key("DPOConfig.loss_weights")),
    "dpo_use_weighting": _of(
        "dpo", rule=off_or(unknown("weights of pairs by their likelihood are not in a spec"))
    ),
    "precompute_ref_log_probs": _of("dpo", rule=_path("precompute_reference")),
    "kto_desirable_weight": _weight("desirable_weight"),
    "kto_undesirable_weight": _weight("undesirable_weight"),
    "simpo_gamma": _of("simpo", rule=_path("gamma")),
    "cpo_alpha": _of("simpo", rule=_path("sft_weight")),
    **dict.fromkeys(("dpo_padding_free", "dpo_use_liger_kernel"), said(inert(KERNEL))),
    **dict.fromkeys(
        (*("dpo_use_logits_to_keep", "dpo_generate_during_eval"),),
        said(inert("how fast, or what is shown; axolotl 0.19.0 stops at it")),
    ),
    **dict.fromkeys(("dpo_norm_loss", "rpo_alpha"), said(unknown(STOPS))),
    "max_prompt_len": said(_prompts),
    "process_reward_model": off_or(unknown("a model that scores steps is not in a spec")),
}
