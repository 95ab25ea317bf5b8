"""How long a prompt may be: `max_prompt_length`, which trl 1.16 has not.

A config that has it is read as the last release read it that had it for its trainer: trl 0.28 for DPO
(trainer/dpo_trainer.py, tokenize_row and concatenated_forward), trl 0.27 for CPO and ORPO
(experimental/cpo/cpo_trainer.py, tokenize_row); SimPO's own trainer does as these.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.trl.trainers import FREE, config_class, trainer
from ftspec.port.rules import Context, Outcome, Rule
from ftspec.spec.online import ONLINE

ALWAYS = (
    "as trl 0.28 cut, the last release that had it for DPO: each longer prompt loses its beginning, then a "
    "row that is too long what truncation_mode says; trl 0.11 cut prompts of such rows only"
)
OVERLONG = (
    "as trl 0.27 cut, the last release that had it for CPO and ORPO, and SimPO's own trainer: of a row that "
    "is too long the prompt loses its beginning, and then the answers their end"
)
OTHERWISE = (
    "of a row that is too long, a longer prompt loses its beginning there; here it loses its end beyond "
    "max_length"
)


def _longest(setting: Setting, context: Context) -> Outcome:
    """What online trainers read is prompts alone."""
    if setting.value is None:
        return Outcome("inert", why="nothing is cut")
    word = trainer(context)[0]
    if word in ONLINE:
        return Outcome(
            "approximated",
            spec={"data.max_length": setting.value, "data.overflow": "drop"},
            why="a longer prompt loses its beginning there; here it is left out",
        )
    length = context.get("max_length", context.assumed(f"{config_class(context)}.max_length"))
    if isinstance(length, int) and isinstance(setting.value, int) and setting.value >= length:
        return Outcome("unknown", why=f"it leaves no room for an answer within {length} tokens")
    spec: dict[str, Any] = {"data.max_prompt_length": setting.value}
    if word == "dpo":
        return Outcome("renamed", spec=spec, why=ALWAYS)
    if word in FREE:
        return Outcome("renamed", spec={**spec, "data.prompt_cut": "overlong"}, why=OVERLONG)
    return Outcome("approximated", why=OTHERWISE)


def _mode(otherwise: Rule) -> Rule:
    """Of CPO and ORPO, which end of a prompt is taken off."""

    def rule(setting: Setting, context: Context) -> Outcome:
        if trainer(context)[0] not in FREE:
            return otherwise(setting, context)
        if setting.value in (None, "keep_end"):
            return Outcome("derived", why=OVERLONG, of=("data.prompt_cut",))
        return Outcome("unknown", why="a prompt that loses its end is not in a spec")

    return rule


def _answers(otherwise: Rule) -> Rule:
    """A limit of answers, where they are not drawn: of DPO up to trl 0.28, of others for an encoder."""

    def rule(setting: Setting, context: Context) -> Outcome:
        word = trainer(context)[0]
        if word in (*FREE, "kto"):
            return Outcome("inert", why="only a model with an encoder has a limit for its answers")
        if word == "dpo" and setting.value is None:
            return Outcome("inert", why="nothing is cut")
        if word == "dpo":
            return Outcome("unknown", why="a limit for answers of their own is not in a spec")
        return otherwise(setting, context)

    return rule


def assumed(context: Context) -> dict[str, Any]:
    """What the older release assumes where the file says nothing."""
    cut = context.get("max_prompt_length") is not None and trainer(context)[0] == "dpo"
    return {"DPOConfig.truncation_mode": "keep_end"} if cut else {}


def missing(context: Context) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a release that has the setting means by its absence, and how near that is."""
    length = context.assumed(f"{config_class(context)}.max_prompt_length")
    if length is None or "max_prompt_length" in context.document.data:
        return {}, ()
    place = Setting("max_prompt_length", length, str(context.document.path), 0)
    found, title = _longest(place, context), context.table.title if context.table else "trl"
    return dict(found.spec), (
        f"max_prompt_length is missing, and {title} takes {length}: {found.why}",
    )


def prompt_rules(otherwise: Rule) -> dict[str, Rule]:
    """Rules of the keys that say what is cut."""
    return {
        "max_prompt_length": _longest,
        "max_completion_length": _answers(otherwise),
        "truncation_mode": _mode(otherwise),
    }
