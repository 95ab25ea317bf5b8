"""The chat template that a script's trainer writes rows with, and the values that it gives it.

trl 1.15 and 1.16, trainer/sft_trainer.py: `chat_template_path`, and a column `chat_template_kwargs`.
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import MISSING, Refuse, Row
from ftspec.spec.model import NAMED

OPTIONS = "data.template_options"
"""Native pseudo-key: values that the chat template is given."""
NAMED_FILE = ".chat_template.jinja"
"""How the file of a named template ends, beside the script."""


def template_rows(prefix: str) -> tuple[Row, ...]:
    """Which template, and what it is told beside the conversation."""
    return (
        Row(
            ("model.chat_template",),
            (f"{prefix}chat_template_path",),
            _lower_template,
            _lift_template,
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


def _lower_template(template: str) -> Any:
    if template == "tokenizer":
        return MISSING
    return f"{template}{NAMED_FILE}" if template in NAMED else template


def _lift_template(path: str | None) -> str:
    name = (path or "tokenizer").removesuffix(NAMED_FILE)
    return name if name in NAMED else path or "tokenizer"
