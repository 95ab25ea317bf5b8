"""The chat template that a script's trainer writes rows with, and the values that it gives it.

trl 1.15 and 1.16, trainer/sft_trainer.py: `chat_template_path`, and a column `chat_template_kwargs`. Trainers
of preferences have no such argument, and write rows with whatever template the tokenizer has.
"""

from __future__ import annotations

from typing import Any

from ftspec.data.named_text import named_template
from ftspec.mapping import MISSING, Refuse, Row
from ftspec.spec.chat_templates import NAMED, THINKING

OPTIONS = "data.template_options"
"""Native pseudo-key: values that the chat template is given."""
TEMPLATE = "data.template"
"""Native pseudo-key: a file whose template a script gives its tokenizer, for trainers that take none."""
NAMED_FILE = ".chat_template.jinja"
"""How the file of a named template ends, beside the script."""
LAST = ".last"
"""What stands before that where the last answer alone trains, in the file of a template with thoughts."""


def template_rows(prefix: str) -> tuple[Row, ...]:
    """Which template, and what it is told beside the conversation."""
    return (
        Row(
            ("model.chat_template",),
            (f"{prefix}chat_template_path",),
            _lower_template,
            _lift_template,
            uses=("data.train_on",),
            absent=(None,),
        ),
        Row(
            ("model.template_options",),
            (OPTIONS,),
            lower_options,
            lambda options: dict(options or {}),
            uses=("data.prepare", "method.objective.type", "data.overflow"),
            absent=(None,),
        ),
    )


def given_template() -> Row:
    """The template of a script whose trainer has no argument for one, where the last answer alone trains."""

    def lower(template: str) -> Any:
        return _lower_template(template, "completions")

    return Row(("model.chat_template",), (TEMPLATE,), lower, _lift_template, absent=(None,))


def lower_options(
    options: dict[str, Any], who: str, objective: str, overflow: str | None = None
) -> Any:
    """The values where the framework's own path renders; prepared rows were rendered with them."""
    if not options:
        return MISSING
    if objective == "cpt":
        raise Refuse("plain text is not written by a chat template", "never")
    if objective != "sft":
        raise Refuse(
            "values for the chat template were not seen to reach rows that are compared or scored",
            "notimpl",
            "leave model.template_options out",
        )
    if who == "ftspec":
        return MISSING
    if overflow == "drop":
        raise Refuse("rows are measured without them", "notimpl", "data.prepare: ftspec")
    return options


def _lower_template(template: str, train_on: str) -> Any:
    if template == "tokenizer":
        return MISSING
    if template not in NAMED:
        return template
    last = LAST if template in THINKING and train_on == "completions" else ""
    return f"{template}{last}{NAMED_FILE}"


def _lift_template(path: str | None) -> str:
    name = named_in(path)
    return name.removesuffix(LAST) if name else path or "tokenizer"


def named_in(path: str | None) -> str:
    """The name that a file beside a script is written for; empty for any other file."""
    name = (path or "").removesuffix(NAMED_FILE)
    written = path is not None and path.endswith(NAMED_FILE)
    return name if written and name.removesuffix(LAST) in NAMED else ""


def template_text(name: str) -> str:
    """The text of that file."""
    return named_template(name.removesuffix(LAST), last=name.endswith(LAST))
