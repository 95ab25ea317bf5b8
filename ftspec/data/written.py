"""Rows that a spec's own texts write: `data.train.template`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ftspec.data.conversation import chat
from ftspec.data.example import Example
from ftspec.data.template import bounded
from ftspec.errors import DataError, Problem
from ftspec.spec.data import Written

if TYPE_CHECKING:
    import jinja2

ROLES = ("system", "user", "assistant")
"""Turns that a template may have, in their order."""


def written(template: Written, values: Mapping[str, Any]) -> Example:
    """A row as prompt and completion, as a conversation, or as one text.

    Raises:
        DataError: a text is not valid Jinja, or fails over this row; what is learned is empty.
    """
    texts = {
        name: _render(text, name, values)
        for name in type(template).model_fields
        if (text := getattr(template, name)) is not None
    }
    if template.talks:
        return chat([{"role": role, "content": texts[role]} for role in ROLES if role in texts])
    learned = texts.get("text", texts.get("completion", ""))
    if not learned.strip():
        raise DataError(Problem(f"the {'text' if 'text' in texts else 'completion'} is empty"))
    if template.text is not None:
        return Example("text", completion=learned)
    return Example("prompt-completion", prompt=texts["prompt"], completion=learned, apart=True)


def _render(text: str, name: str, values: Mapping[str, Any]) -> str:
    compiled = _compiled(text, name)
    try:
        printed = "".join(bounded(compiled.generate(values)))
        printed.encode()
    except Exception as error:  # a template is foreign code and raises what it likes
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(Problem(f"the template of the {name} fails: {reason}")) from None
    return printed


@cache
def _compiled(text: str, name: str) -> jinja2.Template:
    import jinja2  # noqa: PLC0415 -- most commands render nothing

    from ftspec.data.sandbox import writing  # noqa: PLC0415

    try:
        return writing().from_string(text)
    except (jinja2.TemplateError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 0
        message = f"the template of the {name} is not valid Jinja, in its line {line}: {error}"
        raise DataError(Problem(message, path=f"data.train.template.{name}")) from None
