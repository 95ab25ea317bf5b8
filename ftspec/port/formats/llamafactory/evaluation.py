"""On which rows LLaMA-Factory evaluates, and whether it does (data/loader.py, hparams/parser.py of 0.9.5)."""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.hf_arguments import plain, training_rules
from ftspec.port.rules import Context, Outcome, Rule

PLAIN = plain()
STRATEGY = training_rules()["eval_strategy"]
UNASKED = "no evaluation is asked for while it trains"
ASKED = (
    "it holds rows out though it evaluates on none while it trains; here what is held out is evaluated on "
    "after each epoch, and no weight learns from that"
)
UNQUOTED = (
    'YAML reads {0} where `no` or `yes` stand without quotes, and it stops: `"no"` is the word'
)


def evaluation_rules(named: Rule) -> dict[str, Rule]:
    """The rules of these keys. ``named``: that of the names of data sets."""

    def other_rows(setting: Setting, context: Context) -> Outcome:
        if not _evaluates(context):
            return Outcome("inert", why=UNASKED)
        return named(setting, context)

    return {
        "eval_dataset": other_rows,
        "val_size": _held_out,
        **dict.fromkeys(("eval_strategy", "evaluation_strategy"), _worded(_strategy)),
        **dict.fromkeys(("save_strategy", "logging_strategy"), _worded(PLAIN)),
    }


def _worded(rule: Rule) -> Rule:
    """A rule of a strategy, which is a word: `no` without quotes is none to YAML."""

    def checked(setting: Setting, context: Context) -> Outcome:
        if isinstance(setting.value, bool):
            return Outcome("unknown", why=UNQUOTED.format(str(setting.value).lower()))
        return rule(setting, context)

    return checked


def _evaluates(context: Context) -> bool:
    strategy = context.get("eval_strategy", context.get("evaluation_strategy"))
    return strategy not in (None, False, "no")


def _held_out(setting: Setting, context: Context) -> Outcome:
    if setting.value == 1:
        return Outcome("unknown", why="1 is all of the rows there, and it stops")
    if setting.value and context.get("eval_dataset"):
        return Outcome("unknown", why="it takes eval_dataset or val_size, not both, and stops")
    if setting.value and not _evaluates(context):
        return PLAIN(setting, context)._replace(kind="derived", why=ASKED, loud=True)
    return PLAIN(setting, context)


def _strategy(setting: Setting, context: Context) -> Outcome:
    if setting.value == "no" and context.get("val_size"):
        return Outcome("inert", why=ASKED)
    return STRATEGY(setting, context)
