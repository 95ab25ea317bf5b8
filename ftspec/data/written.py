"""Rows that a spec's own texts write: `data.train.template`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
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
JUDGED = ("True", "False")
"""What a label prints, of a good answer and of any other."""


def try_out(template: Written, values: Mapping[str, Any]) -> None:
    """See that the texts fit the first row of a file: where they do not, every row would say so.

    Raises:
        DataError: a text fails over it; a text names a column in single braces, and prints that name.
    """
    problems = []
    for name, text in _texts(template).items():
        try:
            _render(text, name, values)
        except DataError as error:
            hint = f"the first row has {', '.join(map(str, values)) or 'no columns'}"
            problems += [replace(problem, hint=hint) for problem in error.problems]
        problems += [
            Problem(
                f"the template of the {name} prints {word} as it stands, not the column",
                hint=f"write {{{word}}}; for the braces themselves {{{{ {word!r} }}}}",
            )
            for word in _in_single_braces(text, values)
        ]
    if problems:
        raise DataError(problems)


def written(template: Written, values: Mapping[str, Any]) -> Example:
    """A row as prompt and completion, as a pair, as a conversation, or as one text.

    Raises:
        DataError: a text fails over this row; what is learned is empty.
    """
    texts = {name: _render(text, name, values) for name, text in _texts(template).items()}
    if template.rejected is not None and template.talks:
        chosen, rejected = (
            _talk(texts | {"assistant": texts[name]}, f"{name} answer")
            for name in ("chosen", "rejected")
        )
        return replace(chosen, rejected=rejected)
    if template.talks:
        return chat([{"role": role, "content": texts[role]} for role in ROLES if role in texts])
    for name in ("text", "completion", "chosen", "rejected"):
        if not texts.get(name, name).strip():
            what = f"{name} answer" if template.rejected is not None else name
            raise DataError(Problem(f"the {what} is empty"))
    if template.text is not None:
        return Example("text", completion=texts["text"])
    prompt = texts["prompt"]
    if template.rejected is not None:
        chosen, rejected = (
            Example("prompt-completion", prompt=prompt, completion=texts[name])
            for name in ("chosen", "rejected")
        )
        return replace(chosen, rejected=rejected)
    answered = Example("prompt-completion", prompt=prompt, completion=texts["completion"])
    if template.label is None:
        return replace(answered, apart=True)
    if texts["label"] not in JUDGED:
        raise DataError(Problem(f"the label is {texts['label']!r}, True or False is expected"))
    return replace(answered, label=texts["label"] == JUDGED[0])


def _talk(texts: Mapping[str, str], what: str) -> Example:
    if not texts["assistant"].strip():
        raise DataError(Problem(f"the {what} is empty"))
    turns = [{"role": role, "content": texts[role]} for role in ROLES if role in texts]
    return chat(turns, given=len(turns) - 1)


def _texts(template: Written) -> dict[str, str]:
    fields = {name: getattr(template, name) for name in type(template).model_fields}
    return {name: text for name, text in fields.items() if text is not None}


def _in_single_braces(text: str, columns: Collection[str]) -> list[str]:
    """Columns that are written `{column}`, as Python's formats have them, outside of what Jinja reads."""
    import jinja2  # noqa: PLC0415

    from ftspec.data.sandbox import writing  # noqa: PLC0415

    plain = "\0".join(
        part.data for part in writing().parse(text).find_all(jinja2.nodes.TemplateData)
    )
    named = re.findall(r"(?<!\{)\{(\w+)\}(?!\})", plain)
    return [f"{{{word}}}" for word in dict.fromkeys(named) if word in columns]


def _render(text: str, name: str, values: Mapping[str, Any]) -> str:
    try:
        printed = "".join(bounded(_compiled(text).generate(values)))
        printed.encode()
    except Exception as error:  # a template is foreign code and raises what it likes
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(Problem(f"the template of the {name} fails: {reason}")) from None
    return printed


@cache
def _compiled(text: str) -> jinja2.Template:
    from ftspec.data.sandbox import writing  # noqa: PLC0415 -- most commands render nothing

    return writing().from_string(text)
