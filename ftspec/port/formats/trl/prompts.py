"""How long a prompt may be: `max_prompt_length`, which trl 1.16 has not.

A config that has it is read as the last release read it that had it for its trainer: trl 0.28 for DPO
(trainer/dpo_trainer.py, tokenize_row and concatenated_forward), unless it shows that it is older, and trl
0.27 for CPO and ORPO (experimental/cpo/cpo_trainer.py, tokenize_row); SimPO's own trainer does as these.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Kind, Setting
from ftspec.port.formats.deepspeed.precision import PLAIN_CLASSES
from ftspec.port.formats.trl.aged import aged
from ftspec.port.formats.trl.plain import CONFIG
from ftspec.port.formats.trl.trainers import FREE, config_class, trainer
from ftspec.port.rules import Context, Outcome, Rule, section
from ftspec.port.scripts.names import UNTIL
from ftspec.spec.online import ONLINE

LAST = 10_000
ALL, LONG = "always", "overlong"
"""Which prompts lose their beginning, in a spec's words: longer ones, or of rows that are too long."""
BOTH = 12
"""The last release whose DPOTrainer took its settings as arguments of its own; 0.12 cut prompts otherwise."""
RENAMED = 15
"""The last one that took `tokenizer`; `processing_class` came with 0.12."""

ALWAYS = (
    "as trl 0.28 cut, the last release that had it for DPO: each longer prompt loses its beginning, then a "
    "row that is too long what truncation_mode says; trl 0.11 cut prompts of such rows only"
)
ONCE = (
    "as trl up to 0.11 cut: of a row that is too long the prompt loses its beginning, and then the answers "
    "their end"
)
ONCE_OR = f"{ONCE}; trl 0.12, which could take it so as well, cut each longer prompt"
LATELY = (
    "each longer prompt loses its beginning, as from trl 0.12 on; trl up to 0.11, which it may have been, "
    "cut prompts of rows that are too long alone"
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
    once = aged(context)[0].get(f"{CONFIG}max_length")
    once = once or context.assumed(f"{config_class(context)}.max_length")
    length = context.get("max_length", once)
    if isinstance(length, int) and isinstance(setting.value, int) and setting.value >= length:
        return Outcome("unknown", why=f"it leaves no room for an answer within {length} tokens")
    spec: dict[str, Any] = {"data.max_prompt_length": setting.value}
    if word == "dpo":
        kind, cut, why = _of_dpo(context)
        said = {} if cut == ALL else {"data.prompt_cut": cut}
        return Outcome(kind, spec={**spec, **said}, why=why)
    if word in FREE:
        return Outcome("renamed", spec={**spec, "data.prompt_cut": LONG}, why=OVERLONG)
    return Outcome("approximated", why=OTHERWISE)


def _of_dpo(context: Context) -> tuple[Kind, str, str]:
    """How sure it is which release's way it is, that way, and why.

    dpo_trainer.py, _truncate_tokens and tokenize_row.
    """
    until = section(context, UNTIL).get("release", LAST)
    if context.get("dataset_mixer") or context.get("config_class") in PLAIN_CLASSES:
        return "renamed", LONG, ONCE  # the handbook's first version, or before DPOConfig
    if until <= BOTH:
        return "approximated", LONG, ONCE_OR
    if until <= RENAMED:
        return "approximated", ALL, LATELY
    return "renamed", ALL, ALWAYS


def _cuts_answers(context: Context) -> bool:
    """Whether what is too long behind the prompt is cut off the answers, whatever side a row has."""
    word = trainer(context)[0]
    if word == "dpo" and context.get("max_prompt_length") is not None:
        return _of_dpo(context)[1] == LONG
    return word in FREE


def _mode(otherwise: Rule) -> Rule:
    """Of CPO and ORPO, which end of a prompt is taken off."""

    def rule(setting: Setting, context: Context) -> Outcome:
        if not _cuts_answers(context):
            return otherwise(setting, context)
        if setting.value in (None, "keep_end"):
            why = OVERLONG if trainer(context)[0] in FREE else ONCE
            return Outcome("derived", why=why, of=("data.prompt_cut",))
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
    cut = cut and not _cuts_answers(context)
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
