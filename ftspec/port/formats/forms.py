"""Conversations as a format's own framework writes them, and the chat template that writes the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ftspec.families.rows.instructions import RESERVED

ROLES = ("system", "user", "assistant")


class Form(NamedTuple):
    """How a tokenizer, or a template of its framework, writes a conversation."""

    turns: Mapping[str, tuple[str, str]]
    """By role, what stands before and behind what is said."""
    ends: str = ""
    """What stands behind the last answer, where that is not what stands behind others."""
    clean: str = ""
    """What becomes of what is said, in Jinja."""
    opens: Literal["once", "turn", ""] = "once"
    """Where the token stands that begins a text: before all, before each question, or nowhere."""
    eos: str | None = None
    """The token that ends an answer, where it may be another than the tokenizer's own."""
    text_eos: str | None = None
    """The one that ends a plain text."""
    cut: Literal["masked", "plain", "trained"] = "trained"
    """What the last token of a longer row becomes: an end that trains not, itself, or one that does."""
    ends_masked: bool = False
    """Whether the end of the last answer does not train where there is a limit of the length."""
    odd: str = ""
    """What differs of a question and an answer that a template writes."""
    odd_chat: str = ""
    """What differs of a conversation that a chat template writes."""


def text(words: str) -> str:
    """Plain text as a piece of Jinja."""
    return f"{{{{ {words!r} }}}}" if words else ""


def alike(before: str, after: str) -> dict[str, tuple[str, str]]:
    """The same around what each role says, whose name stands in ``before`` as `{}`."""
    return {role: (before.format(role), after) for role in ROLES}


def chat(form: Form, limited: bool = False, opened: bool = True) -> str:
    """The chat template that writes it.

    ``limited``: whether rows have a longest length; ``opened``: whether what opens an answer trains with it.
    """
    ends = "" if limited and form.ends_masked else form.ends
    said = f"{{{{- message['content']{form.clean} -}}}}"
    begins = "{{- bos_token -}}" if form.opens == "once" else ""
    lines = [begins, "{%- for message in messages -%}"]
    if form.opens == "turn":
        lines.append(
            "{%- if loop.first or loop.previtem['role'] == 'assistant' -%}{{- bos_token -}}{%- endif -%}"
        )
    for number, (role, (before, after)) in enumerate(form.turns.items()):
        word = "elif" if number else "if"
        lines.append(f"{{%- {word} message['role'] == '{role}' -%}}")
        if role == "assistant":
            behind = _either(after, ends)
            mark = "{%- generation -%}"
            start = f"{mark}{text(before)}" if opened else f"{text(before)}{mark}"
            lines.append(f"{start}{said}{behind}{{%- endgeneration -%}}")
        else:
            lines.append(f"{text(before)}{said}{text(after)}")
    opening = form.turns["assistant"][0]
    lines += [
        "{%- else -%}",
        "{{- raise_exception('a role that this template has not: ' ~ message['role']) -}}",
        "{%- endif -%}",
        "{%- endfor -%}",
        f"{{%- if add_generation_prompt -%}}{text(opening)}{{%- endif -%}}" if opening else "",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _either(after: str, ends: str) -> str:
    if after == ends:
        return text(after)
    return f"{{%- if loop.last -%}}{text(ends)}{{%- else -%}}{text(after)}{{%- endif -%}}"


def is_column(name: object) -> bool:
    """Whether a text of a template can say a column's name: it means nothing else in Jinja."""
    if not isinstance(name, str) or name in RESERVED:
        return False
    return re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is not None
