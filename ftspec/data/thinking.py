"""Thoughts in answers: where a chat template puts an empty one, as Qwen3's does, and whether it trains.

LLaMA-Factory knows the same habit and nothing else about `enable_thinking` (0.9.5, data/template.py,
ReasoningTemplate): true puts a trained empty thought before an answer without one; false takes all
thoughts out of answers, and puts an empty one before each that does not train.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from ftspec.data.example import Message
from ftspec.data.template import Rendered, Template
from ftspec.errors import DataError

THINKING = "enable_thinking"
OPENED, CLOSED = "<think>\n", "\n</think>\n\n"
MARKS = ("<think>", "</think>")
Thoughts = Literal["last", "every", "none"]
"""Before which answers a template puts an empty thought, where LLaMA-Factory's switch means the same."""
ASKED, ANSWERED = Message("user", "Q?"), Message("assistant", "A.")


def empty_thoughts(template: Template) -> Thoughts:
    """Where a template puts empty thoughts; `none` too where `enable_thinking` does something else."""
    if OPENED.strip() not in template.source:
        return "none"

    def rendered(on: bool, *messages: Message, prompt: bool = False) -> Rendered:
        given = replace(template, options={**template.options, THINKING: on})
        return given.render(messages, prompt=prompt)

    try:
        asked, thinks = rendered(True, ASKED, prompt=True), rendered(True, ASKED, ANSWERED)
        two = (ASKED, ANSWERED, ASKED, ANSWERED)
        same = all(rendered(False, *said) == rendered(True, *said) for said in (two, two[:2]))
        opened = asked.text + OPENED + CLOSED
        if not same or rendered(False, ASKED, prompt=True).text != opened:
            return "none"
        if not thinks.text.startswith(opened + ANSWERED.content):
            return "none"
        text = rendered(True, *two)
    except DataError:
        return "none"  # it wants more of a conversation than this
    if text.text.count(OPENED + CLOSED) == 1:
        return "last"
    # a mark that leaves the thought out would train other tokens than LLaMA-Factory does
    marked = not thinks.spans or thinks.spans[0][0] == len(asked.text)
    return "every" if marked else "none"


def thinks(content: str) -> bool:
    """Whether an answer holds a thought of its own."""
    return any(mark in content for mark in MARKS)
