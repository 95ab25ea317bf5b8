"""A chat template as LLaMA-Factory reads it where none of its own is named: taken apart into slots.

llamafactory 0.9.5, data/template.py, parse_template. It renders a few conversations whose contents are
the hole itself, and cuts slots out of the results by length; whether the slots put together again say
the same as the template is not looked at, and depends on the template.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ftspec.data.example import Message
from ftspec.data.named import HOLE
from ftspec.data.template import Template
from ftspec.data.thinking import CLOSED, OPENED
from ftspec.data.tokenizer import Tokens
from ftspec.errors import DataError, Problem


@dataclass(frozen=True)
class Slots:
    """Text around the content of each role."""

    prefix: str
    system: str
    user: str
    """With the opening of the answer behind it."""
    assistant: str
    default_system: str
    """What stands in for a missing system prompt."""
    thought_words: tuple[str, ...] = ()
    """Around thoughts, where an answer without one gets an empty one."""
    system_in_user: bool = False
    """Whether the system prompt stands inside the first user turn."""


def slots(tokens: Tokens, template: Template) -> Slots:
    """The slots of a template. Raises DataError where LLaMA-Factory would stop."""
    template = replace(template, options={})  # it gives a template no values
    prefix = tokens.tokenizer.decode(tokens.ids("", special=True), skip_special_tokens=False)

    def rendered(*turns: tuple[str, str], prompt: bool) -> str:
        messages = [Message(role, content) for role, content in turns]
        return template.render(messages, prompt=prompt).text[len(prefix) :]

    asked, answered = ("user", HOLE), ("assistant", HOLE)
    system = rendered(("system", HOLE), prompt=False)
    without_system = rendered(("system", ""), asked, prompt=True)
    user = rendered(asked, prompt=True)
    assistant = rendered(asked, answered, prompt=False)[len(user) :]
    thinks = "<think>" in assistant
    assistant = assistant.replace("<think>", "").replace("</think>", "").lstrip("\n")
    default_system = ""
    if len(user) > len(without_system):  # the template puts a system prompt of its own in front
        default_system = _more(without_system, user)
        user = user[len(system.replace(HOLE, default_system, 1)) :]
    for name, slot in (("system", system), ("user", user), ("assistant", assistant)):
        if HOLE not in slot:
            message = f"LLaMA-Factory finds no place for the {name} content in the chat template"
            raise DataError(Problem(message, file=template.file))
    words = (OPENED, CLOSED) if thinks else ()
    return Slots(prefix, system, user, assistant, default_system, words)


def _more(short: str, long: str) -> str:
    """The characters of ``long`` that are left when those of ``short`` are struck off in order."""
    at, more = 0, ""
    for character in long:
        if at == len(short):  # what follows is not counted
            break
        if character == short[at]:
            at += 1
        else:
            more += character
    return more
